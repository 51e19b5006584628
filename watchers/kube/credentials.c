/*
 * Two kinds of credentials change: a token file that the kubelet rewrites, and
 * the credential of a plugin, which expires.  All others are static and were
 * set when the struct http was made.
 */
#include "watchers/kube/credentials.h"

#include <errno.h>
#include <ev.h>
#include <stdint.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "watchers/kube/exec_plugin.h"
#include "watchers/decode/file_text.h"
#include "watchers/kube/http.h"
#include "watchers/kube/kubeconfig.h"

#define SPACE	       " \t\r\n"
#define TOKEN_MAX_LEN  (64u << 10)
#define TOKEN_FRESH_US 50000000ull /* client-go: a minute less ten seconds */
#define TOKEN_POLL_SEC 1.0	   /* while its last token is refused */
#define EXEC_RETRY_SEC 5.0
#define EXEC_EARLY_SEC 10 /* a credential is renewed that long before it expires */
#define EXEC_MIN_US    5000000ull /* and serves at least that long, even if it has expired */

struct credentials {
	struct ev_loop *loop;
	const struct kube_config *config;
	struct http *http;
	void (*ready)(void *data, bool is_changed);
	void *data;
	unsigned version;	    /* counts the credentials that http was given */
	char *token;		    /* of the file, as last read */
	uint64_t token_read_us;	    /* 0: never */
	int token_err;		    /* of the last read; it has been logged */
	struct ev_timer poll;	    /* of the token file while its token is refused */
	struct exec_plugin *plugin; /* running now */
	struct ev_timer retry;	    /* after a plugin failed */
	uint64_t exec_ran_us;	    /* when the plugin returned the credential */
	int64_t exec_expires_sec;   /* Unix time; 0: never */
	bool has_exec_credential;
	bool has_logged_expired; /* the last credential had expired on arrival */
};

/* Its text without white space around it. */
static int read_token(const char *path, char **ret)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	int err = file_text_read(path, FILE_TEXT_FILE, TOKEN_MAX_LEN, &text);
	const char *begin = buf_string(&text);
	size_t len;

	if (err)
		return err;
	begin += strspn(begin, SPACE);
	len = strcspn(begin, SPACE);
	if (!len || begin[len + strspn(begin + len, SPACE)])
		return -EINVAL;
	*ret = xstrndup(begin, len);
	return 0;
}

/* True if the token has changed. */
static bool read_token_file(struct credentials *c)
{
	const char *path = c->config->token_file;
	_cleanup_(freep) char *token = NULL;
	int err = read_token(path, &token);

	c->token_read_us = clock_monotonic_us();
	if (err && err != c->token_err)
		log_warn("api: token file %s: %s; keeping the previous token", path,
			 err == -EINVAL ? "contains no token" : file_text_error(err));
	c->token_err = err;
	if (err || (c->token && !strcmp(c->token, token)))
		return false;
	free(c->token);
	c->token = take_ptr(token);
	http_set_token(c->http, c->token);
	c->version++;
	return true;
}

/*
 * Compares contents: the kubelet swaps a link to the folder, other programs
 * rename or rewrite the file, and some file systems send no notifications.
 */
static void on_poll(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct credentials *c = w->data;

	if (!read_token_file(c))
		return;
	log_info("api: the token in %s has changed", c->config->token_file);
	ev_timer_stop(loop, w);
	c->ready(c->data, true);
}

static void on_retry(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct credentials *c = w->data;

	c->ready(c->data, false);
}

static void wait_and_retry(struct credentials *c)
{
	ev_timer_stop(c->loop, &c->retry);
	ev_timer_set(&c->retry, EXEC_RETRY_SEC, 0);
	ev_timer_start(c->loop, &c->retry);
}

static void plugin_failed(struct credentials *c, const char *why)
{
	const struct kube_exec *e = c->config->exec;

	log_err("api: credential plugin %s: %s%s%s; retrying in %.0f s", e->command, why,
		e->install_hint ? "; " : "", e->install_hint ? e->install_hint : "",
		EXEC_RETRY_SEC);
	wait_and_retry(c);
}

/* The credential of a host whose clock is ahead, or a very short-lived one. */
static void log_expired(struct credentials *c)
{
	long long left_sec = (long long)(c->exec_expires_sec - clock_wall_us() / 1000000);
	bool is_expired = c->exec_expires_sec && left_sec <= EXEC_EARLY_SEC;

	if (is_expired && !c->has_logged_expired)
		log_warn("api: credential plugin %s: its credential expires %lld s "
			 "from now; using it, and renewing it every %llu s; check this "
			 "host's clock",
			 c->config->exec->command, left_sec, EXEC_MIN_US / 1000000);
	c->has_logged_expired = is_expired;
}

static void plugin_done(void *data, const struct exec_credential *credential,
			const char *why)
{
	struct credentials *c = data;

	c->plugin = NULL;
	if (!credential) {
		plugin_failed(c, why);
		return;
	}
	c->has_exec_credential = true;
	c->exec_ran_us = clock_monotonic_us();
	c->exec_expires_sec = credential->expires_sec;
	log_expired(c);
	http_set_token(c->http, credential->token);
	http_set_client_cert(c->http, credential->cert_pem, credential->key_pem);
	c->version++;
	c->ready(c->data, false);
}

static bool is_exec_usable(const struct credentials *c)
{
	if (!c->has_exec_credential)
		return false;
	return !c->exec_expires_sec ||
	       clock_wall_us() / 1000000 < c->exec_expires_sec - EXEC_EARLY_SEC ||
	       clock_monotonic_us() - c->exec_ran_us < EXEC_MIN_US;
}

static bool refresh_exec(struct credentials *c)
{
	int err;

	if (is_exec_usable(c))
		return true;
	if (c->plugin || ev_is_active(&c->retry))
		return false;
	err = exec_plugin_start(c->loop, c->config, 0, plugin_done, c, &c->plugin);
	if (err)
		plugin_failed(c, strerror(-err));
	return false;
}

struct credentials *credentials_new(struct ev_loop *loop,
				    const struct kube_config *config, struct http *http,
				    void (*ready)(void *data, bool is_changed),
				    void *data)
{
	struct credentials *c = xcalloc(1, sizeof(*c));

	c->loop = loop;
	c->config = config;
	c->http = http;
	c->ready = ready;
	c->data = data;
	ev_timer_init(&c->retry, on_retry, 0, 0);
	ev_timer_init(&c->poll, on_poll, 0, TOKEN_POLL_SEC);
	c->retry.data = c->poll.data = c;
	return c;
}

void credentials_free(struct credentials *c)
{
	if (!c)
		return;
	exec_plugin_cancel(c->plugin);
	ev_timer_stop(c->loop, &c->retry);
	ev_timer_stop(c->loop, &c->poll);
	free(c->token);
	free(c);
}

bool credentials_refresh(struct credentials *c)
{
	if (c->config->exec)
		return refresh_exec(c);
	/* (while the token is refused, on_poll() reads the file) */
	if (c->config->token_file && !ev_is_active(&c->poll) &&
	    (!c->token_read_us ||
	     clock_monotonic_us() - c->token_read_us > TOKEN_FRESH_US))
		(void)read_token_file(c);
	return true;
}

unsigned credentials_version(const struct credentials *c)
{
	return c->version;
}

void credentials_refused(struct credentials *c, unsigned version)
{
	if (version != c->version)
		return;
	c->has_exec_credential = false;
	if (!c->config->token_file || c->config->exec || ev_is_active(&c->poll))
		return;
	/* From the loop: the caller is handling the end of its call. */
	ev_timer_set(&c->poll, 0, TOKEN_POLL_SEC);
	ev_timer_start(c->loop, &c->poll);
}

void credentials_accepted(struct credentials *c)
{
	ev_timer_stop(c->loop, &c->poll);
}
