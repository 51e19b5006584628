#include "bench/sockets/traffic.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/rows.h"

#define REQUEST_LEN 70
#define ANSWER_LEN  150
#define RECEIVE_SEC 5

static const char *const names[TRAFFIC_KIND_N] = {
	[TRAFFIC_CONNECTION] = "connection",
	[TRAFFIC_REQUEST] = "request",
	[TRAFFIC_CONNECTED] = "datagram, connected",
	[TRAFFIC_UNCONNECTED] = "datagram, unconnected",
};

bool traffic_is_tcp(enum traffic_kind kind)
{
	return kind == TRAFFIC_CONNECTION || kind == TRAFFIC_REQUEST;
}

const char *traffic_name(enum traffic_kind kind)
{
	return names[kind];
}

static uint64_t read_clock(clockid_t clock)
{
	struct timespec ts = {0};

	(void)clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static uint64_t cpu_of(const struct traffic *t)
{
	uint64_t ns = read_clock(CLOCK_PROCESS_CPUTIME_ID);
	clockid_t clock;

	if (t->helper && clock_getcpuclockid(t->helper, &clock) == 0)
		ns += read_clock(clock);
	return ns;
}

static void must(const struct traffic *t, bool is_good, const char *what)
{
	if (!is_good)
		rows_fail(-errno, "%s, node %s: %s", names[t->kind], t->node->name, what);
}

static int open_client(const struct traffic *t, const struct sockaddr_in *place)
{
	const struct timeval limit = {.tv_sec = RECEIVE_SEC};
	int fd = socket(AF_INET,
			(traffic_is_tcp(t->kind) ? SOCK_STREAM : SOCK_DGRAM) |
				SOCK_CLOEXEC,
			0);

	must(t, fd >= 0, "socket");
	if (t->kind != TRAFFIC_CONNECTION) /* a system call that clients do not make */
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (t->kind != TRAFFIC_UNCONNECTED)
		must(t, connect(fd, (const struct sockaddr *)place, sizeof(*place)) == 0,
		     "connect");
	return fd;
}

static void send_request(const struct traffic *t, const struct traffic_flow *f,
			 const struct sockaddr_in *place)
{
	static const char request[REQUEST_LEN];
	ssize_t n;

	if (t->kind == TRAFFIC_UNCONNECTED)
		n = sendto(f->client, request, sizeof(request), 0,
			   (const struct sockaddr *)place, sizeof(*place));
	else
		n = send(f->client, request, sizeof(request), MSG_NOSIGNAL);
	must(t, n == REQUEST_LEN, "the client's send");
}

static void answer(const struct traffic *t, const struct traffic_flow *f)
{
	static const char text[ANSWER_LEN];
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char buf[ANSWER_LEN];
	ssize_t n;

	if (traffic_is_tcp(t->kind)) {
		must(t, recv(f->server, buf, REQUEST_LEN, MSG_WAITALL) == REQUEST_LEN,
		     "the server's receive");
		n = send(f->server, text, sizeof(text), MSG_NOSIGNAL);
	} else {
		must(t,
		     recvfrom(f->server, buf, sizeof(buf), 0, (struct sockaddr *)&from,
			      &len) == REQUEST_LEN,
		     "the server's receive");
		n = sendto(f->server, text, sizeof(text), 0, (struct sockaddr *)&from,
			   len);
	}
	must(t, n == ANSWER_LEN, "the server's send");
}

static void receive_answer(const struct traffic *t, const struct traffic_flow *f)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char buf[ANSWER_LEN];
	ssize_t n;

	if (t->kind == TRAFFIC_UNCONNECTED)
		n = recvfrom(f->client, buf, sizeof(buf), 0, (struct sockaddr *)&from,
			     &len);
	else
		n = recv(f->client, buf, sizeof(buf), MSG_WAITALL);
	must(t, n == ANSWER_LEN, "the client's receive");
}

/* A proxy may connect to the server only when it has something to send. */
static void connect_once(const struct traffic *t, const struct sockaddr_in *place)
{
	struct traffic_flow f = {.client = open_client(t, place)};

	send_request(t, &f, place);
	f.server = accept4(t->node->listener, NULL, NULL, SOCK_CLOEXEC);
	must(t, f.server >= 0, "accept");
	answer(t, &f);
	receive_answer(t, &f);
	(void)close(f.client);
	(void)close(f.server);
}

/* The server's socket that a datagram came to: an endpoint is kept by flow. */
static int find_server(const struct traffic *t)
{
	struct pollfd fds[NODE_SERVERS_MAX];
	unsigned n = t->node->servers.n;

	for (unsigned i = 0; i < n; i++)
		fds[i] = (struct pollfd){t->node->servers.fd[i], POLLIN, 0};
	errno = ETIMEDOUT;
	must(t, poll(fds, n, RECEIVE_SEC * 1000) > 0, "the server's receive");
	for (unsigned i = 0; i < n; i++)
		if (fds[i].revents & POLLIN)
			return fds[i].fd;
	return -1;
}

static void open_flow(const struct traffic *t, struct traffic_flow *f,
		      const struct sockaddr_in *place)
{
	f->client = open_client(t, place);
	send_request(t, f, place);
	f->server = traffic_is_tcp(t->kind)
			    ? accept4(t->node->listener, NULL, NULL, SOCK_CLOEXEC)
			    : find_server(t);
	must(t, f->server >= 0, "accept");
	answer(t, f);
	receive_answer(t, f);
}

static void run_one(struct traffic *t)
{
	unsigned i = t->next++ % TRAFFIC_PLACES;

	if (t->kind == TRAFFIC_CONNECTION) {
		connect_once(t, &t->places[i]);
		return;
	}
	send_request(t, &t->flows[i], &t->places[i]);
	answer(t, &t->flows[i]);
	receive_answer(t, &t->flows[i]);
}

void traffic_open(struct traffic *t, unsigned n)
{
	for (unsigned i = 0; t->kind != TRAFFIC_CONNECTION && i < TRAFFIC_PLACES; i++)
		open_flow(t, &t->flows[i], &t->places[i]);
	(void)traffic_run(t, n);
}

struct traffic_result traffic_run(struct traffic *t, unsigned n)
{
	struct traffic_result r = {cpu_of(t), read_clock(CLOCK_MONOTONIC)};

	for (unsigned i = 0; i < n; i++)
		run_one(t);
	r.cpu_ns = cpu_of(t) - r.cpu_ns;
	r.wall_ns = read_clock(CLOCK_MONOTONIC) - r.wall_ns;
	return r;
}

void traffic_time(struct traffic *t, unsigned n, struct samples *latency)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t start = read_clock(CLOCK_MONOTONIC);

		run_one(t);
		samples_add(latency, read_clock(CLOCK_MONOTONIC) - start);
	}
}

void traffic_close(struct traffic *t)
{
	for (unsigned i = 0; t->kind != TRAFFIC_CONNECTION && i < TRAFFIC_PLACES; i++) {
		(void)close(t->flows[i].client);
		if (traffic_is_tcp(t->kind))
			(void)close(t->flows[i].server);
	}
}
