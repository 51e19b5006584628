/*
 * The cost of a connection, a request and a datagram to a Service, against the
 * same to an endpoint directly: CPU time of one pinned process that is client
 * and server. Candidates are compared in pairs: sockets of all of them are open at
 * the same time, short slices of each follow one another and then in the opposite
 * order, and the ratio is made for each such round. So other load, a change of the
 * clock's frequency and most of what memory does meet all of them. Everything is in
 * namespaces and cgroups of its own. Run by bench/socketlb.
 *
 *   bench_socketlb [--quick] [--rounds N] [--services N,N…]
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
#define N_PAIRS	    3 /* of slices of each candidate, in a round */

struct options {
	unsigned rounds, percent; /* percent: length of a slice */
	uint32_t sizes[SIZES_MAX];
	unsigned n_sizes;
};

enum { NODE_BARE, NODE_LOADED, NODE_N }; /* without nftables, and with it */

enum destination { TO_ENDPOINT, TO_SERVICE, TO_HAPROXY };

struct candidate {
	const char *name;
	enum destination to;
	bool has_programs;
};

#define N_CANDIDATES 4

/* All others are compared with the first, which is also there twice: that row is the noise. */
static const struct candidate candidates[NODE_N][N_CANDIDATES] = {
	[NODE_BARE] = {{"direct", TO_ENDPOINT, false},
		       {"direct again", TO_ENDPOINT, false},
		       {"ebpf", TO_SERVICE, true},
		       {"haproxy", TO_HAPROXY, false}},
	[NODE_LOADED] = {{"direct, nft loaded", TO_ENDPOINT, false},
			 {"direct again, nft loaded", TO_ENDPOINT, false},
			 {"ebpf, nft loaded", TO_SERVICE, true},
			 {"nftables", TO_SERVICE, false}},
};

static const struct client {
	const char *name;
	enum node_place place;
} clients[] = {{"node", NODE_HOST}, {"pod", NODE_CLIENT}};

#define N_CLIENTS N_ELEMENTS(clients)

/* Operations in a slice: some 5 ms of CPU time. */
static const unsigned n_operations[TRAFFIC_KIND_N] = {
	[TRAFFIC_CONNECTION] = 75,
	[TRAFFIC_REQUEST] = 400,
	[TRAFFIC_CONNECTED] = 400,
	[TRAFFIC_UNCONNECTED] = 400,
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
	struct cell cells[N_CLIENTS][TRAFFIC_KIND_N][NODE_N][N_CANDIDATES];
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
	struct cell *cells = &b->cells[0][0][0][0];

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

/* Endpoints are picked as the programs do: at random from those of the Service. */
static struct sockaddr_in destination(const struct bench *b, enum destination to,
				      bool is_tcp, unsigned i)
{
	const struct places *places = is_tcp ? &b->tcp : &b->udp;
	unsigned service = i % N_USED;

	switch (to) {
	case TO_ENDPOINT:
		return places->endpoints[service * N_ENDPOINTS +
					 (unsigned)random() % N_ENDPOINTS];
	case TO_SERVICE:
		return places->services[service];
	case TO_HAPROXY:
		break;
	}
	return b->proxies[service];
}

struct contest { /* one kind of traffic on one node */
	struct bench *b;
	const struct node *node;
	const struct candidate *candidates;
	struct cell *cells;
	struct traffic traffic[N_CANDIDATES];
	struct traffic_result results[N_CANDIDATES];
	unsigned order[N_CANDIDATES], n; /* those that are possible */
	unsigned slice;
};

static void enter_cgroup(const struct contest *c, unsigned i)
{
	move(c->b, c->candidates[i].has_programs ? c->node->cgroup : c->b->plain);
}

static void open_candidate(struct contest *c, unsigned i, enum traffic_kind kind)
{
	const struct candidate *candidate = &c->candidates[i];
	struct traffic *t = &c->traffic[i];

	*t = (struct traffic){.kind = kind, .node = c->node};
	t->helper = candidate->to == TO_HAPROXY ? c->b->haproxy : 0;
	for (unsigned k = 0; k < TRAFFIC_PLACES; k++)
		t->places[k] = destination(c->b, candidate->to, traffic_is_tcp(kind), k);
	enter_cgroup(c, i);
	traffic_open(t, c->slice / 10);
}

/*
 * Entering a cgroup leaves cold caches, so a slice starts with operations that do not count.
 * Only those that open sockets depend on the cgroup.
 */
static void run_slice(struct contest *c, unsigned i)
{
	struct traffic_result r;

	if (c->traffic[i].kind == TRAFFIC_CONNECTION)
		enter_cgroup(c, i);
	(void)traffic_run(&c->traffic[i], c->slice / 10);
	r = traffic_run(&c->traffic[i], c->slice);
	c->results[i].cpu_ns += r.cpu_ns;
	c->results[i].wall_ns += r.wall_ns;
	traffic_time(&c->traffic[i], c->slice / 10, &c->cells[i].latency);
}

/* There and back: what changes steadily meanwhile adds the same to each candidate. */
static void run_pair(struct contest *c)
{
	memset(c->results, 0, sizeof(c->results));
	for (unsigned i = 0; i < c->n; i++)
		run_slice(c, c->order[i]);
	for (unsigned i = c->n; i-- > 0;)
		run_slice(c, c->order[i]);
	for (unsigned i = 0; i < c->n; i++)
		cell_add(&c->cells[c->order[i]], &c->results[c->order[i]], &c->results[0],
			 2 * c->slice);
}

static void run_contest(struct contest *c, enum traffic_kind kind)
{
	for (unsigned i = 0; i < c->n; i++)
		open_candidate(c, c->order[i], kind);
	for (unsigned i = 0; i < N_PAIRS; i++)
		run_pair(c);
	for (unsigned i = 0; i < c->n; i++)
		traffic_close(&c->traffic[c->order[i]]);
}

/* Sockets are opened for each round: where their memory is changes what they cost. */
static void run_round(struct bench *b, const struct options *o, unsigned client,
		      enum traffic_kind kind, unsigned node, unsigned round)
{
	struct contest c = {.b = b,
			    .node = &b->nodes[node],
			    .candidates = candidates[node],
			    .cells = b->cells[client][kind][node],
			    .slice = n_operations[kind] * o->percent / 100};

	for (unsigned i = 0; i < N_CANDIDATES; i++) {
		unsigned k = (i + round) % N_CANDIDATES;

		if (is_possible(b, &c.candidates[k], kind))
			c.order[c.n++] = k;
	}
	node_enter(c.node, clients[client].place);
	run_contest(&c, kind);
}

static void run_rounds(struct bench *b, const struct options *o, unsigned round)
{
	for (unsigned client = 0; client < N_CLIENTS; client++)
		for (enum traffic_kind kind = 0; kind < TRAFFIC_KIND_N; kind++)
			for (unsigned node = 0; node < NODE_N; node++)
				run_round(b, o, client, kind, node, round);
}

static void print_node(struct bench *b, unsigned client, enum traffic_kind kind,
		       unsigned node)
{
	for (unsigned i = 0; i < N_CANDIDATES; i++)
		if (is_possible(b, &candidates[node][i], kind))
			report_row(traffic_name(kind), candidates[node][i].name,
				   &b->cells[client][kind][node][i]);
}

static void print_tables(struct bench *b, unsigned n_rounds)
{
	for (unsigned client = 0; client < N_CLIENTS; client++) {
		report_header(b->services.n, N_ENDPOINTS, clients[client].name, n_rounds);
		for (enum traffic_kind kind = 0; kind < TRAFFIC_KIND_N; kind++)
			for (unsigned node = 0; node < NODE_N; node++)
				print_node(b, client, kind, node);
	}
	if (!b->haproxy)
		(void)printf("haproxy is not installed: no rows of it\n");
}

/* The first round shows how long all will take. */
static void measure(const struct options *o, uint32_t n_services)
{
	struct bench b = {0};
	uint64_t start_us;

	init(&b, n_services);
	start_us = samples_now_us();
	for (unsigned round = 0; round < o->rounds; round++) {
		run_rounds(&b, o, round);
		if (round == 0)
			(void)fprintf(stderr,
				      "%u Services: %u rounds take about %llu s\n",
				      n_services, o->rounds,
				      (unsigned long long)((samples_now_us() - start_us) *
							   o->rounds / 1000000));
	}
	print_tables(&b, o->rounds);
	fini(&b);
}

static _Noreturn void usage(void)
{
	(void)fprintf(stderr, "usage: bench_socketlb [--quick] [--rounds N] "
			      "[--services N,N...]\n");
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
					      {0}};
	struct options o = {60, 100, {10, 10000, 100000}, 3};

	for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		if (c == 'q') {
			o = (struct options){3, 10, {10, 10000}, 2};
		} else if (c == 'r') {
			o.rounds = parse_number(optarg, 1, 1000);
		} else if (c == 's') {
			parse_sizes(optarg, &o);
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
	(void)printf(
		"pinned      client, server and haproxy on CPU %d\n"
		"rounds      %u of %u pairs of slices; CPU: lowest quartile; of direct, "
		"rate: median\n"
		"conntrack   time-outs of closed connections are 1 s\n"
		"traffic     70 bytes there, 150 back; %u Services of each protocol "
		"in use, half are TCP, half UDP\n",
		pin(), o.rounds, N_PAIRS, N_USED);
	for (unsigned i = 0; i < o.n_sizes; i++)
		measure(&o, o.sizes[i]);
	report_load("after");
	return 0;
}
