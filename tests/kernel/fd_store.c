#include "tests/kernel/fd_store.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/kernel/world.h"
#include "tests/test.h"

#define MAX_FDS	 256
#define NAME_LEN 128
#define FIRST	 3
#define ASIDE	 1000 /* numbers that no passed descriptor gets */

struct item {
	int fd;
	char name[NAME_LEN];
};

struct fd_store {
	char *path;
	int socket;
	pthread_t thread;
	pthread_mutex_t lock;
	struct item items[MAX_FDS];
	size_t n;
};

static struct fd_store *store;

static bool is_same(int a, int b)
{
	return syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, a, b) == 0;
}

static void put(struct fd_store *s, const char *name, int fd)
{
	for (size_t i = 0; i < s->n; i++)
		if (is_same(s->items[i].fd, fd)) {
			(void)close(fd);
			return;
		}
	if (s->n == MAX_FDS)
		abort();
	s->items[s->n].fd = fd;
	(void)snprintf(s->items[s->n].name, NAME_LEN, "%s", name);
	s->n++;
}

static void delete_name(struct fd_store *s, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->items[i].name, name) == 0)
			(void)close(s->items[i].fd);
		else
			s->items[n++] = s->items[i];
	s->n = n;
}

static void handle(struct fd_store *s, const char *text, struct msghdr *m)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(m);
	const char *at = strstr(text, "FDNAME=");
	char name[NAME_LEN] = "";
	int fds[MAX_FDS];
	size_t n = c ? (c->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;

	if (at)
		(void)sscanf(at, "FDNAME=%127[^\n]", name);
	if (n)
		memcpy(fds, CMSG_DATA(c), n * sizeof(int));
	if (strstr(text, "FDSTOREREMOVE=1"))
		delete_name(s, name);
	for (size_t i = 0; i < n; i++)
		put(s, name, fds[i]);
}

static bool has_message(const struct fd_store *s, int timeout_ms)
{
	struct pollfd p = {.fd = s->socket, .events = POLLIN};

	return poll(&p, 1, timeout_ms) == 1;
}

static void lock_when_quiet(struct fd_store *s)
{
	for (;;) {
		(void)pthread_mutex_lock(&s->lock);
		if (!has_message(s, 0))
			return;
		(void)pthread_mutex_unlock(&s->lock);
		(void)usleep(1000);
	}
}

/* A service manager, too, takes all messages before it starts the next process. */
static void lock_for_fork(void)
{
	if (store)
		lock_when_quiet(store);
}

static void unlock_after_fork(void)
{
	if (store)
		(void)pthread_mutex_unlock(&store->lock);
}

static void *run(void *data)
{
	struct fd_store *s = data;

	for (;;) {
		char text[4096] = "";
		_Alignas(struct cmsghdr) char control[CMSG_SPACE(MAX_FDS * sizeof(int))];
		struct iovec iov = {.iov_base = text, .iov_len = sizeof(text) - 1};
		struct msghdr m = {.msg_iov = &iov,
				   .msg_iovlen = 1,
				   .msg_control = control,
				   .msg_controllen = sizeof(control)};

		(void)has_message(s, -1);
		(void)pthread_mutex_lock(&s->lock);
		if (recvmsg(s->socket, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) > 0)
			handle(s, text, &m);
		(void)pthread_mutex_unlock(&s->lock);
		if (strcmp(text, "end") == 0)
			return NULL;
	}
}

struct fd_store *fd_store_start(const char *path)
{
	static bool is_registered;
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	if (!is_registered)
		assert_int_equal(pthread_atfork(lock_for_fork, unlock_after_fork,
						unlock_after_fork),
				 0);
	is_registered = true;
	store = xcalloc(1, sizeof(*store));
	store->path = xstrdup(path);
	(void)pthread_mutex_init(&store->lock, NULL);
	store->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(strlen(path) < sizeof(sa.sun_path));
	memcpy(sa.sun_path, path, strlen(path));
	assert_int_equal(bind(store->socket, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(pthread_create(&store->thread, NULL, run, store), 0);
	return store;
}

void fd_store_stop(struct fd_store *s)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(sa.sun_path, s->path, strlen(s->path));
	assert_int_equal(sendto(fd, "end", 3, 0, (struct sockaddr *)&sa, sizeof(sa)), 3);
	(void)close(fd);
	(void)pthread_join(s->thread, NULL);
	while (s->n)
		(void)close(s->items[--s->n].fd);
	(void)close(s->socket);
	(void)unlink(s->path);
	free(s->path);
	free(s);
	store = NULL;
}

/* Only this thread is in the child. */
void fd_store_pass(void)
{
	_cleanup_(buf_fini) struct buf names = BUF_INIT;
	char number[32];
	size_t n;

	if (!store)
		return;
	n = store->n;
	for (size_t i = 0; i < n; i++) {
		store->items[i].fd = fcntl(store->items[i].fd, F_DUPFD, ASIDE);
		buf_printf(&names, "%s%s", i ? ":" : "", store->items[i].name);
	}
	for (size_t i = 0; i < n; i++)
		(void)dup2(store->items[i].fd, FIRST + (int)i);
	(void)close_range(FIRST + (unsigned)n, ~0u, 0);
	(void)setenv("NOTIFY_SOCKET", store->path, 1);
	(void)setenv("LISTEN_FDNAMES", buf_string(&names), 1);
	(void)snprintf(number, sizeof(number), "%zu", n);
	(void)setenv("LISTEN_FDS", number, 1);
	(void)snprintf(number, sizeof(number), "%d", (int)getpid());
	(void)setenv("LISTEN_PID", number, 1);
}

size_t fd_store_n(struct fd_store *s)
{
	size_t n;

	lock_when_quiet(s);
	n = s->n;
	(void)pthread_mutex_unlock(&s->lock);
	return n;
}

/* False: there is none. */
static bool stat_state(struct fd_store *s, struct stat *ret)
{
	bool is_there = false;

	lock_when_quiet(s);
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->items[i].name, "state") == 0)
			is_there = fstat(s->items[i].fd, ret) == 0;
	(void)pthread_mutex_unlock(&s->lock);
	return is_there;
}

void fd_store_await_state(struct fd_store *s, unsigned n_times)
{
	uint64_t start_us = world_now_us();
	struct stat before = {0}, now;

	(void)stat_state(s, &before);
	while (n_times) {
		if (world_now_us() - start_us > WORLD_PATIENCE_US)
			fail_msg("the state is not saved");
		world_sleep_ms(10);
		if (!stat_state(s, &now) ||
		    (now.st_ino == before.st_ino &&
		     now.st_mtim.tv_sec == before.st_mtim.tv_sec &&
		     now.st_mtim.tv_nsec == before.st_mtim.tv_nsec))
			continue;
		before = now;
		n_times--;
	}
}

void fd_store_damage_state(struct fd_store *s)
{
	bool is_done = false;

	(void)pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->items[i].name, "state") == 0)
			is_done = pwrite(s->items[i].fd, "x", 1, 50) == 1;
	(void)pthread_mutex_unlock(&s->lock);
	assert_true(is_done);
}
