#include "tests/unit/fake_server.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/addr.h"
#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"

#define MAX_CONNECTIONS 64
#define FLOOD_MAX_LEN	(64u << 20)
#define FLOOD_PIECE_LEN (64u << 10)
#define PIECE_GAP_SEC	0.0005

struct connection {
	struct fake_server *server;
	struct ev_io io;
	struct ev_timer timer;
	struct buf in, out;
	const struct fake_answer *answer;
	size_t sent_len;
	bool is_open, is_flooding;
};

struct fake_server {
	struct ev_loop *loop;
	struct ev_io io;
	const struct fake_answer *answers;
	unsigned *n_given;
	size_t n_answers;
	struct connection connections[MAX_CONNECTIONS];
	struct buf requests; /* the request lines */
	size_t flooded_len;
	char url[64];
};

static void connection_close(struct connection *c)
{
	if (!c->is_open)
		return;
	ev_io_stop(c->server->loop, &c->io);
	ev_timer_stop(c->server->loop, &c->timer);
	(void)close(c->io.fd);
	buf_fini(&c->in);
	buf_fini(&c->out);
	c->is_open = false;
}

static void flood(struct connection *c)
{
	c->server->flooded_len += c->out.len;
	if (c->server->flooded_len > FLOOD_MAX_LEN) {
		connection_close(c);
		return;
	}
	c->sent_len = 0;
	if (!c->is_flooding)
		buf_clear(&c->out);
	c->is_flooding = true;
	while (c->out.len < FLOOD_PIECE_LEN)
		buf_add_string(&c->out, c->answer->flood);
	ev_timer_again(c->server->loop, &c->timer);
}

/* All has been sent. */
static void finish(struct connection *c)
{
	switch (c->answer ? c->answer->end : FAKE_CLOSE) {
	case FAKE_CLOSE:
		connection_close(c);
		return;
	case FAKE_SHUTDOWN:
		(void)shutdown(c->io.fd, SHUT_WR);
		return;
	case FAKE_STALL:
		return;
	case FAKE_FLOOD:
		flood(c);
		return;
	}
}

static void on_send(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct connection *c = w->data;
	size_t left = c->out.len - c->sent_len;
	size_t piece = c->answer && c->answer->piece_len ? c->answer->piece_len : left;
	ssize_t n = send(c->io.fd, c->out.data + c->sent_len, piece < left ? piece : left,
			 MSG_NOSIGNAL | MSG_DONTWAIT);

	(void)revents;
	if (n > 0)
		c->sent_len += (size_t)n;
	if (c->sent_len < c->out.len)
		return;
	ev_timer_stop(loop, w);
	finish(c);
}

static const struct fake_answer *find_answer(struct fake_server *s, const char *line,
					     const char *head)
{
	for (size_t i = 0; i < s->n_answers; i++) {
		const struct fake_answer *a = &s->answers[i];

		if (!strstr(line, a->request) || (a->times && s->n_given[i] >= a->times))
			continue;
		if (a->header && !strstr(head, a->header))
			continue;
		s->n_given[i]++;
		return a;
	}
	return NULL;
}

static void answer(struct connection *c)
{
	char *end = strstr(c->in.data, "\r\n");

	*end = 0;
	buf_printf(&c->server->requests, "%s\n", c->in.data);
	c->answer = find_answer(c->server, c->in.data, end + 2);
	if (!c->answer)
		buf_add_string(&c->out, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n"
					"Connection: close\r\n\r\n");
	else if (c->answer->is_body)
		buf_add_string(&c->out,
			       "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
			       "Connection: close\r\n\r\n");
	if (c->answer)
		buf_add(&c->out, c->answer->bytes,
			c->answer->len ? c->answer->len : strlen(c->answer->bytes));
	ev_timer_again(c->server->loop, &c->timer);
}

static void on_read(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct connection *c = w->data;
	char chunk[4096];
	ssize_t n = recv(w->fd, chunk, sizeof(chunk), MSG_DONTWAIT);

	(void)loop;
	(void)revents;
	if (n <= 0) {
		connection_close(c);
		return;
	}
	if (c->answer || c->out.len)
		return;
	buf_add(&c->in, chunk, (size_t)n);
	if (strstr(buf_string(&c->in), "\r\n\r\n"))
		answer(c);
}

static void on_accept(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct fake_server *s = w->data;
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC);

	(void)revents;
	for (size_t i = 0; fd >= 0 && i < MAX_CONNECTIONS; i++) {
		struct connection *c = &s->connections[i];

		if (c->is_open)
			continue;
		*c = (struct connection){.server = s, .is_open = true};
		ev_io_init(&c->io, on_read, fd, EV_READ);
		ev_timer_init(&c->timer, on_send, 0, PIECE_GAP_SEC);
		c->io.data = c->timer.data = c;
		ev_io_start(loop, &c->io);
		return;
	}
	abort(); /* more connections than any test should make */
}

struct fake_server *fake_server_new(struct ev_loop *loop,
				    const struct fake_answer *answers, size_t n)
{
	struct fake_server *s = xcalloc(1, sizeof(*s));
	struct sockaddr_in sa = {.sin_family = AF_INET};
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd == -1 || bind(fd, (struct sockaddr *)&sa, len) == -1 ||
	    listen(fd, 32) == -1 || getsockname(fd, (struct sockaddr *)&sa, &len) == -1)
		abort();
	s->loop = loop;
	s->answers = answers;
	s->n_answers = n;
	s->n_given = xcalloc(n, sizeof(*s->n_given));
	(void)snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%u", ntohs(sa.sin_port));
	ev_io_init(&s->io, on_accept, fd, EV_READ);
	s->io.data = s;
	ev_io_start(loop, &s->io);
	return s;
}

void fake_server_free(struct fake_server *s)
{
	for (size_t i = 0; i < MAX_CONNECTIONS; i++)
		connection_close(&s->connections[i]);
	ev_io_stop(s->loop, &s->io);
	(void)close(s->io.fd);
	buf_fini(&s->requests);
	free(s->n_given);
	free(s);
}

const char *fake_server_url(const struct fake_server *s)
{
	return s->url;
}

unsigned fake_server_n_requests(const struct fake_server *s, const char *text)
{
	const char *line = buf_string(&s->requests);
	unsigned n = 0;

	while (*line) {
		size_t len = strcspn(line, "\n");
		char *copy = xstrndup(line, len);

		n += strstr(copy, text) != NULL;
		free(copy);
		line += len + (line[len] == '\n');
	}
	return n;
}

size_t fake_server_flooded_len(const struct fake_server *s)
{
	return s->flooded_len;
}
