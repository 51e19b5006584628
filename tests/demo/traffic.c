/*
 * The two ends of the demo's requests.
 *
 *   traffic serve NAME PORT                    answers every connection with its name
 *   traffic load ADDRESS PORT SECONDS RATE     asks RATE times a second, a new
 *                                              connection each; prints a line a
 *                                              second and the sums; exit 1 when
 *                                              a request failed
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"

#define MAX_NAMES 16
#define NAME_LEN  32

struct tally {
	unsigned n_ok, n_failed, n_names;
	uint64_t worst_us;
	struct {
		char name[NAME_LEN];
		unsigned n;
	} by_name[MAX_NAMES];
};

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

static void sleep_until(uint64_t when_us)
{
	uint64_t now = clock_monotonic_us();

	if (when_us > now)
		(void)usleep((useconds_t)(when_us - now));
}

static int serve(const char *name, uint16_t port)
{
	const struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
	int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char line[NAME_LEN + 1], request[256];
	int len = snprintf(line, sizeof(line), "%.*s\n", NAME_LEN - 2, name);

	if (listener == -1 ||
	    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == -1 ||
	    bind(listener, (const struct sockaddr *)&sa, sizeof(sa)) == -1 ||
	    listen(listener, SOMAXCONN) == -1) {
		perror("traffic serve");
		return 1;
	}
	while (!interrupted) {
		int fd = accept(listener, NULL, NULL);

		if (fd == -1)
			continue;
		if (read(fd, request, sizeof(request)) > 0)
			(void)send(fd, line, (size_t)len, MSG_NOSIGNAL);
		(void)close(fd);
	}
	return 0;
}

/* One request. 0, or -errno. */
static int ask(const struct sockaddr_in *sa, char name[static NAME_LEN])
{
	const struct timeval limit = {.tv_sec = 3};
	int err = 0, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ssize_t len;

	if (fd == -1)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == -1 ||
	    send(fd, "?\n", 2, MSG_NOSIGNAL) == -1) {
		err = -errno;
		(void)close(fd);
		return err;
	}
	len = recv(fd, name, NAME_LEN - 1, 0);
	if (len <= 0)
		err = len ? -errno : -EPIPE;
	else
		name[len] = '\0';
	name[strcspn(name, "\n")] = '\0';
	(void)close(fd);
	return err;
}

static void count(struct tally *t, const char *name, uint64_t took_us)
{
	unsigned i = 0;

	t->n_ok++;
	if (took_us > t->worst_us)
		t->worst_us = took_us;
	while (i < t->n_names && strcmp(t->by_name[i].name, name) != 0)
		i++;
	if (i == MAX_NAMES)
		return;
	if (i == t->n_names) {
		(void)snprintf(t->by_name[i].name, NAME_LEN, "%s", name);
		t->n_names++;
	}
	t->by_name[i].n++;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void print(const char *label, struct tally *t)
{
	qsort(t->by_name, t->n_names, sizeof(t->by_name[0]), compare_names);
	printf("  %-6s %6u answered %4u failed   slowest %5.1f ms  ", label, t->n_ok,
	       t->n_failed, (double)t->worst_us / 1000);
	for (unsigned i = 0; i < t->n_names; i++)
		printf("  %s %u", t->by_name[i].name, t->by_name[i].n);
	printf("\n");
	(void)fflush(stdout);
}

static void request(const struct sockaddr_in *sa, struct tally *second, struct tally *all)
{
	char name[NAME_LEN] = "";
	uint64_t start = clock_monotonic_us(), took;
	int err = ask(sa, name);

	took = clock_monotonic_us() - start;
	if (!err) {
		count(second, name, took);
		count(all, name, took);
		return;
	}
	second->n_failed++;
	if (!all->n_failed++)
		printf("  first failure: %s\n", strerror(-err));
}

static int load(const char *address, uint16_t port, unsigned seconds, unsigned rate)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct tally all = {0};
	uint64_t start = clock_monotonic_us();

	if (inet_pton(AF_INET, address, &sa.sin_addr) != 1 || !rate) {
		(void)fprintf(stderr, "traffic load: '%s' is not an IPv4 address\n",
			      address);
		return 2;
	}
	for (unsigned s = 0; s < seconds && !interrupted; s++) {
		struct tally second = {0};
		char label[16];

		for (unsigned i = 0; i < rate && !interrupted; i++) {
			sleep_until(start + s * 1000000ull + i * 1000000ull / rate);
			request(&sa, &second, &all);
		}
		(void)snprintf(label, sizeof(label), "%us", s + 1);
		print(label, &second);
	}
	print("all", &all);
	return all.n_failed || !all.n_ok;
}

int main(int argc, char **argv)
{
	const struct sigaction end = {.sa_handler = interrupt};

	(void)sigaction(SIGTERM, &end, NULL);
	(void)sigaction(SIGINT, &end, NULL);
	if (argc == 4 && !strcmp(argv[1], "serve"))
		return serve(argv[2], (uint16_t)atoi(argv[3]));
	if (argc == 6 && !strcmp(argv[1], "load"))
		return load(argv[2], (uint16_t)atoi(argv[3]), (unsigned)atoi(argv[4]),
			    (unsigned)atoi(argv[5]));
	(void)fprintf(stderr, "usage: traffic serve NAME PORT\n"
			      "       traffic load ADDRESS PORT SECONDS RATE\n");
	return 2;
}
