#include "proxy/relay/relay_inheritance.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/relay/relay_listener.h"

struct group {
	struct relay_listener_key key; /* first: items start with their key */
	int *fds;
	size_t n, cap;
};

void relay_inheritance_init(struct relay_inheritance *in)
{
	*in = (struct relay_inheritance){.state_fd = -1, .transfer_fd = -1};
	hash_init(&in->groups, &relay_listener_ops);
}

static int option(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) == 0 ? value : -1;
}

/* A kernel without cookies has no way to compare. */
static bool is_of_this_namespace(int fd)
{
	_cleanup_(closep) int own = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t theirs = 0, ours = 0;
	socklen_t len = sizeof(ours);

	if (own == -1)
		return false; /* without descriptors nothing can be taken over */
	if (getsockopt(own, SOL_SOCKET, SO_NETNS_COOKIE, &ours, &len) == -1)
		return true;
	len = sizeof(theirs);
	return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &theirs, &len) == 0 &&
	       theirs == ours;
}

static bool is_listener(int fd, int proto)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);

	if (proto == IPPROTO_TCP)
		return option(fd, SO_ACCEPTCONN) == 1;
	return proto == IPPROTO_UDP &&
	       getpeername(fd, (struct sockaddr *)&peer, &len) == -1 && errno == ENOTCONN;
}

static int listener_key(int fd, struct relay_listener_key *ret)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	int proto = option(fd, SO_PROTOCOL);
	struct relay_listener_key key = {.proto = (uint8_t)proto};

	if (!is_listener(fd, proto) ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) == -1 ||
	    addr_from_sockaddr((const struct sockaddr *)&sa, &key.addr, &key.port) != 0 ||
	    !key.port)
		return -EINVAL;
	if (!is_of_this_namespace(fd))
		return -EXDEV;
	*ret = key;
	return 0;
}

static struct group *find(struct relay_inheritance *in,
			  const struct relay_listener_key *key)
{
	struct group *g = hash_find(&in->groups, key);

	if (g)
		return g;
	g = xcalloc(1, sizeof(*g));
	g->key = *key;
	(void)hash_put(&in->groups, g);
	return g;
}

int relay_inheritance_add(struct relay_inheritance *in, int fd)
{
	_cleanup_(closep) int owned = fd;
	struct relay_listener_key key;
	struct group *g;
	int err;

	if (fcntl(fd, F_GET_SEALS) != -1 && in->state_fd == -1) {
		in->state_fd = take_fd(owned);
		return 0;
	}
	if (option(fd, SO_DOMAIN) == AF_UNIX && in->transfer_fd == -1) {
		in->transfer_fd = take_fd(owned);
		return 0;
	}
	err = listener_key(fd, &key);
	if (err)
		return err;
	g = find(in, &key);
	g->fds = xgrow(g->fds, g->n, &g->cap, sizeof(*g->fds));
	g->fds[g->n++] = take_fd(owned);
	in->n_sockets++;
	return 0;
}

size_t relay_inheritance_n(const struct relay_inheritance *in,
			   const struct relay_listener_key *key)
{
	const struct group *g = hash_find(&in->groups, key);

	return g ? g->n : 0;
}

int relay_inheritance_take(struct relay_inheritance *in,
			   const struct relay_listener_key *key)
{
	struct group *g = hash_find(&in->groups, key);

	if (!g || !g->n)
		return -1;
	in->n_sockets--;
	return g->fds[--g->n];
}

void relay_inheritance_fini(struct relay_inheritance *in,
			    void (*unused)(void *data,
					   const struct relay_listener_key *key),
			    void *data)
{
	struct group *g;

	for (size_t i = 0; (g = hash_next(&in->groups, &i));) {
		if (g->n && unused)
			unused(data, &g->key);
		while (g->n)
			(void)close(g->fds[--g->n]);
		free(g->fds);
		free(g);
	}
	hash_fini(&in->groups);
	closep(&in->state_fd);
	closep(&in->transfer_fd);
	relay_inheritance_init(in);
}
