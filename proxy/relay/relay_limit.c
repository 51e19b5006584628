#include "proxy/relay/relay_limit.h"

#include <sys/resource.h>

#define RESERVED      256 /* for the daemon: watches, control clients, servers */
#define PIPES	      64  /* descriptors of a worker's pipes */
#define OF_CONNECTION 2
#define MAX_NOFILE    (1 << 24)

void relay_limit_init(struct relay_limit *l, unsigned n_workers)
{
	struct rlimit limit = {.rlim_cur = 1024};
	uint64_t own = RESERVED + PIPES * (uint64_t)n_workers, n;

	(void)getrlimit(RLIMIT_NOFILE, &limit); /* cannot fail */
	n = limit.rlim_cur < MAX_NOFILE ? limit.rlim_cur : MAX_NOFILE;
	*l = (struct relay_limit){.n_max = (uint32_t)(n > own ? n - own : 0)};
	l->n_max_ears = l->n_max / 2;
}

static uint32_t load(const uint32_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* Two threads may pass the limit together: by the number of threads at most. */
static bool take(uint32_t *counter, bool has_room)
{
	if (has_room)
		(void)__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
	return has_room;
}

uint32_t relay_limit_max_conns(const struct relay_limit *l)
{
	return (l->n_max - load(&l->n_ears)) / OF_CONNECTION;
}

bool relay_limit_take_ear(struct relay_limit *l)
{
	return take(&l->n_ears, load(&l->n_ears) < l->n_max_ears);
}

bool relay_limit_take_conn(struct relay_limit *l)
{
	return take(&l->n_conns, load(&l->n_conns) < relay_limit_max_conns(l));
}

void relay_limit_give_ear(struct relay_limit *l)
{
	(void)__atomic_sub_fetch(&l->n_ears, 1, __ATOMIC_RELAXED);
}

void relay_limit_give_conn(struct relay_limit *l)
{
	(void)__atomic_sub_fetch(&l->n_conns, 1, __ATOMIC_RELAXED);
}
