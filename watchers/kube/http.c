/*
 * Ended transfers are reaped outside of curl's callbacks, so that our callbacks may
 * start and cancel calls freely.
 */
#include "watchers/kube/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/mem.h"
#include "watchers/kube/http_private.h"
#include "watchers/kube/kubeconfig.h"

#define OPENSSL_EXPIRED 10	   /* X509_V_ERR_CERT_HAS_EXPIRED */
#define GNUTLS_EXPIRED	(1l << 10) /* GNUTLS_CERT_EXPIRED */

static void reap(struct http *h);

static void on_reaper(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	reap(w->data);
}

static void report_status(struct http_call *call)
{
	curl_off_t retry_after_sec = 0;
	long status = 0;

	if (call->has_status)
		return;
	call->has_status = true;
	(void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(call->easy, CURLINFO_RETRY_AFTER, &retry_after_sec);
	if (!call->is_over && call->events->on_status)
		call->events->on_status(call->data, (int)status,
					(uint32_t)retry_after_sec);
}

/*
 * At the empty line: the first event of a watch may follow minutes later.
 * Answers like 100 Continue have one, too, before the final answer's.
 */
static void end_header(struct http_call *call)
{
	long status = 0;

	(void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 200)
		report_status(call);
}

static size_t curl_has_header(char *line, size_t size, size_t n, void *data)
{
	struct http_call *call = data;

	n *= size;
	call->header_len += n;
	if (call->header_len > HTTP_MAX_HEADER_LEN)
		return 0;
	if (n && (*line == '\r' || *line == '\n'))
		end_header(call);
	return n;
}

static size_t curl_has_body(char *bytes, size_t size, size_t n, void *data)
{
	struct http_call *call = data;

	n *= size;
	report_status(call);
	if (call->is_over ||
	    (call->events->on_body && call->events->on_body(call->data, bytes, n)))
		return n ? 0 : 1; /* not n: curl ends the transfer */
	return n;
}

/* The code of the certificate check in the TLS library: OpenSSL's, and GnuTLS' flag. */
static bool is_expired(CURL *easy)
{
	long code = 0;

	(void)curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &code);
	return code == OPENSSL_EXPIRED || code & GNUTLS_EXPIRED;
}

static int error_of(CURL *easy, CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_COULDNT_CONNECT:
		return -ECONNREFUSED;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return -EHOSTUNREACH;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_WRITE_ERROR:
		return -ECANCELED;
	case CURLE_PEER_FAILED_VERIFICATION:
		return is_expired(easy) ? -EKEYEXPIRED : -EPROTO;
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CLIENTCERT:
		return -EKEYREJECTED;
	case CURLE_SSL_CACERT_BADFILE:
		return -ENOKEY;
	case CURLE_SSL_CONNECT_ERROR:
		return -EPROTONOSUPPORT; /* certificates have codes of their own */
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
		return -EPROTO;
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_HTTP2: /* the connection was closed under several streams */
	case CURLE_HTTP2_STREAM:
		return -ECONNRESET;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_BAD_CONTENT_ENCODING:
		return -EBADMSG;
	default:
		return -EIO;
	}
}

static void call_free(struct http_call *call)
{
	(void)curl_multi_remove_handle(call->http->transfers.multi, call->easy);
	curl_easy_cleanup(call->easy);
	curl_slist_free_all(call->headers);
	*call->link = call->next;
	if (call->next)
		call->next->link = call->link;
	free(call);
}

static void reap_after(struct http *h, double sec)
{
	if (ev_is_active(&h->reaper) && ev_timer_remaining(h->loop, &h->reaper) <= sec)
		return;
	ev_timer_stop(h->loop, &h->reaper);
	ev_timer_set(&h->reaper, sec, 0);
	ev_timer_start(h->loop, &h->reaper);
}

/* True if a call may start now; else the reaper is due when one may. */
static bool take_token(struct http *h)
{
	uint64_t now_us = clock_monotonic_us();

	if (h->qps <= 0)
		return true;
	h->tokens += (double)(now_us - h->tokens_us) / 1e6 * h->qps;
	h->tokens_us = now_us;
	if (h->tokens > h->burst)
		h->tokens = h->burst;
	if (h->tokens < 1) {
		reap_after(h, (1 - h->tokens) / h->qps);
		return false;
	}
	h->tokens--;
	return true;
}

/* Within its callbacks, curl accepts no call: then the reaper starts it. */
static void start(struct http_call *call)
{
	struct http *h = call->http;

	if (!take_token(h))
		return;
	call->is_started = !curl_multi_add_handle(h->transfers.multi, call->easy);
	if (call->is_started)
		return;
	h->tokens++;
	reap_after(h, 0);
}

/* Reports transfers that ended, frees the calls that are over, starts those that wait. */
static void reap(struct http *h)
{
	struct http_call *call, *next;
	CURLcode code;
	CURL *easy;

	while ((easy = transfers_next_ended(&h->transfers, &code))) {
		const char *why;

		(void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&call);
		if (code == CURLE_OK)
			report_status(call);
		why = *call->why ? call->why : curl_easy_strerror(code);
		/* curl's code for an endless line */
		if (call->header_len > HTTP_MAX_HEADER_LEN ||
		    (code == CURLE_OUT_OF_MEMORY && !call->has_status)) {
			code = CURLE_WEIRD_SERVER_REPLY;
			why = "the answer's header is too long";
		}
		if (!call->is_over) {
			call->is_over = true;
			call->events->on_done(call->data, error_of(call->easy, code),
					      why);
		}
	}
	for (call = h->calls; call; call = next) {
		next = call->next;
		if (call->is_over)
			call_free(call);
		else if (!call->is_started)
			start(call);
	}
}

static void on_progress(void *data)
{
	reap(data);
}

struct http_call *http_call_start(struct http *h, const struct http_spec *spec,
				  const struct http_events *events, void *data)
{
	struct http_call *call = xcalloc(1, sizeof(*call));

	call->http = h;
	call->events = events;
	call->data = data;
	call->easy = curl_easy_init();
	if (!call->easy)
		abort();
	call->next = h->calls;
	call->link = &h->calls;
	if (call->next)
		call->next->link = &call->next;
	h->calls = call;

	http_setup_call(call, spec);
	(void)curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
	(void)curl_easy_setopt(call->easy, CURLOPT_ERRORBUFFER, call->why);
	(void)curl_easy_setopt(call->easy, CURLOPT_PRIVATE, call);
	(void)curl_easy_setopt(call->easy, CURLOPT_HEADERFUNCTION, curl_has_header);
	(void)curl_easy_setopt(call->easy, CURLOPT_HEADERDATA, call);
	(void)curl_easy_setopt(call->easy, CURLOPT_WRITEFUNCTION, curl_has_body);
	(void)curl_easy_setopt(call->easy, CURLOPT_WRITEDATA, call);
	start(call);
	return call;
}

void http_call_cancel(struct http_call *call)
{
	if (!call || call->is_over)
		return;
	/* One of its callbacks may be running: the loop reaps it. */
	call->is_over = true;
	reap_after(call->http, 0);
}

void http_set_rate(struct http *h, double qps, unsigned burst)
{
	h->qps = qps;
	h->burst = h->tokens = burst > 1 ? burst : 1;
	h->tokens_us = clock_monotonic_us();
}

static void replace_string(char **where, const char *text)
{
	free(*where);
	*where = text ? xstrdup(text) : NULL;
}

void http_set_token(struct http *h, const char *token)
{
	replace_string(&h->token, token);
}

void http_set_client_cert(struct http *h, const char *cert_pem, const char *key_pem)
{
	replace_string(&h->cert_pem, cert_pem);
	replace_string(&h->key_pem, key_pem);
}

/*
 * tls-server-name: curl verifies and announces (SNI) the host of the URL, so
 * the URL gets that name, CONNECT_TO the real address, and the Host header the
 * real name.
 */
static void set_server_name(struct http *h)
{
	const char *server = h->config->server;
	const char *host = strstr(server, "://") + 3;
	size_t host_len = strcspn(host, "/");
	char *line;

	if (!h->config->tls_server_name) {
		h->base = xstrdup(server);
		return;
	}
	h->host_header = xstrndup(host, host_len);
	h->base = xasprintf("%.*s%s%s", (int)(host - server), server,
			    h->config->tls_server_name, host + host_len);
	line = xasprintf("::%s%s", h->host_header,
			 strchr(h->host_header + strcspn(h->host_header, "]"), ':')
				 ? ""
				 : ":443");
	h->connect_to = curl_slist_append(NULL, line);
	free(line);
}

struct http *http_new(struct ev_loop *loop, const struct kube_config *config,
		      const char *user_agent)
{
	struct http *h = xcalloc(1, sizeof(*h));

	h->loop = loop;
	h->config = config;
	h->user_agent = xstrdup(user_agent);
	replace_string(&h->token, config->token);
	set_server_name(h);
	ev_timer_init(&h->reaper, on_reaper, 0, 0);
	h->reaper.data = h;
	transfers_init(&h->transfers, loop, on_progress, h);
	(void)curl_multi_setopt(h->transfers.multi, CURLMOPT_PIPELINING,
				CURLPIPE_MULTIPLEX);
	return h;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	while (h->calls)
		call_free(h->calls);
	transfers_fini(&h->transfers);
	ev_timer_stop(h->loop, &h->reaper);
	curl_slist_free_all(h->connect_to);
	free(h->base);
	free(h->host_header);
	free(h->user_agent);
	free(h->token);
	free(h->cert_pem);
	free(h->key_pem);
	free(h);
}
