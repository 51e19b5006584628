/*
 * libmicrohttpd only speaks HTTP here: it has one epoll descriptor for all its
 * connections, and runs when that is readable or its timer ends.  Listening and
 * accepting is done by the event loop.
 */
#include "proxy/http/http_server.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "core/cleanup.h"
#include "core/hash.h"
#include "core/mem.h"

#define BACKLOG		 64
#define ACCEPT_PAUSE_SEC 1.    /* when descriptors are short */
#define BLOCK_LEN	 16384 /* of a streamed body, at most */
#define RUNS_TO_CLOSE                                                                    \
	3 /* libmicrohttpd closes connections that were shut down within these */

struct http_server {
	struct ev_loop *loop;
	struct MHD_Daemon *daemon;
	struct ev_io io;
	struct ev_timer timer, pause;
	struct hash listeners;	      /* by port */
	struct MHD_Connection **open; /* oldest first */
	size_t n_open, max_open;
};

struct http_listener {
	struct http_server *server;
	uint16_t port;
	int fd;
	struct ev_io io;
	http_handler handler;
	void *data;
};

static uint64_t port_hash(const void *key)
{
	return hash_bytes(key, sizeof(uint16_t));
}

static const void *port_key(const void *item)
{
	const struct http_listener *l = item;

	return &l->port;
}

static bool port_equal(const void *item, const void *key)
{
	const struct http_listener *l = item;

	return l->port == *(const uint16_t *)key;
}

static const struct hash_ops listener_ops = {port_hash, port_equal, port_key};

static void on_connection(void *data, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct http_server *s = data;
	size_t i = 0;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		s->open[s->n_open++] = connection; /* the limit is libmicrohttpd's, too */
		return;
	}
	while (s->open[i] != connection)
		i++;
	s->n_open--;
	memmove(&s->open[i], &s->open[i + 1], (s->n_open - i) * sizeof(*s->open));
}

static int connection_fd(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info ? info->connect_fd : -1;
}

static void run(struct http_server *s)
{
	MHD_UNSIGNED_LONG_LONG wait_ms = 0;

	(void)MHD_run(s->daemon);
	ev_timer_stop(s->loop, &s->timer);
	if (MHD_get_timeout(s->daemon, &wait_ms) == MHD_YES) {
		ev_timer_set(&s->timer, (double)wait_ms / 1000.0, 0);
		ev_timer_start(s->loop, &s->timer);
	}
}

/* Closes the older half, which has had its time. */
static void make_room(struct http_server *s)
{
	for (size_t i = 0; i < s->n_open / 2; i++)
		(void)shutdown(connection_fd(s->open[i]), SHUT_RDWR);
	for (int i = 0; i < RUNS_TO_CLOSE && s->n_open == s->max_open; i++)
		run(s);
}

static void on_io(struct ev_loop *loop, struct ev_io *w, int revents)
{
	run(w->data);
}

static void on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	run(w->data);
}

static void on_accept(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct http_listener *l = w->data;
	struct http_server *s = l->server;
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	int fd;

	if (s->n_open == s->max_open)
		make_room(s);
	if (s->n_open == s->max_open)
		return; /* the client waits in the backlog, and we come here again */
	fd = accept4(l->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		/* libmicrohttpd closes fd also when it fails */
		(void)MHD_add_connection(s->daemon, fd, (struct sockaddr *)&peer, len);
		run(s);
	} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		   errno == ENOMEM) {
		ev_io_stop(loop, w);
		ev_timer_again(loop, &s->pause);
	}
}

static void on_pause_over(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct http_server *s = w->data;
	struct http_listener *l;

	ev_timer_stop(loop, w);
	for (size_t i = 0; (l = hash_next(&s->listeners, &i));)
		ev_io_start(loop, &l->io);
}

static const char *value_of(struct MHD_Connection *connection, enum MHD_ValueKind kind,
			    const char *name)
{
	const char *value = MHD_lookup_connection_value(connection, kind, name);

	return value ? value : "";
}

struct streamed { /* a stream, and the piece that is being sent */
	struct http_stream *stream;
	struct buf piece;
	size_t sent_len; /* 0 <= sent_len <= piece.len */
	bool is_last;
};

/* MHD_ContentReaderCallback: once in a turn of the loop */
static ssize_t read_stream(void *data, uint64_t pos, char *bytes, size_t max_len)
{
	struct streamed *s = data;
	size_t len;

	if (s->sent_len == s->piece.len) {
		if (s->is_last)
			return MHD_CONTENT_READER_END_OF_STREAM;
		buf_clear(&s->piece);
		s->sent_len = 0;
		s->is_last = !s->stream->ops->write(s->stream, &s->piece);
	}
	len = s->piece.len - s->sent_len;
	if (len > max_len)
		len = max_len;
	memcpy(bytes, s->piece.data + s->sent_len, len);
	s->sent_len += len;
	return (ssize_t)len;
}

static void free_stream(void *data)
{
	struct streamed *s = data;

	s->stream->ops->free(s->stream);
	buf_fini(&s->piece);
	free(s);
}

static struct MHD_Response *streamed_response(struct http_stream *stream)
{
	struct streamed *s = xcalloc(1, sizeof(*s));
	struct MHD_Response *response;

	s->stream = stream;
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_LEN,
						     read_stream, s, free_stream);
	if (!response)
		free_stream(s);
	return response;
}

static struct MHD_Response *whole_response(struct http_reply *reply)
{
	size_t len = reply->body.len;

	return MHD_create_response_from_buffer(len, buf_take(&reply->body),
					       MHD_RESPMEM_MUST_FREE);
}

static enum MHD_Result send_reply(struct MHD_Connection *connection,
				  struct http_reply *reply)
{
	struct MHD_Response *response =
		reply->stream ? streamed_response(reply->stream) : whole_response(reply);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	if (reply->content_type)
		(void)MHD_add_response_header(response, "Content-Type",
					      reply->content_type);
	if (reply->nosniff)
		(void)MHD_add_response_header(response, "X-Content-Type-Options",
					      "nosniff");
	if (reply->header_name)
		(void)MHD_add_response_header(response, reply->header_name,
					      reply->header_value);
	result = MHD_queue_response(connection, (unsigned)reply->status, response);
	MHD_destroy_response(response);
	return result;
}

/* The listener by whose port the connection came; NULL: it has been closed since. */
static const struct http_listener *listener_of(const struct http_server *s,
					       struct MHD_Connection *connection,
					       enum family *ret_family)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct addr local;
	uint16_t port;

	if (getsockname(connection_fd(connection), (struct sockaddr *)&sa, &len) == -1 ||
	    addr_from_sockaddr((struct sockaddr *)&sa, &local, &port) != 0)
		return NULL;
	*ret_family = addr_family(&local);
	return hash_find(&s->listeners, &port);
}

/* Called first with the header, then for each piece of a body, then without one. */
static enum MHD_Result on_request(void *data, struct MHD_Connection *connection,
				  const char *url, const char *method,
				  const char *version, const char *upload,
				  size_t *upload_len, void **seen)
{
	static const char header_seen;
	struct http_server *s = data;
	struct http_request request = {.method = method, .path = url};
	struct http_reply reply = {.status = 200};
	const struct http_listener *l;

	if (!*seen) {
		*seen = (void *)(uintptr_t)&header_seen;
		return MHD_YES;
	}
	if (*upload_len) {
		*upload_len = 0;
		return MHD_YES;
	}
	request.accept = value_of(connection, MHD_HEADER_KIND, "Accept");
	request.since = value_of(connection, MHD_GET_ARGUMENT_KIND, "since");
	l = listener_of(s, connection, &request.family);
	if (l)
		l->handler(l->data, &request, &reply);
	else
		http_reply_not_found(&reply);
	return send_reply(connection, &reply);
}

void http_reply_text(struct http_reply *reply, const char *text)
{
	reply->content_type = "text/plain; charset=utf-8";
	buf_add_string(&reply->body, text);
}

void http_reply_not_found(struct http_reply *reply)
{
	reply->status = 404;
	reply->nosniff = true;
	http_reply_text(reply, "404 page not found\n");
}

/* "0.0.0.0" means every address here, of both families, as it does for Go. */
static int listen_on(const struct addr *addr, uint16_t port, int *ret_fd,
		     uint16_t *ret_port)
{
	struct addr any = addr_unspecified(FAMILY_IPV6);
	bool is_any = addr_is_unspecified(addr);
	int one = 1, zero = 0, err;
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(is_any ? &any : addr, port, &sa);
	_cleanup_(closep) int fd =
		socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct addr bound;

	if (fd == -1 && is_any && errno == EAFNOSUPPORT) {
		len = addr_to_sockaddr(addr, port, &sa);
		fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	}
	if (fd == -1)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (sa.ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, is_any ? &zero : &one,
				 sizeof(one));
	if (bind(fd, (struct sockaddr *)&sa, len) == -1 || listen(fd, BACKLOG) == -1)
		return -errno;
	len = sizeof(sa);
	if (getsockname(fd, (struct sockaddr *)&sa, &len) == -1)
		return -errno;
	err = addr_from_sockaddr((struct sockaddr *)&sa, &bound, ret_port);
	if (err)
		return err;
	*ret_fd = take_fd(fd);
	return 0;
}

int http_server_new(struct ev_loop *loop, size_t max_connections,
		    struct http_server **ret)
{
	struct http_server *s = xcalloc(1, sizeof(*s));
	int err;

	s->loop = loop;
	s->max_open = max_connections;
	s->open = xcalloc(max_connections, sizeof(struct MHD_Connection *));
	errno = 0;
	s->daemon =
		MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL,
				 on_request, s, MHD_OPTION_CONNECTION_LIMIT,
				 (unsigned)max_connections, MHD_OPTION_CONNECTION_TIMEOUT,
				 HTTP_SERVER_IDLE_SEC, MHD_OPTION_NOTIFY_CONNECTION,
				 on_connection, s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				 (size_t)HTTP_SERVER_MEMORY_LEN, MHD_OPTION_END);
	err = errno ? -errno : -ENOMEM;
	if (!s->daemon) {
		free(s->open);
		free(s);
		return err;
	}
	hash_init(&s->listeners, &listener_ops);
	ev_io_init(&s->io, on_io,
		   MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
		   EV_READ);
	ev_timer_init(&s->timer, on_timer, 0, 0);
	ev_timer_init(&s->pause, on_pause_over, 0., ACCEPT_PAUSE_SEC);
	s->io.data = s->timer.data = s->pause.data = s;
	ev_io_start(loop, &s->io);
	*ret = s;
	return 0;
}

void http_server_free(struct http_server *s)
{
	struct http_listener *l;

	if (!s)
		return;
	for (size_t i = 0; (l = hash_next(&s->listeners, &i));)
		http_listener_close(l);
	ev_io_stop(s->loop, &s->io);
	ev_timer_stop(s->loop, &s->timer);
	ev_timer_stop(s->loop, &s->pause);
	MHD_stop_daemon(s->daemon);
	hash_fini(&s->listeners);
	free(s->open);
	free(s);
}

int http_server_listen(struct http_server *s, const struct addr *addr, uint16_t port,
		       http_handler handler, void *data, struct http_listener **ret)
{
	struct http_listener *l;
	uint16_t bound_port;
	int fd = -1, err = listen_on(addr, port, &fd, &bound_port);

	if (err)
		return err;
	l = xcalloc(1, sizeof(*l));
	l->server = s;
	l->port = bound_port;
	l->fd = fd;
	l->handler = handler;
	l->data = data;
	ev_io_init(&l->io, on_accept, fd, EV_READ);
	l->io.data = l;
	ev_io_start(s->loop, &l->io);
	(void)hash_put(&s->listeners, l);
	*ret = l;
	return 0;
}

void http_listener_close(struct http_listener *l)
{
	if (!l)
		return;
	(void)hash_del(&l->server->listeners, &l->port);
	ev_io_stop(l->server->loop, &l->io);
	(void)close(l->fd);
	free(l);
}
