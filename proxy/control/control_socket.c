#include "proxy/control/control_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"

/* The last folder of the path only: /run is there, /run/sluice may not be. */
static int make_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_(freep) char *folder = NULL;

	if (!slash || slash == path)
		return 0;
	folder = xstrndup(path, (size_t)(slash - path));
	if (mkdir(folder, 0755) == -1 && errno != EEXIST)
		return -errno;
	return 0;
}

static int take_lock(const char *path, int *ret_fd)
{
	_cleanup_(freep) char *name = xasprintf("%s.lock", path);
	_cleanup_(closep) int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd == -1)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) == -1)
		return errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
	*ret_fd = take_fd(fd);
	return 0;
}

/* The holder of the lock may replace a socket, but not a file of another type. */
static int remove_stale(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == -1)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	return unlink(path) == -1 ? -errno : 0;
}

static int listen_at(const char *path, int backlog, int *ret_fd)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	_cleanup_(closep) int fd = -1;
	mode_t mask;
	int result;

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -errno;
	mask = umask(0177); /* it has its mode from the first moment on */
	result = bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == -1 ? -errno : 0;
	(void)umask(mask);
	if (result != 0)
		return result;
	if (listen(fd, backlog) == -1)
		return -errno;
	*ret_fd = take_fd(fd);
	return 0;
}

int control_socket_open(const char *path, int backlog, struct control_socket *ret)
{
	struct control_socket s = {.path = xstrdup(path), .lock_fd = -1, .listen_fd = -1};
	int err = make_folder(path);

	if (err == 0)
		err = take_lock(path, &s.lock_fd);
	if (err == 0)
		err = remove_stale(path);
	if (err == 0)
		err = listen_at(path, backlog, &s.listen_fd);
	if (err == 0)
		*ret = s;
	else
		control_socket_close(&s);
	return err;
}

void control_socket_close(struct control_socket *s)
{
	if (s->listen_fd >= 0) {
		(void)close(s->listen_fd);
		(void)unlink(s->path);
	}
	if (s->lock_fd >= 0)
		(void)close(s->lock_fd); /* the file stays: removing it would race */
	free(s->path);
}
