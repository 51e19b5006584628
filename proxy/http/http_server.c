/*
 * libmicrohttpd gives one epoll descriptor for everything that it waits for:
 * when that is readable, or its timer ends, it is run.
 */
#include "proxy/http/http_server.h"

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "core/cleanup.h"
#include "core/mem.h"

#define BACKLOG 64

struct http_server {
	struct ev_loop *loop;
	struct MHD_Daemon *daemon;
	struct ev_io io;
	struct ev_timer timer;
	http_handler handler;
	void *data;
	uint16_t port;
	struct MHD_Connection *open[HTTP_SERVER_MAX_CONNECTIONS]; /* oldest first */
	size_t n_open;
};

static void on_connection(void *data, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct http_server *s = data;
	size_t i = 0;

	(void)context;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		assert(s->n_open < HTTP_SERVER_MAX_CONNECTIONS);
		s->open[s->n_open++] = connection;
		return;
	}
	while (s->open[i] != connection)
		i++;
	s->n_open--;
	memmove(&s->open[i], &s->open[i + 1], (s->n_open - i) * sizeof(s->open[0]));
}

static bool is_full(const struct http_server *s)
{
	return s->n_open == HTTP_SERVER_MAX_CONNECTIONS;
}

/* The older half has had its time; libmicrohttpd closes them when it runs next. */
static void make_room(struct http_server *s)
{
	for (size_t i = 0; i < s->n_open / 2; i++) {
		const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(s->open[i],
						MHD_CONNECTION_INFO_CONNECTION_FD);

		if (info)
			(void)shutdown(info->connect_fd, SHUT_RDWR);
	}
}

static void run(struct http_server *s)
{
	MHD_UNSIGNED_LONG_LONG wait_ms = 0;
	bool was_full = is_full(s);

	(void)MHD_run(s->daemon);
	if (is_full(s)) {
		make_room(s);
		was_full = true;
	}
	ev_timer_stop(s->loop, &s->timer);
	/* It listens again with the run after the one that closes, and nothing else wakes us for that. */
	if (was_full || MHD_get_timeout(s->daemon, &wait_ms) == MHD_YES) {
		ev_timer_set(&s->timer, (double)wait_ms / 1000.0, 0);
		ev_timer_start(s->loop, &s->timer);
	}
}

static void on_io(struct ev_loop *loop, struct ev_io *w, int revents)
{
	(void)loop;
	(void)revents;
	run(w->data);
}

static void on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	run(w->data);
}

static const char *header_of(struct MHD_Connection *connection, const char *name)
{
	const char *value =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);

	return value ? value : "";
}

static enum MHD_Result send_reply(struct MHD_Connection *connection,
				  struct http_reply *reply)
{
	size_t len = reply->body.len;
	struct MHD_Response *response =
		MHD_create_response_from_buffer(len, buf_take(&reply->body),
						MHD_RESPMEM_MUST_FREE);
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

	(void)version;
	(void)upload;
	if (!*seen) {
		*seen = (void *)(uintptr_t)&header_seen;
		return MHD_YES;
	}
	if (*upload_len) {
		*upload_len = 0;
		return MHD_YES;
	}
	request.accept = header_of(connection, "Accept");
	s->handler(s->data, &request, &reply);
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

int http_server_open(struct ev_loop *loop, const struct addr *addr, uint16_t port,
		     http_handler handler, void *data, struct http_server **ret)
{
	const union MHD_DaemonInfo *info;
	struct http_server *s;
	uint16_t bound_port;
	int fd = -1, err;

	err = listen_on(addr, port, &fd, &bound_port);
	if (err)
		return err;
	s = xcalloc(1, sizeof(*s));
	s->loop = loop;
	s->handler = handler;
	s->data = data;
	s->port = bound_port;
	s->daemon =
		MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, s,
				 MHD_OPTION_LISTEN_SOCKET, fd,
				 MHD_OPTION_CONNECTION_LIMIT, HTTP_SERVER_MAX_CONNECTIONS,
				 MHD_OPTION_CONNECTION_TIMEOUT, HTTP_SERVER_IDLE_SEC,
				 MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
				 MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				 (size_t)HTTP_SERVER_MEMORY_LEN, MHD_OPTION_END);
	if (!s->daemon) {
		(void)close(fd);
		free(s);
		return -ENOMEM;
	}
	info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	ev_io_init(&s->io, on_io, info->epoll_fd, EV_READ);
	ev_timer_init(&s->timer, on_timer, 0, 0);
	s->io.data = s->timer.data = s;
	ev_io_start(loop, &s->io);
	*ret = s;
	return 0;
}

void http_server_close(struct http_server *s)
{
	if (!s)
		return;
	ev_io_stop(s->loop, &s->io);
	ev_timer_stop(s->loop, &s->timer);
	MHD_stop_daemon(s->daemon);
	free(s);
}

uint16_t http_server_port(const struct http_server *s)
{
	return s->port;
}
