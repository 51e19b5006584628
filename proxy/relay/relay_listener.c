#include "proxy/relay/relay_listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/mem.h"
#include "proxy/relay/relay_inheritance.h"

#define BACKLOG 4096 /* net.core.somaxconn bounds it */

static uint64_t key_hash(const void *key)
{
	return hash_bytes(key, sizeof(struct relay_listener_key));
}

static bool key_equal(const void *item, const void *key)
{
	return memcmp(item, key, sizeof(struct relay_listener_key)) == 0;
}

const struct hash_ops relay_listener_ops = {.hash = key_hash, .equal = key_equal};

_Static_assert(sizeof(struct relay_listener_key) == 20, "the key has no padding");

struct relay_listener_key relay_listener_key_of(const struct service *service,
						const struct frontend *f,
						const struct addr *addr)
{
	return (struct relay_listener_key){.addr = *addr,
					   .port = f->port,
					   .proto = service->proto};
}

bool relay_listener_is_needed(const struct service *service, const struct frontend *f)
{
	if (f->is_limited ||
	    (service_times(service)->hold_ms && service->proto == IPPROTO_TCP))
		return true;
	for (int class = 0; class < CLIENT_N; class ++)
		if (f->from[class].action != ACTION_REJECT)
			return true;
	return false;
}

/* Accepted sockets inherit all of them. With SO_REUSEADDR a UDP socket would share its address. */
static int set_options(int fd, enum family family, uint8_t proto)
{
	const struct {
		int level, name;
		bool is_tcp;
	} options[] = {
		{SOL_SOCKET, SO_REUSEPORT, false}, {IPPROTO_IP, IP_FREEBIND, false},
		{SOL_SOCKET, SO_REUSEADDR, true},  {SOL_SOCKET, SO_KEEPALIVE, true},
		{SOL_SOCKET, SO_OOBINLINE, true},  {IPPROTO_TCP, TCP_NODELAY, true},
	};
	int one = 1;

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if ((proto == IPPROTO_TCP || !options[i].is_tcp) &&
		    setsockopt(fd, options[i].level, options[i].name, &one,
			       sizeof(one)) == -1)
			return -errno;
	if (family == FAMILY_IPV6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &one, sizeof(one)) == -1)
		return -errno;
	return 0;
}

/* The filter comes before the first connection. */
static int open_socket(const struct relay_listener *l, int *ret_fd)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&l->key.addr, l->key.port, &sa);
	bool is_tcp = l->key.proto == IPPROTO_TCP;
	_cleanup_(closep) int fd =
		socket(sa.ss_family,
		       (is_tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC,
		       0);
	int err = fd == -1 ? -errno
			   : set_options(fd, addr_family(&l->key.addr), l->key.proto);

	if (!err && l->filter.n)
		err = relay_filter_attach(&l->filter, fd);
	if (err)
		return err;
	if (bind(fd, (const struct sockaddr *)&sa, len) == -1 ||
	    (is_tcp && listen(fd, BACKLOG) == -1))
		return -errno;
	*ret_fd = take_fd(fd);
	return 0;
}

/*
 * Accepted sockets inherit it: the ACK of a request rides on the answer. listen() would
 * clear it.  Without it an ACK of its own is sent.
 */
static void delay_acks(int fd)
{
	int zero = 0;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &zero, sizeof(zero));
}

/* One that the process before this one opened (is_old), or a new one. */
static int get_socket(const struct relay_listener *l,
		      struct relay_inheritance *inheritance, int *ret_fd,
		      bool *ret_is_old)
{
	int fd = inheritance ? relay_inheritance_take(inheritance, &l->key) : -1, err;

	*ret_is_old = fd != -1;
	err = fd == -1 ? open_socket(l, &fd) : relay_filter_attach(&l->filter, fd);
	if (err) {
		if (fd != -1)
			(void)close(fd);
		return err;
	}
	if (l->key.proto == IPPROTO_TCP)
		delay_acks(fd);
	*ret_fd = fd;
	return 0;
}

void relay_outbox_add(struct relay_outbox *out, const struct relay_worker *to,
		      struct relay_message *m)
{
	for (unsigned i = 0; i < out->shared->n_workers; i++)
		if (out->shared->workers[i] == to)
			STAILQ_INSERT_TAIL(&out->of_worker[i], m, next);
}

static int add_ear(struct relay_listener *l, struct relay_worker *worker,
		   struct relay_service *service, const struct frontend *f,
		   bool is_shared)
{
	struct relay_ear *ear;
	bool is_old;
	int fd = -1, err;

	if (!relay_limit_take_ear(worker->shared->limit, l->key.proto))
		return -EMFILE;
	err = get_socket(l, worker->shared->inheritance, &fd, &is_old);
	if (err) {
		relay_limit_give_ear(worker->shared->limit, l->key.proto);
		return err;
	}
	ear = xcalloc(1, sizeof(*ear));
	ear->io.fd = fd;
	ear->worker = worker;
	ear->service = relay_service_ref(service);
	ear->frontend = f;
	ear->is_shared = is_shared;
	ear->is_waiting =
		is_old && worker->shared->has_predecessor && l->key.proto == IPPROTO_UDP;
	l->ears[l->n_ears++] = ear;
	return 0;
}

/* Of one that no worker has seen. */
static void discard(struct relay_listener *l)
{
	for (unsigned i = 0; i < l->n_ears; i++) {
		struct relay_ear *ear = l->ears[i];

		(void)close(ear->io.fd);
		relay_limit_give_ear(ear->worker->shared->limit, l->key.proto);
		relay_service_unref(ear->service);
		free(ear);
	}
	relay_filter_fini(&l->filter);
	free(l);
}

static const char *reason(int err)
{
	switch (err) {
	case -EADDRINUSE:
		return "another process listens on this port, at this address or at all "
		       "addresses";
	case -EMFILE:
		return "the limit of open files leaves no room for its listener";
	case -EACCES:
		return "CAP_NET_BIND_SERVICE is missing for ports below 1024";
	default:
		return strerror(-err);
	}
}

int relay_listener_open(struct relay_outbox *out, struct relay_service *service,
			const struct frontend *f, const struct relay_listener_key *key,
			bool is_shared, struct relay_listener **ret, const char **ret_why)
{
	const struct relay_shared *shared = out->shared;
	unsigned n = is_shared ? 1 : shared->n_workers, first = 0;
	struct relay_listener *l;
	int err = 0;

	/* clients wait at each of the inherited sockets: a worker may get two */
	if (shared->inheritance && relay_inheritance_n(shared->inheritance, key) > n)
		n = (unsigned)relay_inheritance_n(shared->inheritance, key);
	l = xcalloc(1, sizeof(*l) + n * sizeof(l->ears[0]));
	l->key = *key;
	if (!relay_filter_build(&l->filter, service, f)) {
		*ret_why = "it has more source ranges than a socket filter can hold";
		discard(l);
		return -E2BIG;
	}
	if (is_shared)
		first = (unsigned)(key_hash(&l->key) % shared->n_workers);
	for (unsigned i = 0; i < n && !err; i++)
		err = add_ear(l, shared->workers[(first + i) % shared->n_workers],
			      service, f, is_shared && shared->n_workers > 1);
	if (err) {
		*ret_why = reason(err);
		discard(l);
		return err;
	}
	for (unsigned i = 0; i < n; i++)
		relay_outbox_add(out, l->ears[i]->worker,
				 relay_message_new(RELAY_LISTEN, l->ears[i]));
	*ret = l;
	return 0;
}

static bool is_same(const struct relay_filter *a, const struct relay_filter *b)
{
	return a->n == b->n &&
	       (a->n == 0 || memcmp(a->code, b->code, a->n * sizeof(*a->code)) == 0);
}

/* The sockets stay open until the worker gets RELAY_CLOSE. */
static int change_filter(struct relay_listener *l, struct relay_filter *filter)
{
	int err = 0;

	for (unsigned i = 0; i < l->n_ears && !err; i++)
		err = relay_filter_attach(filter, l->ears[i]->io.fd);
	relay_filter_fini(&l->filter);
	l->filter = *filter;
	return err;
}

int relay_listener_retarget(struct relay_listener *l, struct relay_outbox *out,
			    struct relay_service *service, const struct frontend *f)
{
	struct relay_filter filter = {0};

	if (!relay_filter_build(&filter, service, f)) {
		relay_filter_fini(&filter);
		return -E2BIG;
	}
	if (is_same(&filter, &l->filter)) {
		relay_filter_fini(&filter);
	} else {
		int err = change_filter(l, &filter);

		if (err)
			return err;
	}
	for (unsigned i = 0; i < l->n_ears; i++) {
		struct relay_message *m = relay_message_new(RELAY_RETARGET, l->ears[i]);

		m->service = relay_service_ref(service);
		m->frontend = f;
		relay_outbox_add(out, l->ears[i]->worker, m);
	}
	return 0;
}

static void end(struct relay_listener *l, struct relay_outbox *out,
		enum relay_message_kind kind)
{
	for (unsigned i = 0; i < l->n_ears; i++)
		relay_outbox_add(out, l->ears[i]->worker,
				 relay_message_new(kind, l->ears[i]));
	relay_filter_fini(&l->filter);
	free(l);
}

void relay_listener_close(struct relay_listener *l, struct relay_outbox *out)
{
	end(l, out, RELAY_CLOSE);
}

void relay_listener_leave(struct relay_listener *l, struct relay_outbox *out)
{
	end(l, out, RELAY_LEAVE);
}

uint64_t relay_listener_n_connections(const struct relay_listener *l)
{
	uint64_t n = l->n_before;

	for (unsigned i = 0; i < l->n_ears; i++)
		n += relay_counted(&l->ears[i]->n_connections);
	return n;
}
