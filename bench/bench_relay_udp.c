/*
 * Load for bench/relay_udp.  An endpoint that echoes, and clients that each keep some
 * datagrams on their way; one that is not answered within a moment counts as lost.
 *
 *	bench_relay_udp serve ADDRESS PORT
 *	bench_relay_udp ask ADDRESS PORT SECONDS CLIENTS IN_FLIGHT LENGTH
 *	bench_relay_udp ask ADDRESS PORT SECONDS CLIENTS new LENGTH
 *
 * With "new" each datagram has a socket of its own, like a query of DNS. Prints round
 * trips, seconds, and lost datagrams.
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/mem.h"

#define A_BATCH	     64
#define LEN	     2048
#define LOST_US	     200000
#define MAX_CLIENTS  8192
#define RECEIVE_LEN  (8 << 20)
#define LOOK_WAIT_MS 20

static struct sockaddr_in address;

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

/* ---- the endpoint ---- */

static void serve(void)
{
	static char buf[A_BATCH][LEN];
	struct sockaddr_in from[A_BATCH];
	struct iovec pieces[A_BATCH];
	struct mmsghdr messages[A_BATCH];
	int fd = socket(AF_INET, SOCK_DGRAM, 0), len = RECEIVE_LEN;

	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == -1)
		die("bind");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &len, sizeof(len)) == -1)
		die("SO_RCVBUFFORCE");
	for (;;) {
		int n;

		for (int i = 0; i < A_BATCH; i++) {
			pieces[i] = (struct iovec){buf[i], LEN};
			messages[i].msg_hdr = (struct msghdr){
				.msg_name = &from[i],
				.msg_namelen = sizeof(from[i]),
				.msg_iov = &pieces[i],
				.msg_iovlen = 1,
			};
		}
		n = recvmmsg(fd, messages, A_BATCH, MSG_WAITFORONE, NULL);
		for (int i = 0; i < n; i++)
			pieces[i].iov_len = messages[i].msg_len;
		if (n > 0 && sendmmsg(fd, messages, (unsigned)n, 0) < 0)
			perror("sendmmsg");
	}
}

/* ---- clients ---- */

static struct {
	unsigned n, n_in_flight, len;
	bool with_new_sockets;
	int epoll;
	struct client {
		int fd;
		unsigned n_in_flight;
		uint64_t asked_us;
	} clients[MAX_CLIENTS];
	uint64_t n_answers, n_lost, now_us;
} load;

static void connect_client(struct client *c)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
	int len = RECEIVE_LEN;

	if (c->fd > 0)
		(void)close(c->fd);
	c->fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (c->fd == -1)
		die("socket");
	(void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUFFORCE, &len, sizeof(len));
	if (connect(c->fd, (struct sockaddr *)&address, sizeof(address)) == -1 ||
	    epoll_ctl(load.epoll, EPOLL_CTL_ADD, c->fd, &event) == -1)
		die("connect");
	c->n_in_flight = 0;
}

static void ask(struct client *c)
{
	static char buf[LEN];
	struct iovec piece = {buf, load.len};
	struct mmsghdr messages[A_BATCH] = {0};
	unsigned n = load.n_in_flight - c->n_in_flight;
	int sent;

	n = n < A_BATCH ? n : A_BATCH;
	for (unsigned i = 0; i < n; i++)
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &piece, .msg_iovlen = 1};
	sent = sendmmsg(c->fd, messages, n, MSG_DONTWAIT);
	if (sent > 0)
		c->n_in_flight += (unsigned)sent;
	c->asked_us = load.now_us;
}

static void take_answers(struct client *c)
{
	static char buf[A_BATCH][LEN];
	struct iovec pieces[A_BATCH];
	struct mmsghdr messages[A_BATCH] = {0};
	int n;

	for (int i = 0; i < A_BATCH; i++) {
		pieces[i] = (struct iovec){buf[i], LEN};
		messages[i].msg_hdr =
			(struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
	}
	n = recvmmsg(c->fd, messages,
		     load.n_in_flight < A_BATCH ? load.n_in_flight : A_BATCH,
		     MSG_DONTWAIT, NULL);
	if (n <= 0)
		return;
	load.n_answers += (unsigned)n;
	c->n_in_flight -= (unsigned)n < c->n_in_flight ? (unsigned)n : c->n_in_flight;
	if (load.with_new_sockets)
		connect_client(c);
	ask(c);
}

static void look_for_lost(void)
{
	for (unsigned i = 0; i < load.n; i++) {
		struct client *c = &load.clients[i];

		if (load.now_us - c->asked_us < LOST_US)
			continue;
		load.n_lost += c->n_in_flight;
		c->n_in_flight = 0;
		ask(c);
	}
}

static void run(double seconds)
{
	struct epoll_event events[256];
	uint64_t start_us = clock_monotonic_us(), look_us = start_us;

	load.now_us = start_us;
	load.epoll = epoll_create1(0);
	for (unsigned i = 0; i < load.n; i++) {
		connect_client(&load.clients[i]);
		ask(&load.clients[i]);
	}
	while (load.now_us - start_us < seconds * 1e6) {
		int n = epoll_wait(load.epoll, events, 256, LOOK_WAIT_MS);

		load.now_us = clock_monotonic_us();
		for (int i = 0; i < n; i++)
			take_answers(events[i].data.ptr);
		if (load.now_us - look_us > LOST_US / 2) {
			look_us = load.now_us;
			look_for_lost();
		}
	}
	printf("%llu %.3f %llu\n", (unsigned long long)load.n_answers,
	       (double)(load.now_us - start_us) / 1e6, (unsigned long long)load.n_lost);
}

static unsigned number(const char *text, unsigned max)
{
	unsigned long n = strtoul(text, NULL, 10);

	if (n < 1 || n > max) {
		fprintf(stderr, "%s: 1 to %u\n", text, max);
		exit(2);
	}
	return (unsigned)n;
}

int main(int argc, char **argv)
{
	bool is_server = argc == 4 && strcmp(argv[1], "serve") == 0;

	if (!is_server && (argc != 8 || strcmp(argv[1], "ask") != 0)) {
		fputs("usage: see the start of the source\n", stderr);
		return 2;
	}
	address.sin_family = AF_INET;
	address.sin_port = htons((uint16_t)number(argv[3], 65535));
	if (inet_pton(AF_INET, argv[2], &address.sin_addr) != 1)
		die(argv[2]);
	if (is_server)
		serve();
	load.n = number(argv[5], MAX_CLIENTS);
	load.with_new_sockets = strcmp(argv[6], "new") == 0;
	load.n_in_flight = load.with_new_sockets ? 1 : number(argv[6], 1024);
	load.len = number(argv[7], LEN);
	run(strtod(argv[4], NULL));
	return 0;
}
