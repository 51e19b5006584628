/*
 * The listening side.  A connection is read until its newline, answered, and
 * closed; an idle one is closed after CLIENT_TIMEOUT_SEC.  Further connections wait in
 * the backlog while MAX_CLIENTS are open.
 */
#include "proxy/control/control.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/control/control_socket.h"

#define MAX_CLIENTS	   16
#define CLIENT_TIMEOUT_SEC 10.
#define WAIT_SEC	   0.01 /* between two questions whether an answer is ready */
#define ACCEPT_PAUSE_SEC   1.	/* when descriptors are short */

struct client {
	struct control *control;
	struct client *next;
	ev_io io;
	ev_timer timer, wait;
	int fd;
	bool is_answered;	       /* out is being sent */
	struct control_answer *answer; /* the rest, after out; may be NULL */
	struct buf in, out;
	size_t sent_len; /* 0 <= sent_len <= out.len */
};

struct control {
	struct ev_loop *loop;
	control_fn answer;
	void *data;
	struct control_socket socket;
	ev_io listen_io;
	ev_timer pause;
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
	ev_timer_stop(c->loop, &client->wait);
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
	json_auto_t *json = json_string(error);
	_cleanup_(freep) char *text = json_dumps(json, JSON_ENCODE_ANY);

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
		client_answer(client, 0); /* too long: answered with an error */
}

/* True while the answer has nothing to write. */
static bool client_waits(struct client *client)
{
	struct ev_loop *loop = client->control->loop;
	struct control_answer *answer = client->answer;

	if (!answer || !answer->ops->is_waiting || !answer->ops->is_waiting(answer))
		return false;
	ev_io_stop(loop, &client->io);
	ev_timer_again(loop, &client->wait);
	ev_timer_again(loop, &client->timer); /* it is not the client that is idle */
	return true;
}

static void on_wait_over(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct client *client = timer->data;

	if (client_waits(client))
		return;
	ev_timer_stop(loop, timer);
	ev_io_start(loop, &client->io);
	ev_timer_again(loop, &client->timer);
}

static void client_write(struct client *client)
{
	ssize_t len;

	if (client->sent_len == client->out.len && client_waits(client))
		return;
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

	if (client->is_answered)
		client_write(client);
	else
		client_read(client);
}

static void on_client_timeout(struct ev_loop *loop, ev_timer *timer, int revents)
{
	client_free(timer->data);
}

static void on_accept(struct ev_loop *loop, ev_io *io, int revents)
{
	struct control *c = io->data;
	int fd = accept4(c->socket.listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct client *client;

	if (fd == -1 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		/* the connection keeps waiting, and would wake the loop again immediately */
		ev_io_stop(loop, io);
		ev_timer_again(loop, &c->pause);
	}
	if (fd == -1)
		return;
	client = xcalloc(1, sizeof(*client));
	client->control = c;
	client->fd = fd;
	client->next = c->clients;
	c->clients = client;
	ev_io_init(&client->io, on_client, fd, EV_READ);
	ev_timer_init(&client->timer, on_client_timeout, CLIENT_TIMEOUT_SEC,
		      CLIENT_TIMEOUT_SEC);
	ev_init(&client->wait, on_wait_over);
	client->wait.repeat = WAIT_SEC;
	client->io.data = client->timer.data = client->wait.data = client;
	ev_io_start(loop, &client->io);
	ev_timer_start(loop, &client->timer);
	if (++c->n_clients == MAX_CLIENTS)
		ev_io_stop(loop, &c->listen_io);
}

static void on_pause_over(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct control *c = timer->data;

	ev_timer_stop(loop, timer);
	if (c->n_clients < MAX_CLIENTS)
		ev_io_start(loop, &c->listen_io);
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

int control_new(struct ev_loop *loop, const char *path, control_fn answer, void *data,
		struct control **ret)
{
	struct control *c = xcalloc(1, sizeof(*c));
	int err;

	c->loop = loop;
	c->answer = answer;
	c->data = data;
	err = control_socket_open(path, MAX_CLIENTS, &c->socket);
	if (err != 0) {
		free(c);
		return err;
	}
	ev_io_init(&c->listen_io, on_accept, c->socket.listen_fd, EV_READ);
	ev_timer_init(&c->pause, on_pause_over, 0., ACCEPT_PAUSE_SEC);
	c->listen_io.data = c->pause.data = c;
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
	ev_timer_stop(c->loop, &c->pause);
	control_socket_close(&c->socket);
	free(c);
}
