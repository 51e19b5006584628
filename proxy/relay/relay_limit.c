#include "proxy/relay/relay_limit.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>

#define RESERVED    256 /* for the daemon: watches, control clients, servers */
#define PIPES	    64	/* descriptors of a worker's pipes */
#define SHARES	    3	/* of descriptors: a connection has two, a flow one */
#define USUAL_PORTS 28232
#define MAX_NOFILE  (1 << 24)

/* Each flow has a port of this host, which all its programs share. */
static uint32_t n_ports(void)
{
	FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	unsigned low, high;
	bool is_read = file && fscanf(file, "%u %u", &low, &high) == 2 && low <= high;

	if (file)
		(void)fclose(file);
	return is_read ? high - low + 1 : USUAL_PORTS;
}

void relay_limit_init(struct relay_limit *l, unsigned n_workers)
{
	struct rlimit limit = {.rlim_cur = 1024};
	uint64_t own = RESERVED + PIPES * (uint64_t)n_workers, n;

	(void)getrlimit(RLIMIT_NOFILE, &limit); /* cannot fail */
	n = limit.rlim_cur < MAX_NOFILE ? limit.rlim_cur : MAX_NOFILE;
	*l = (struct relay_limit){.n_max = (uint32_t)(n > own ? n - own : 0)};
	l->n_max_ears = l->n_max / 2;
	l->n_max_flows = n_ports() / 2;
	if (l->n_max_flows > l->n_max)
		l->n_max_flows = l->n_max;
}

static uint32_t load(const uint32_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* Two threads may pass the limit together: by the number of threads at most. */
static bool take(uint32_t *counter, bool is_free)
{
	if (is_free)
		(void)__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
	return is_free;
}

static uint32_t n_free(const struct relay_limit *l)
{
	return l->n_max - load(&l->n_tcp_ears) - load(&l->n_udp_ears);
}

uint32_t relay_limit_max_flows(const struct relay_limit *l)
{
	uint32_t n = load(&l->n_tcp_ears) ? n_free(l) / SHARES : n_free(l);

	return n < l->n_max_flows ? n : l->n_max_flows;
}

uint32_t relay_limit_max_conns(const struct relay_limit *l)
{
	uint32_t reserved = load(&l->n_udp_ears) ? relay_limit_max_flows(l) : 0;

	return (n_free(l) - reserved) / 2;
}

/* The shares may have changed since the others took theirs. */
static bool has_room(const struct relay_limit *l, uint32_t n)
{
	return 2 * load(&l->n_conns) + load(&l->n_flows) + n <= n_free(l);
}

static uint32_t *ears_of(struct relay_limit *l, uint8_t proto)
{
	return proto == IPPROTO_UDP ? &l->n_udp_ears : &l->n_tcp_ears;
}

bool relay_limit_take_ear(struct relay_limit *l, uint8_t proto)
{
	return take(ears_of(l, proto), l->n_max - n_free(l) < l->n_max_ears);
}

bool relay_limit_take_conn(struct relay_limit *l)
{
	return take(&l->n_conns,
		    load(&l->n_conns) < relay_limit_max_conns(l) && has_room(l, 2));
}

bool relay_limit_take_flow(struct relay_limit *l)
{
	return take(&l->n_flows,
		    load(&l->n_flows) < relay_limit_max_flows(l) && has_room(l, 1));
}

bool relay_limit_has_excess_flows(const struct relay_limit *l)
{
	return load(&l->n_flows) > relay_limit_max_flows(l);
}

void relay_limit_give_flow(struct relay_limit *l)
{
	(void)__atomic_sub_fetch(&l->n_flows, 1, __ATOMIC_RELAXED);
}

void relay_limit_give_ear(struct relay_limit *l, uint8_t proto)
{
	(void)__atomic_sub_fetch(ears_of(l, proto), 1, __ATOMIC_RELEASE);
}

bool relay_limit_is_used(const struct relay_limit *l)
{
	return __atomic_load_n(&l->n_tcp_ears, __ATOMIC_ACQUIRE) ||
	       __atomic_load_n(&l->n_udp_ears, __ATOMIC_ACQUIRE) || load(&l->n_conns);
}

void relay_limit_give_conn(struct relay_limit *l)
{
	(void)__atomic_sub_fetch(&l->n_conns, 1, __ATOMIC_RELAXED);
}
