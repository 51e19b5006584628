/*
 * The options of one call: address, TLS, credentials and time limits, all from
 * the kubeconfig.
 */
#include "watchers/kube/http_private.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <strings.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "watchers/decode/file_text.h"
#include "watchers/kube/kubeconfig.h"

#define CONNECT_TIMEOUT_SEC    30L
#define KEEPALIVE_IDLE_SEC     15L
#define KEEPALIVE_INTERVAL_SEC 8L
#define KEEPALIVE_COUNT	       3      /* 15 + 3 * 8 = 39 s */
#define USER_TIMEOUT_MS	       39000u /* unacknowledged data */
#define PEM_MAX_LEN	       (4u << 20)

static int tune_socket(void *data, curl_socket_t fd, curlsocktype purpose)
{
	unsigned user_timeout_ms = USER_TIMEOUT_MS;
	int count = KEEPALIVE_COUNT;

	/* Best effort: without them a dead peer is noticed later. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms,
			 sizeof(user_timeout_ms));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	return CURL_SOCKOPT_OK;
}

static void set_blob(CURL *easy, CURLoption option, const char *pem)
{
	struct curl_blob blob = {.data = (void *)(uintptr_t)pem,
				 .len = strlen(pem),
				 .flags = CURL_BLOB_COPY};

	(void)curl_easy_setopt(easy, option, &blob);
}

/*
 * Each call reads the files again: curl shares connections between calls with
 * the same contents only, so a renewed certificate is used from the next call
 * on.  The path of a file that can't be read is passed to curl with the reason
 * appended: curl fails with a message that names both.  It must not open the
 * file itself, which may be a FIFO.
 */
static void set_pem(CURL *easy, CURLoption blob, const char *pem, CURLoption file,
		    const char *path)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	_cleanup_(freep) char *wrong = NULL;
	int err;

	if (pem) {
		set_blob(easy, blob, pem);
		return;
	}
	if (!path)
		return;
	err = file_text_read(path, FILE_TEXT_FILE, PEM_MAX_LEN, &text);
	if (!err) {
		set_blob(easy, blob, buf_string(&text));
		return;
	}
	wrong = xasprintf("%s (%s)", path, file_text_error(err));
	(void)curl_easy_setopt(easy, file, wrong);
}

static void set_client_cert(CURL *easy, const struct http *h)
{
	const struct kube_config *c = h->config;

	set_pem(easy, CURLOPT_SSLCERT_BLOB, h->cert_pem ? h->cert_pem : c->cert_pem,
		CURLOPT_SSLCERT, c->cert_file);
	set_pem(easy, CURLOPT_SSLKEY_BLOB, h->cert_pem ? h->key_pem : c->key_pem,
		CURLOPT_SSLKEY, c->key_file);
}

static void set_tls(CURL *easy, const struct http *h)
{
	const struct kube_config *c = h->config;

	(void)curl_easy_setopt(easy, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	if (c->insecure) {
		(void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		(void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	set_pem(easy, CURLOPT_CAINFO_BLOB, c->ca_pem, CURLOPT_CAINFO, c->ca_file);
	/* Only the kubeconfig's CA is trusted, not the system's folder as well. */
	if (c->ca_pem || c->ca_file)
		(void)curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	set_client_cert(easy, h);
}

static bool is_this_host(const char *server)
{
	const char *host = strstr(server, "://") + 3;

	return !strncmp(host, "127.", 4) || !strncmp(host, "[::1]", 5) ||
	       (!strncasecmp(host, "localhost", 9) &&
		(!host[9] || strchr(":/", host[9])));
}

/*
 * The rules of Go: proxy-url is used for all hosts, regardless of NO_PROXY; the
 * environment's proxy is not used for this host; a SOCKS proxy resolves names.
 */
static void set_proxy(CURL *easy, const struct http *h)
{
	static const char socks[] = "socks5://";
	const char *url = h->config->proxy_url;

	if (url && !strncasecmp(url, socks, sizeof(socks) - 1)) {
		char *named = xasprintf("socks5h://%s", url + sizeof(socks) - 1);

		(void)curl_easy_setopt(easy, CURLOPT_PROXY, named);
		free(named);
	} else if (url) {
		(void)curl_easy_setopt(easy, CURLOPT_PROXY, url);
	} else if (is_this_host(h->config->server)) {
		(void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
	}
	if (url)
		(void)curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
	/* The proxy's own answer is not the server's. */
	(void)curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
}

static void add_header(struct http_call *call, const char *name, const char *value)
{
	char *line = xasprintf("%s: %s", name, value);

	call->headers = curl_slist_append(call->headers, line);
	free(line);
}

static void set_identity(struct http_call *call)
{
	const struct http *h = call->http;
	const struct kube_config *c = h->config;
	char *bearer;

	if (h->token) {
		bearer = xasprintf("Bearer %s", h->token);
		add_header(call, "Authorization", bearer);
		free(bearer);
	} else if (c->username) {
		(void)curl_easy_setopt(call->easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
		(void)curl_easy_setopt(call->easy, CURLOPT_USERNAME, c->username);
		(void)curl_easy_setopt(call->easy, CURLOPT_PASSWORD,
				       c->password ? c->password : "");
	}
	if (c->as)
		add_header(call, "Impersonate-User", c->as);
	if (c->as_uid)
		add_header(call, "Impersonate-Uid", c->as_uid);
	for (char **g = c->as_groups; g && *g; g++)
		add_header(call, "Impersonate-Group", *g);
	for (char **e = c->as_extra; e && *e; e++) {
		char *name = xasprintf("Impersonate-Extra-%s", *e);
		call->headers = curl_slist_append(call->headers, name);
		free(name);
	}
}

static void set_limits(CURL *easy, const struct http_spec *spec)
{
	(void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_SEC);
	(void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_SEC);
	(void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SEC);
	(void)curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, tune_socket);
	if (spec->stall_sec) {
		(void)curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
		(void)curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME,
				       (long)spec->stall_sec);
	}
	(void)curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)spec->total_sec);
}

static void set_request(struct http_call *call, const struct http_spec *spec)
{
	const struct http *h = call->http;
	CURL *easy = call->easy;
	char *url = xasprintf("%s%s", h->base, spec->path);

	(void)curl_easy_setopt(easy, CURLOPT_URL, url);
	free(url);
	(void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	/* Without TLS there is no HTTP/2, and curl would wait for it until a call ends. */
	if (!strncmp(h->base, "https:", 6))
		(void)curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	/* A pending name lookup must not delay our exit. */
	(void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_USERAGENT, h->user_agent);
	(void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, spec->method);
	if (!h->config->disable_compression)
		(void)curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
	set_proxy(easy, h);
	if (h->connect_to)
		(void)curl_easy_setopt(easy, CURLOPT_CONNECT_TO, h->connect_to);
	if (h->host_header)
		add_header(call, "Host", h->host_header);
	if (spec->is_fresh)
		(void)curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	add_header(call, "Accept", spec->accept ? spec->accept : "application/json");
	if (spec->body) {
		(void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
				       (curl_off_t)strlen(spec->body));
		(void)curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, spec->body);
		add_header(call, "Content-Type", spec->content_type);
	}
}

void http_setup_call(struct http_call *call, const struct http_spec *spec)
{
	set_request(call, spec);
	set_limits(call->easy, spec);
	set_tls(call->easy, call->http);
	set_identity(call);
}
