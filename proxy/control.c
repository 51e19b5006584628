/*
 * The listening side.  A connection is read until its newline, answered, and
 * closed; one that stands still for CLIENT_TIMEOUT_SEC is closed as well.  When
 * there are too many, no more are accepted until one goes: they wait in the
 * backlog.
 *
 * The lock file beside the socket is what keeps a second daemon away; the
 * socket alone can't, a stale one looks like a live one until it is tried.
 */
#include "proxy/control.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"

#define MAX_CLIENTS	   16
#define CLIENT_TIMEOUT_SEC 10.

struct client {
	struct control *control;
	struct client *next;
	ev_io io;
	ev_timer timer;
	int fd;
	bool is_answered;	       /* out is being sent */
	struct control_answer *answer; /* what comes after out; NULL: nothing */
	struct buf in, out;
	size_t sent_len; /* 0 <= sent_len <= out.len */
};

struct control {
	struct ev_loop *loop;
	control_fn answer;
	void *data;
	char *path;
	int lock_fd, listen_fd;
	ev_io listen_io;
	struct client *clients;
	size_t n_clients;
};

static void client_free(struct client *client)
{
	struct control *c = client->control;
	struct client **link = &c->clients;

	while (*link != client)
		link = &(*link)->next;
	*link = client->next;
	ev_io_stop(c->loop, &client->io);
	ev_timer_stop(c->loop, &client->timer);
	(void)close(client->fd);
	if (client->answer)
		client->answer->ops->free(client->answer);
	buf_fini(&client->in);
	buf_fini(&client->out);
	free(client);
	if (c->n_clients-- == MAX_CLIENTS)
		ev_io_start(c->loop, &c->listen_io);
}

static void write_error(struct buf *out, const char *error)
{
	json_t *json = json_string(error);
	_cleanup_(freep) char *text = json_dumps(json, JSON_ENCODE_ANY);

	json_decref(json);
	buf_printf(out, "{\"version\":%d,\"error\":%s}\n", CONTROL_VERSION,
		   text ? text : "\"\"");
}

/* The next piece of the answer; after the last one the line ends. */
static void write_piece(struct client *client)
{
	if (client->answer->ops->write(client->answer, &client->out))
		return;
	buf_add_string(&client->out, "}\n");
	client->answer->ops->free(client->answer);
	client->answer = NULL;
}

static void client_answer(struct client *client, size_t len)
{
	struct control *c = client->control;
	_cleanup_(freep) char *error = NULL;
	struct control_request request;
	const char *refusal = NULL;

	if (control_request_decode(buf_string(&client->in), len, &request, &refusal) == 0)
		client->answer = c->answer(c->data, &request, &error);
	if (client->answer)
		buf_printf(&client->out, "{\"version\":%d,\"result\":", CONTROL_VERSION);
	else
		write_error(&client->out, refusal ? refusal
					  : error ? error
						  : "no answer");
	client->is_answered = true;
	ev_io_stop(c->loop, &client->io);
	ev_io_set(&client->io, client->fd, EV_WRITE);
	ev_io_start(c->loop, &client->io);
	ev_now_update(c->loop); /* our own work is not the client's standing still */
	ev_timer_again(c->loop, &client->timer);
}

static void client_read(struct client *client)
{
	char bytes[1024];
	ssize_t len = read(client->fd, bytes, sizeof(bytes));
	const char *newline;

	if (len == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len <= 0) {
		client_free(client);
		return;
	}
	buf_add(&client->in, bytes, (size_t)len);
	newline = memchr(client->in.data, '\n', client->in.len);
	if (newline)
		client_answer(client, (size_t)(newline - client->in.data));
	else if (client->in.len > CONTROL_REQUEST_MAX_LEN)
		client_answer(client, 0); /* is told that it is no request */
}

static void client_write(struct client *client)
{
	ssize_t len;

	if (client->sent_len == client->out.len && client->answer) {
		buf_clear(&client->out);
		client->sent_len = 0;
		write_piece(client);
	}
	len = send(client->fd, client->out.data + client->sent_len,
		   client->out.len - client->sent_len, MSG_NOSIGNAL);
	if (len == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len > 0)
		client->sent_len += (size_t)len;
	if (len == -1 || (client->sent_len == client->out.len && !client->answer))
		client_free(client);
	else
		ev_timer_again(client->control->loop, &client->timer);
}

static void on_client(struct ev_loop *loop, ev_io *io, int revents)
{
	struct client *client = io->data;

	(void)loop;
	(void)revents;
	if (client->is_answered)
		client_write(client);
	else
		client_read(client);
}

static void on_client_timeout(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	client_free(timer->data);
}

static void on_accept(struct ev_loop *loop, ev_io *io, int revents)
{
	struct control *c = io->data;
	int fd = accept4(c->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct client *client;

	(void)revents;
	if (fd == -1)
		return; /* gone meanwhile, or no descriptors: asked again by the loop */
	client = xcalloc(1, sizeof(*client));
	client->control = c;
	client->fd = fd;
	client->next = c->clients;
	c->clients = client;
	ev_io_init(&client->io, on_client, fd, EV_READ);
	ev_timer_init(&client->timer, on_client_timeout, CLIENT_TIMEOUT_SEC,
		      CLIENT_TIMEOUT_SEC);
	client->io.data = client->timer.data = client;
	ev_io_start(loop, &client->io);
	ev_timer_start(loop, &client->timer);
	if (++c->n_clients == MAX_CLIENTS)
		ev_io_stop(loop, &c->listen_io);
}

struct answer_json {
	struct control_answer answer;
	json_t *json;
};

static bool answer_json_write(struct control_answer *answer, struct buf *out)
{
	const struct answer_json *a = container_of(answer, struct answer_json, answer);
	_cleanup_(freep) char *text = json_dumps(a->json, JSON_COMPACT | JSON_ENCODE_ANY);

	buf_add_string(out, text ? text : "null");
	return false;
}

static void answer_json_free(struct control_answer *answer)
{
	struct answer_json *a = container_of(answer, struct answer_json, answer);

	json_decref(a->json);
	free(a);
}

struct control_answer *control_answer_json(json_t *json)
{
	static const struct control_answer_ops ops = {
		.write = answer_json_write,
		.free = answer_json_free,
	};
	struct answer_json *a = xcalloc(1, sizeof(*a));

	a->answer.ops = &ops;
	a->json = json;
	return &a->answer;
}

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

/* Whoever holds the lock may replace a socket, and nothing else. */
static int remove_stale(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == -1)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	return unlink(path) == -1 ? -errno : 0;
}

static int listen_at(const char *path, int *ret_fd)
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
	if (listen(fd, MAX_CLIENTS) == -1)
		return -errno;
	*ret_fd = take_fd(fd);
	return 0;
}

static int control_open(struct control *c)
{
	int err = make_folder(c->path);

	if (err == 0)
		err = take_lock(c->path, &c->lock_fd);
	if (err == 0)
		err = remove_stale(c->path);
	if (err == 0)
		err = listen_at(c->path, &c->listen_fd);
	return err;
}

static void control_release(struct control *c)
{
	if (c->listen_fd >= 0) {
		(void)close(c->listen_fd);
		(void)unlink(c->path);
	}
	if (c->lock_fd >= 0)
		(void)close(c->lock_fd); /* the file stays: removing it would race */
	free(c->path);
	free(c);
}

int control_new(struct ev_loop *loop, const char *path, control_fn answer, void *data,
		struct control **ret)
{
	struct control *c = xcalloc(1, sizeof(*c));
	int err;

	c->loop = loop;
	c->answer = answer;
	c->data = data;
	c->path = xstrdup(path);
	c->lock_fd = c->listen_fd = -1;
	err = control_open(c);
	if (err != 0) {
		log_err("control socket %s: %s", path,
			err == -EADDRINUSE ? "another sluice runs with it"
					   : strerror(-err));
		control_release(c);
		return err;
	}
	ev_io_init(&c->listen_io, on_accept, c->listen_fd, EV_READ);
	c->listen_io.data = c;
	ev_io_start(loop, &c->listen_io);
	*ret = c;
	return 0;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	while (c->clients)
		client_free(c->clients);
	ev_io_stop(c->loop, &c->listen_io);
	control_release(c);
}
