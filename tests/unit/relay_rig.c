#include "tests/unit/relay_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "core/sink.h"
#include "proxy/relay/relay.h"
#include "tests/test.h"

#define PIECE_LEN      262144
#define RIG_BLOCKED_MS 50

/* Without the right it stays: then the sink cannot change routes either. */
int rig_enter(void **state)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	_cleanup_(closep) int fd = -1;

	(void)signal(SIGPIPE, SIG_IGN);
	if (unshare(CLONE_NEWNET) == -1)
		return 0;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return ioctl(fd, SIOCSIFFLAGS, &lo);
}

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static int socket_type(uint8_t proto)
{
	return (proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC;
}

/* Bound to a free port. */
static int bound_socket(uint8_t proto, uint16_t *ret_port)
{
	struct sockaddr_in sa = loopback(0);
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, socket_type(proto), 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	*ret_port = ntohs(sa.sin_port);
	return fd;
}

static void set_timeouts(int fd)
{
	const struct timeval limit = {.tv_sec = RIG_TIMEOUT_MS / 1000};

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)),
			 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)),
			 0);
}

static void open_endpoint(struct relay_rig *rig)
{
	int fd = bound_socket(rig->proto, &rig->ports[rig->n_listeners]);

	if (rig->proto == IPPROTO_TCP)
		assert_int_equal(listen(fd, 4096), 0);
	else
		set_timeouts(fd);
	rig->listeners[rig->n_listeners++] = fd;
}

static struct relay_rig *make(const struct relay_params *params, uint8_t proto,
			      size_t n_endpoints)
{
	struct relay_rig *rig = xcalloc(1, sizeof(*rig));
	char *why = NULL;

	rig->proto = proto;
	(void)close(bound_socket(proto, &rig->port));
	while (rig->n_listeners < n_endpoints)
		open_endpoint(rig);
	assert_int_equal(relay_sink_new(params, &rig->sink, &why), 0);
	return rig;
}

struct relay_rig *rig_new(unsigned n_workers, size_t n_endpoints)
{
	const struct relay_params params = {.n_workers = n_workers};

	return rig_new_tcp(&params, n_endpoints);
}

struct relay_rig *rig_new_tcp(const struct relay_params *params, size_t n_endpoints)
{
	return make(params, IPPROTO_TCP, n_endpoints);
}

struct relay_rig *rig_new_udp(const struct relay_params *params, size_t n_endpoints)
{
	return make(params, IPPROTO_UDP, n_endpoints);
}

void rig_free(struct relay_rig *rig)
{
	sink_close(rig->sink);
	service_unref(rig->service);
	for (size_t i = 0; i < rig->n_listeners; i++)
		closep(&rig->listeners[i]);
	free(rig);
}

static void note_refusal(void *data, const struct service *service, const char *why)
{
	struct relay_rig *rig = data;

	(void)snprintf(rig->refusal, sizeof(rig->refusal), "%s", why);
}

static void apply(struct relay_rig *rig, struct service *new)
{
	static const struct environment env = {.enabled = {true, true}};
	const struct change change = {.old = rig->service, .new = new};
	const struct changeset cs = {.env = &env,
				     .changes = &change,
				     .n = 1,
				     .refuse = note_refusal,
				     .data = rig};
	const struct changeset start = {.env = &env, .full = true};

	int result;

	if (!rig->service)
		assert_int_equal(sink_apply(rig->sink, &start), 0);
	rig->refusal[0] = '\0';
	result = sink_apply(rig->sink, &cs);
	assert_int_equal(result, rig->refusal[0] ? -EREMOTEIO : 0);
	service_unref(rig->service);
	rig->service = new;
}

void rig_put(struct relay_rig *rig, unsigned endpoints)
{
	struct addr local;
	struct frontend frontend = {.port = rig->port, .kind = FRONTEND_NODE_PORT};
	struct endpoint list[RIG_MAX_ENDPOINTS];
	size_t n = 0;

	assert_int_equal(addr_parse("127.0.0.1", &local), 0);
	frontend.addr = local;
	for (size_t i = 0; i < rig->n_listeners; i++)
		if (endpoints & 1u << i)
			list[n++] =
				(struct endpoint){local, rig->ports[i],
						  ENDPOINT_CLUSTER | ENDPOINT_SERVING};
	for (int class = 0; class < CLIENT_N; class ++)
		frontend.from[class].action = n ? ACTION_BALANCE : ACTION_REJECT;
	apply(rig, service_new(&(struct service_spec){
			   .ns = "test",
			   .name = "web",
			   .port_name = "",
			   .proto = rig->proto,
			   .affinity_sec = rig->affinity_sec,
			   .options = rig->options,
			   .times = rig->times,
			   .frontends = &frontend,
			   .n_frontends = 1,
			   .endpoints = list,
			   .n_endpoints = n,
		   }));
}

void rig_remove(struct relay_rig *rig)
{
	apply(rig, NULL);
}

void rig_close_endpoint(struct relay_rig *rig, size_t i)
{
	closep(&rig->listeners[i]);
	rig->listeners[i] = -1;
}

void rig_fill_queue(const struct relay_rig *rig, size_t i, int *fillers, size_t n)
{
	struct sockaddr_in sa = loopback(rig->ports[i]);

	assert_int_equal(listen(rig->listeners[i], 0), 0);
	for (size_t k = 0; k < n; k++) {
		fillers[k] =
			socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(fillers[k], (struct sockaddr *)&sa, sizeof(sa));
	}
}

struct wanted_stat {
	const char *name;
	double value;
};

static void find_stat(void *data, const struct sink_stat *stat)
{
	struct wanted_stat *wanted = data;

	if (strcmp(stat->name, wanted->name) == 0)
		wanted->value = stat->value;
}

double rig_stat(const struct relay_rig *rig, const char *name)
{
	struct wanted_stat wanted = {name, -1};

	rig->sink->ops->view->stats(rig->sink, find_stat, &wanted);
	return wanted.value;
}

static void add_refused(void *data, const struct sink_count *count)
{
	struct rig_counts *counts = data;

	if (!count->is_endpoint && count->kind == COUNT_NO_ENDPOINTS)
		counts->n_refused += count->n;
}

static void add_endpoint(struct rig_counts *counts, uint32_t i,
			 const struct sink_flows *flows)
{
	counts->n_current_of[i] = flows->n;
	for (size_t d = 0; d < 2; d++)
		counts->n_endpoint_bytes[d] += flows->n_bytes[d];
}

struct rig_counts rig_counts(const struct relay_rig *rig)
{
	const struct change change = {.new = rig->service};
	const struct changeset of = {.changes = &change, .n = 1};
	const struct sink_view *view = rig->sink->ops->view;
	struct sink_census *census = view->census(rig->sink, &of);
	struct rig_counts counts = {0};

	assert_int_equal(view->counts(rig->sink, &of, false, add_refused, &counts), 0);
	assert_int_equal(sink_census_step(census), 0);
	counts.n_current = census->ops->of(census, 0, false, 0)->n;
	memcpy(counts.n_bytes, census->ops->of(census, 0, false, 0)->n_bytes,
	       sizeof(counts.n_bytes));
	assert_true(census->ops->has_bytes(census) && census->ops->lacks_packets);
	for (uint32_t i = 0; i < rig->service->n_endpoints; i++)
		add_endpoint(&counts, i, census->ops->of(census, 0, true, i));
	sink_census_free(census);
	return counts;
}

int rig_connect(const struct relay_rig *rig)
{
	struct sockaddr_in sa = loopback(rig->port);
	int fd = socket(AF_INET, socket_type(rig->proto), 0), err;

	if (fd < 0)
		return -errno;
	set_timeouts(fd);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	err = -errno;
	(void)close(fd);
	return err;
}

bool rig_has_connection(const struct relay_rig *rig, size_t i, int timeout_ms)
{
	struct pollfd p = {.fd = rig->listeners[i], .events = POLLIN};

	return poll(&p, 1, timeout_ms) == 1;
}

int rig_accept(const struct relay_rig *rig, size_t i)
{
	int fd;

	assert_true(rig_has_connection(rig, i, RIG_TIMEOUT_MS));
	fd = accept4(rig->listeners[i], NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	set_timeouts(fd);
	return fd;
}

void rig_pair(const struct relay_rig *rig, int *ret_client, int *ret_server)
{
	*ret_client = rig_connect(rig);
	assert_true(*ret_client >= 0);
	*ret_server = rig_accept(rig, 0);
}

void rig_send(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

void rig_expect(int fd, const char *text)
{
	char buf[256] = "";
	size_t len = strlen(text);

	assert_true(len < sizeof(buf));
	assert_int_equal(recv(fd, buf, len, MSG_WAITALL), len);
	assert_string_equal(buf, text);
}

void rig_expect_end(int fd)
{
	char byte;

	assert_int_equal(recv(fd, &byte, 1, 0), 0);
}

void rig_expect_reset(int fd)
{
	char byte;

	assert_int_equal(recv(fd, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
}

void rig_reset(int fd)
{
	const struct linger reset = {.l_onoff = 1};

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	assert_int_equal(close(fd), 0);
}

/* The pattern has no short period. */
static void fill(unsigned char *buf, size_t at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (unsigned char)((at + i) * 2654435761u >> 13);
}

static size_t send_some(int fd, size_t at, size_t n)
{
	static unsigned char buf[PIECE_LEN];
	size_t len = n - at < sizeof(buf) ? n - at : sizeof(buf);
	ssize_t sent;

	fill(buf, at, len);
	sent = send(fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	assert_true(sent > 0 || errno == EAGAIN);
	return sent > 0 ? (size_t)sent : 0;
}

static size_t receive_some(int fd, size_t at)
{
	static unsigned char buf[PIECE_LEN], wanted[PIECE_LEN];
	ssize_t got = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

	assert_true(got > 0);
	fill(wanted, at, (size_t)got);
	assert_memory_equal(buf, wanted, (size_t)got);
	return (size_t)got;
}

size_t rig_stuff(int fd)
{
	size_t sent = 0;

	while (poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, RIG_BLOCKED_MS) > 0)
		sent += send_some(fd, sent, SIZE_MAX);
	return sent;
}

void rig_take(int fd, size_t n)
{
	size_t received = 0;

	while (received < n) {
		assert_int_equal(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1,
				      RIG_TIMEOUT_MS),
				 1);
		received += receive_some(fd, received);
	}
	assert_int_equal(received, n);
}

void rig_pump(int from, int to, size_t n)
{
	size_t sent = 0, received = 0;

	while (received < n) {
		struct pollfd p[] = {
			{.fd = sent < n ? from : -1, .events = POLLOUT},
			{.fd = to, .events = POLLIN},
		};

		assert_true(poll(p, 2, RIG_TIMEOUT_MS) > 0);
		if (p[0].revents)
			sent += send_some(from, sent, n);
		if (p[1].revents)
			received += receive_some(to, received);
	}
}
