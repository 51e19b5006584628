#include "watchers/checks/probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"

static void end(struct probe *p)
{
	struct ev_loop *loop = p->prober->loop;

	p->is_running = false;
	ev_timer_stop(loop, &p->timer);
	if (p->easy) {
		(void)curl_multi_remove_handle(p->prober->transfers.multi, p->easy);
		curl_easy_cleanup(p->easy);
		p->easy = NULL;
	}
	if (p->io.fd == -1)
		return;
	ev_io_stop(loop, &p->io);
	(void)close(p->io.fd);
	p->io.fd = -1;
}

static void finish(struct probe *p, enum probe_result result, const char *why)
{
	end(p);
	p->done(p, result, why);
}

/* Failures of this host say nothing about the endpoint. */
static bool is_ours(int err)
{
	static const int ours[] = {EMFILE,  ENFILE, ENOMEM,
				   ENOBUFS, EAGAIN, EADDRNOTAVAIL};

	for (size_t i = 0; i < N_ELEMENTS(ours); i++)
		if (err == ours[i])
			return true;
	return false;
}

static void finish_err(struct probe *p, int err)
{
	finish(p, is_ours(err) ? PROBE_UNKNOWN : PROBE_FAILED, strerror(err));
}

static void on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct probe *p = w->data;
	char why[64];

	if (p->err) {
		finish_err(p, p->err);
		return;
	}
	(void)snprintf(why, sizeof(why), "no answer within %u ms", p->timeout_ms);
	finish(p, PROBE_FAILED, why);
}

static void on_writable(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct probe *p = w->data;
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &err, &len) == -1)
		err = errno;
	if (err)
		finish_err(p, err);
	else
		finish(p, PROBE_SUCCEEDED, NULL);
}

/* Best effort: without it the connection ends in the usual way. */
static void close_by_reset(int fd)
{
	const struct linger reset = {.l_onoff = 1};

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

static int start_tcp(struct probe *p, const struct addr *addr, uint16_t port)
{
	struct sockaddr_storage to;
	socklen_t len = addr_to_sockaddr(addr, port, &to);
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return errno;
	ev_io_set(&p->io, fd, EV_WRITE);
	close_by_reset(fd);
	if (connect(fd, (struct sockaddr *)&to, len) == -1 && errno != EINPROGRESS)
		return errno;
	ev_io_start(p->prober->loop, &p->io);
	return 0;
}

static int curl_has_socket(void *data, curl_socket_t fd, curlsocktype purpose)
{
	close_by_reset(fd);
	return CURL_SOCKOPT_OK;
}

/* The status is all that counts: the body ends the transfer. */
static size_t curl_has_body(char *bytes, size_t size, size_t n, void *data)
{
	n *= size;
	return n ? 0 : 1; /* not n: curl ends the transfer */
}

/* In words that do not depend on curl's version, where that is usual. */
static const char *curl_failure(CURLcode code)
{
	switch (code) {
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
		return "the answer is not HTTP";
	case CURLE_GOT_NOTHING:
		return "connection closed without an answer";
	default:
		return curl_easy_strerror(code);
	}
}

static void finish_http(struct probe *p, CURLcode code)
{
	long status = 0, err = 0;
	char why[64];

	(void)curl_easy_getinfo(p->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(p->easy, CURLINFO_OS_ERRNO, &err);
	if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && status)) {
		(void)snprintf(why, sizeof(why), "HTTP status %ld", status);
		finish(p, status >= 200 && status < 400 ? PROBE_SUCCEEDED : PROBE_FAILED,
		       why);
	} else if (err) {
		finish_err(p, (int)err);
	} else {
		finish(p, PROBE_FAILED, curl_failure(code));
	}
}

static void on_progress(void *data)
{
	struct prober *prober = data;
	CURLcode code;
	CURL *easy;

	while ((easy = transfers_next_ended(&prober->transfers, &code))) {
		struct probe *p = NULL;

		(void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&p);
		finish_http(p, code);
	}
}

static void set_request(struct probe *p, const char *url)
{
	CURL *easy = p->easy;

	(void)curl_easy_setopt(easy, CURLOPT_PRIVATE, p);
	(void)curl_easy_setopt(easy, CURLOPT_URL, url);
	(void)curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
	(void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	(void)curl_easy_setopt(easy, CURLOPT_USERAGENT, "sluice-health-check");
	/* endpoints are reached directly, whatever the environment says */
	(void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, curl_has_socket);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, curl_has_body);
}

static int start_http(struct probe *p, const struct addr *addr, uint16_t port,
		      const char *path)
{
	struct prober *prober = p->prober;
	char at[ADDR_PORT_TEXT_LEN];
	_cleanup_(freep) char *url =
		xasprintf("http://%s%s", addr_port_format(addr, port, at), path);

	if (!prober->has_transfers)
		transfers_init(&prober->transfers, prober->loop, on_progress, prober);
	prober->has_transfers = true;
	p->easy = curl_easy_init();
	if (!p->easy)
		return ENOMEM;
	set_request(p, url);
	return curl_multi_add_handle(prober->transfers.multi, p->easy) ? EAGAIN : 0;
}

void probe_start(struct probe *p, struct prober *prober, const struct addr *addr,
		 uint16_t port, const char *path, uint32_t timeout_ms)
{
	p->prober = prober;
	p->is_running = true;
	p->timeout_ms = timeout_ms;
	ev_io_init(&p->io, on_writable, -1, EV_WRITE);
	p->io.data = p;
	p->err = path ? start_http(p, addr, port, path) : start_tcp(p, addr, port);
	/* the loop's time stands still while a sync runs */
	ev_now_update(prober->loop);
	ev_timer_init(&p->timer, on_timer, p->err ? 0. : timeout_ms / 1e3, 0.);
	p->timer.data = p;
	ev_timer_start(prober->loop, &p->timer);
}

void probe_stop(struct probe *p)
{
	if (p->is_running)
		end(p);
}

void prober_init(struct prober *prober, struct ev_loop *loop)
{
	*prober = (struct prober){.loop = loop};
}

void prober_fini(struct prober *prober)
{
	if (prober->has_transfers)
		transfers_fini(&prober->transfers);
}
