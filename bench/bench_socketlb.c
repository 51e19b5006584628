/*
 * The cost of a connection, a request and a datagram to a Service, against the
 * same to an endpoint directly: CPU time of one pinned process that is client
 * and server, which other load hardly changes, beside rates and times on the
 * clock. Everything is in namespaces and cgroups of its own. Run by
 * bench/socketlb.
 *
 *   bench_socketlb [--quick] [--rounds N] [--services N,N…] [--seconds N]
 */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/sockets/haproxy.h"
#include "bench/rows.h"
#include "bench/sockets/home.h"
#include "bench/sockets/node.h"
#include "bench/sockets/report.h"
#include "bench/sockets/traffic.h"
#include "bench/workload.h"
#include "core/cleanup.h"

#define N_ENDPOINTS 5
#define N_USED	    5 /* Services of each protocol that the client uses, spread over all */
#define N_PLACES    (N_USED * N_ENDPOINTS)
#define SIZES_MAX   8
#define ROUNDS_MIN  3 /* whatever the time */

struct options {
	unsigned rounds, seconds, percent; /* percent: length of one sample */
	uint32_t sizes[SIZES_MAX];
	unsigned n_sizes;
};

enum { NODE_BARE, NODE_LOADED, NODE_N }; /* without nftables, and with it */

enum destination { TO_ENDPOINT, TO_SERVICE, TO_HAPROXY };

static const struct candidate {
	const char *name;
	unsigned node, direct; /* direct: the row that the ratio is to */
	enum destination to;
	bool has_programs;
} candidates[] = {
	{"direct", NODE_BARE, 0, TO_ENDPOINT, false},
	{"ebpf", NODE_BARE, 0, TO_SERVICE, true},
	{"haproxy", NODE_BARE, 0, TO_HAPROXY, false},
	{"direct, nft loaded", NODE_LOADED, 3, TO_ENDPOINT, false},
	{"ebpf, nft loaded", NODE_LOADED, 3, TO_SERVICE, true},
	{"nftables", NODE_LOADED, 3, TO_SERVICE, false},
};

static const struct client {
	const char *name;
	enum node_place place;
} clients[] = {{"node", NODE_HOST}, {"pod", NODE_CLIENT}};

#define N_CANDIDATES N_ELEMENTS(candidates)
#define N_CLIENTS    N_ELEMENTS(clients)

/* Operations in a sample: some 40 ms of CPU time. */
static const unsigned n_operations[TRAFFIC_KIND_N] = {
	[TRAFFIC_CONNECTION] = 1200,
	[TRAFFIC_REQUEST] = 8000,
	[TRAFFIC_CONNECTED] = 8000,
	[TRAFFIC_UNCONNECTED] = 8000,
};

struct places { /* of one protocol */
	struct sockaddr_in services[N_USED], endpoints[N_PLACES];
};

struct bench { /* one number of Services */
	struct services services;
	struct node nodes[NODE_N];
	char *plain; /* the cgroup without programs */
	struct places tcp, udp;
	struct sockaddr_in proxies[N_USED];
	pid_t haproxy;
	const char *cgroup; /* where this process is */
	struct cell cells[N_CLIENTS][TRAFFIC_KIND_N][N_CANDIDATES];
};

static struct sockaddr_in place_of(struct addr addr, uint16_t port)
{
	struct sockaddr_storage sa;

	(void)addr_to_sockaddr(&addr, port, &sa);
	return *(struct sockaddr_in *)&sa;
}

/* The i-th Service in use: even numbers are TCP, odd ones UDP. */
static uint32_t used(const struct services *s, unsigned i, bool is_udp)
{
	return (i * (s->n / N_USED) & ~1u) | is_udp;
}

static void find_places(const struct services *s, bool is_udp, struct places *ret)
{
	for (unsigned i = 0; i < N_USED; i++) {
		uint32_t number = used(s, i, is_udp);

		ret->services[i] = place_of(workload_cluster_ip(number), WORKLOAD_PORT);
		for (unsigned k = 0; k < N_ENDPOINTS; k++)
			ret->endpoints[i * N_ENDPOINTS + k] =
				place_of(workload_endpoint(number, k, N_ENDPOINTS, 0),
					 WORKLOAD_TARGET_PORT);
	}
}

static void start_haproxy(struct bench *b)
{
	uint32_t numbers[N_USED];

	for (unsigned i = 0; i < N_USED; i++)
		numbers[i] = used(&b->services, i, false);
	b->haproxy = haproxy_start(&b->nodes[NODE_BARE], &b->services, numbers, N_USED,
				   b->proxies);
}

static void init(struct bench *b, uint32_t n)
{
	services_init(&b->services, n, N_ENDPOINTS, true);
	find_places(&b->services, false, &b->tcp);
	find_places(&b->services, true, &b->udp);
	b->plain = home_cgroup("plain");
	node_init(&b->nodes[NODE_BARE], "bare", false, &b->services);
	node_init(&b->nodes[NODE_LOADED], "loaded", true, &b->services);
	for (unsigned i = 0; i < NODE_N; i++)
		for (unsigned k = 0; k < N_PLACES; k++)
			node_serve(&b->nodes[i], &b->udp.endpoints[k]);
	start_haproxy(b);
}

static void fini(struct bench *b)
{
	struct cell *cells = &b->cells[0][0][0];

	haproxy_stop(b->haproxy);
	home_move(b->plain);
	for (unsigned i = 0; i < NODE_N; i++)
		node_fini(&b->nodes[i]);
	services_fini(&b->services);
	for (size_t i = 0; i < sizeof(b->cells) / sizeof(*cells); i++)
		cell_fini(&cells[i]);
	free(b->plain);
}

/* A socket belongs to the cgroup that its process is in. */
static void move(struct bench *b, const char *cgroup)
{
	if (b->cgroup != cgroup)
		home_move(cgroup);
	b->cgroup = cgroup;
}

static bool is_possible(const struct bench *b, const struct candidate *c,
			enum traffic_kind kind)
{
	return c->to != TO_HAPROXY || (b->haproxy && traffic_is_tcp(kind));
}

static void take_sample(struct bench *b, const struct options *o, unsigned client,
			enum traffic_kind kind, unsigned candidate)
{
	const struct candidate *c = &candidates[candidate];
	const struct places *places = traffic_is_tcp(kind) ? &b->tcp : &b->udp;
	const struct node *node = &b->nodes[c->node];
	struct cell *cell = &b->cells[client][kind][candidate];
	unsigned n = n_operations[kind] * o->percent / 100;
	struct traffic t = {.kind = kind, .node = node, .n_places = N_USED};
	struct traffic_result r;

	if (!is_possible(b, c, kind))
		return;
	t.places = c->to == TO_SERVICE ? places->services : b->proxies;
	if (c->to == TO_ENDPOINT) {
		t.places = places->endpoints;
		t.n_places = N_PLACES;
	}
	t.helper = c->to == TO_HAPROXY ? b->haproxy : 0;
	move(b, c->has_programs ? node->cgroup : b->plain);
	node_enter(node, clients[client].place);
	r = traffic_run(&t, n, &cell->latency);
	cell_add(cell, &r, n);
}

/* Candidates follow each other closely, so that other load meets all of them. */
static void run_round(struct bench *b, const struct options *o, unsigned round)
{
	for (unsigned client = 0; client < N_CLIENTS; client++)
		for (enum traffic_kind kind = 0; kind < TRAFFIC_KIND_N; kind++)
			for (unsigned i = 0; i < N_CANDIDATES; i++)
				take_sample(b, o, client, kind,
					    (i + round) % N_CANDIDATES);
}

static void print_tables(struct bench *b, unsigned n_rounds)
{
	for (unsigned client = 0; client < N_CLIENTS; client++) {
		report_header(b->services.n, N_ENDPOINTS, clients[client].name, n_rounds);
		for (enum traffic_kind kind = 0; kind < TRAFFIC_KIND_N; kind++) {
			struct cell *cells = b->cells[client][kind];

			for (unsigned i = 0; i < N_CANDIDATES; i++)
				if (is_possible(b, &candidates[i], kind))
					report_row(traffic_name(kind), candidates[i].name,
						   &cells[i],
						   &cells[candidates[i].direct]);
		}
	}
	if (!b->haproxy)
		(void)printf("haproxy is not installed: no rows of it\n");
}

static void measure(const struct options *o, uint32_t n_services)
{
	struct bench b = {0};
	uint64_t start_us;
	unsigned round = 0;

	init(&b, n_services);
	start_us = samples_now_us();
	for (; round < o->rounds; round++) {
		uint64_t spent_us = samples_now_us() - start_us;

		if (round >= ROUNDS_MIN &&
		    spent_us > o->seconds * UINT64_C(1000000) / o->n_sizes) {
			(void)printf("\nthe time is over after %u of %u rounds\n", round,
				     o->rounds);
			break;
		}
		run_round(&b, o, round);
	}
	print_tables(&b, round);
	fini(&b);
}

static _Noreturn void usage(void)
{
	(void)fprintf(stderr, "usage: bench_socketlb [--quick] [--rounds N] "
			      "[--services N,N...] [--seconds N]\n");
	exit(2);
}

static unsigned parse_number(const char *text, unsigned min, unsigned max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || end == text || n < min || n > max)
		usage();
	return (unsigned)n;
}

static void parse_sizes(char *text, struct options *o)
{
	o->n_sizes = 0;
	for (char *word, *rest = text; (word = strtok_r(rest, ",", &rest));) {
		if (o->n_sizes == SIZES_MAX)
			usage();
		o->sizes[o->n_sizes++] =
			parse_number(word, 2 * N_USED, WORKLOAD_MAX_SERVICES);
	}
	if (o->n_sizes == 0)
		usage();
}

static struct options parse_options(int argc, char **argv)
{
	static const struct option known[] = {{"quick", no_argument, NULL, 'q'},
					      {"rounds", required_argument, NULL, 'r'},
					      {"services", required_argument, NULL, 's'},
					      {"seconds", required_argument, NULL, 't'},
					      {0}};
	struct options o = {15, 420, 100, {10, 10000, 100000}, 3};

	for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		if (c == 'q') {
			o = (struct options){3, 60, 10, {10, 10000}, 2};
		} else if (c == 'r') {
			o.rounds = parse_number(optarg, 1, 1000);
		} else if (c == 's') {
			parse_sizes(optarg, &o);
		} else if (c == 't') {
			o.seconds = parse_number(optarg, 1, 86400);
		} else {
			usage();
		}
	}
	if (optind != argc)
		usage();
	return o;
}

/* The last CPU: interrupts are mostly served by the first. */
static int pin(void)
{
	int cpu = (int)sysconf(_SC_NPROCESSORS_ONLN) - 1;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		rows_fail(-errno, "sched_setaffinity");
	return cpu;
}

int main(int argc, char **argv)
{
	struct options o = parse_options(argc, argv);

	home_enter();
	(void)printf("pinned      client, server and haproxy on CPU %d\n"
		     "rounds      %u, interleaved; CPU: lowest quartile; rate: median\n"
		     "conntrack   time-outs of closed connections are 1 s\n"
		     "traffic     70 bytes there, 150 back; %u Services of each protocol "
		     "in use, half are TCP, half UDP\n",
		     pin(), o.rounds, N_USED);
	for (unsigned i = 0; i < o.n_sizes; i++)
		measure(&o, o.sizes[i]);
	report_load("after");
	return 0;
}
