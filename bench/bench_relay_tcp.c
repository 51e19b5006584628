/*
 * Load for bench/relay: an endpoint, and clients that each have one operation at a
 * time.
 *
 *	bench_relay_tcp serve ADDRESS PORT
 *	bench_relay_tcp ask ADDRESS PORT SECONDS CLIENTS KIND LENGTH [MOST]
 *
 * LENGTH is that of an answer. KIND is
 *
 *	requests   one after the other on a connection
 *	new        a connection for each, which the endpoint closes; MOST ends the run
 *	stream     an answer without an end
 *	idle       one request, then the connection stays until standard input ends
 *
 * Prints operations, seconds, bytes, failed operations, and the times of operations in
 * microseconds: median and 99th percentile.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/relay_serve.h"
#include "bench/samples.h"
#include "core/mem.h"

#define MAX_CLIENTS 16384
#define MAX_EVENTS  256
#define PIECE_LEN   (256 << 10)
#define WAIT_MS	    20

enum kind { KIND_REQUESTS, KIND_NEW, KIND_STREAM, KIND_IDLE };

static const char *const kinds[] = {"requests", "new", "stream", "idle"};

struct client {
	int fd;
	bool is_asked;
	uint64_t since_us, n_left; /* bytes of the answer */
};

static struct {
	struct sockaddr_in address;
	enum kind kind;
	unsigned n_clients;
	uint64_t n_most, answer_len;
	int epoll;
	struct client clients[MAX_CLIENTS];
	uint64_t n_started, n_done, n_failed, n_bytes;
	struct samples times_us;
} load;

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

/* ---- one operation ---- */

static void ask(struct client *c)
{
	union {
		char bytes[RELAY_REQUEST_LEN];
		struct relay_request request;
	} message = {{0}};

	message.request = (struct relay_request){
		.answer_len = load.answer_len,
		.has_to_close = load.kind == KIND_NEW,
	};
	if (send(c->fd, &message, sizeof(message), MSG_NOSIGNAL) != sizeof(message))
		return; /* not connected yet, or the next recv() has the error */
	c->is_asked = true;
	c->n_left = load.answer_len;
}

static void open_client(struct client *c)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLET,
		.data.ptr = c,
	};
	int one = 1;

	c->fd = -1;
	if (load.n_most && load.n_started == load.n_most)
		return;
	load.n_started++;
	c->is_asked = false;
	c->since_us = samples_now_us();
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd == -1)
		die("socket");
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(c->fd, (struct sockaddr *)&load.address, sizeof(load.address)) ==
		    -1 &&
	    errno != EINPROGRESS)
		die("connect");
	if (epoll_ctl(load.epoll, EPOLL_CTL_ADD, c->fd, &event) == -1)
		die("epoll_ctl");
}

static void note_done(const struct client *c)
{
	load.n_done++;
	samples_add(&load.times_us, samples_now_us() - c->since_us);
}

/* The endpoint has closed the connection, or something has failed. */
static void end_client(struct client *c, ssize_t result)
{
	if (load.kind == KIND_NEW && result == 0 && c->is_asked && c->n_left == 0)
		note_done(c);
	else
		load.n_failed++;
	(void)close(c->fd);
	open_client(c);
}

static void note_answer(struct client *c)
{
	if (load.kind == KIND_NEW)
		return; /* it ends with the connection */
	note_done(c);
	if (load.kind == KIND_IDLE)
		return;
	c->since_us = samples_now_us();
	ask(c);
}

static void serve_events(struct client *c, uint32_t events)
{
	static char piece[PIECE_LEN];

	if (!c->is_asked && (events & EPOLLOUT))
		ask(c);
	for (;;) {
		ssize_t n = recv(c->fd, piece, sizeof(piece), 0);

		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			end_client(c, n);
			return;
		}
		load.n_bytes += (uint64_t)n;
		if (load.answer_len == RELAY_ENDLESS)
			continue;
		c->n_left -= (uint64_t)n < c->n_left ? (uint64_t)n : c->n_left;
		if (c->n_left == 0)
			note_answer(c);
		if ((size_t)n < sizeof(piece) && load.kind != KIND_NEW)
			return; /* it is empty: an edge reports new bytes */
	}
}

/* ---- a run ---- */

static bool is_over(uint64_t elapsed_us, double seconds)
{
	if (load.kind == KIND_IDLE && load.n_done == load.n_clients)
		return true;
	if (load.n_most && load.n_done + load.n_failed == load.n_most)
		return true;
	return (double)elapsed_us > seconds * 1e6;
}

static void run(double seconds)
{
	struct epoll_event events[MAX_EVENTS];
	uint64_t start_us = samples_now_us(), elapsed_us = 0;

	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned i = 0; i < load.n_clients; i++)
		open_client(&load.clients[i]);
	while (!is_over(elapsed_us, seconds)) {
		int n = epoll_wait(load.epoll, events, MAX_EVENTS, WAIT_MS);

		for (int i = 0; i < n; i++)
			serve_events(events[i].data.ptr, events[i].events);
		elapsed_us = samples_now_us() - start_us;
	}
	(void)printf("%llu %.3f %llu %llu %llu %llu\n", (unsigned long long)load.n_done,
		     (double)elapsed_us / 1e6, (unsigned long long)load.n_bytes,
		     (unsigned long long)load.n_failed,
		     (unsigned long long)samples_quantile(&load.times_us, 0.5),
		     (unsigned long long)samples_quantile(&load.times_us, 0.99));
	(void)fflush(stdout);
	while (load.kind == KIND_IDLE && getchar() != EOF) {
	}
}

/* ---- arguments ---- */

static uint64_t number(const char *text, uint64_t max)
{
	unsigned long long n = strtoull(text, NULL, 10);

	if (n < 1 || n > max) {
		(void)fprintf(stderr, "%s: 1 to %llu\n", text, (unsigned long long)max);
		exit(2);
	}
	return n;
}

static enum kind kind_of(const char *text)
{
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(text, kinds[i]) == 0)
			return (enum kind)i;
	(void)fprintf(stderr, "%s: not a kind of load\n", text);
	exit(2);
}

static int listen_at(const struct sockaddr_in *address)
{
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == -1 ||
	    bind(fd, (const struct sockaddr *)address, sizeof(*address)) == -1 ||
	    listen(fd, SOMAXCONN) == -1)
		die("listen");
	return fd;
}

int main(int argc, char **argv)
{
	bool is_server = argc == 4 && strcmp(argv[1], "serve") == 0;

	if (!is_server && (argc < 8 || argc > 9 || strcmp(argv[1], "ask") != 0)) {
		(void)fputs("usage: see the start of the source\n", stderr);
		return 2;
	}
	load.address.sin_family = AF_INET;
	load.address.sin_port = htons((uint16_t)number(argv[3], UINT16_MAX));
	if (inet_pton(AF_INET, argv[2], &load.address.sin_addr) != 1)
		die(argv[2]);
	if (is_server)
		relay_serve(listen_at(&load.address));
	load.n_clients = (unsigned)number(argv[5], MAX_CLIENTS);
	load.kind = kind_of(argv[6]);
	load.answer_len =
		load.kind == KIND_STREAM ? RELAY_ENDLESS : number(argv[7], UINT32_MAX);
	load.n_most = argc == 9 ? number(argv[8], UINT32_MAX) : 0;
	run(strtod(argv[4], NULL));
	return 0;
}
