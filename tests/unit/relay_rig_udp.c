#include "tests/unit/relay_rig_udp.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "tests/test.h"

size_t rig_receiver(const struct relay_rig *rig, int timeout_ms)
{
	struct pollfd p[RIG_MAX_ENDPOINTS];

	for (size_t i = 0; i < rig->n_listeners; i++)
		p[i] = (struct pollfd){.fd = rig->listeners[i], .events = POLLIN};
	if (poll(p, rig->n_listeners, timeout_ms) <= 0)
		return rig->n_listeners;
	for (size_t i = 0; i < rig->n_listeners; i++)
		if (p[i].revents & POLLIN)
			return i;
	return rig->n_listeners;
}

uint16_t rig_echo(const struct relay_rig *rig, size_t endpoint)
{
	static char buf[65536];
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(rig->listeners[endpoint], buf, sizeof(buf), 0,
			     (struct sockaddr *)&from, &len);

	assert_true(n >= 0);
	assert_int_equal(sendto(rig->listeners[endpoint], buf, (size_t)n, 0,
				(struct sockaddr *)&from, len),
			 n);
	return ntohs(from.sin_port);
}

size_t rig_ask(const struct relay_rig *rig, int client, uint16_t *ret_port)
{
	size_t endpoint;
	uint16_t port;

	rig_send(client, "question");
	endpoint = rig_receiver(rig, RIG_TIMEOUT_MS);
	assert_true(endpoint < rig->n_listeners);
	port = rig_echo(rig, endpoint);
	rig_expect(client, "question");
	if (ret_port)
		*ret_port = port;
	return endpoint;
}
