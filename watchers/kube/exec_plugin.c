/*
 * One run of a plugin.  Its standard output arrives through a pipe on the loop;
 * the end of the process ends the run.
 */
#include "watchers/kube/exec_plugin.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <jansson.h>
#include <nettle/base64.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"
#include "watchers/decode/file_text.h"
#include "watchers/decode/json_text.h"
#include "watchers/decode/timestamp.h"
#include "watchers/kube/kubeconfig.h"

#define OUTPUT_MAX_LEN (256u << 10)
#define CA_MAX_LEN     (64u << 10) /* more than an environment holds */
#define RUN_MAX_SEC    60.0

#define USUAL_DESCRIPTORS 1024

extern char **environ;

struct exec_plugin {
	struct ev_loop *loop;
	struct ev_io output;
	struct ev_io child; /* a pidfd: readable when the process has ended */
	struct ev_timer timer;
	pid_t pid;
	const char *why; /* it was killed; NULL: it was not */
	struct buf text;
	void (*done)(void *data, const struct exec_credential *credential,
		     const char *why);
	void *data;
};

static const char *text_or_null(const json_t *object, const char *field)
{
	const char *text = json_text(object, field);

	return *text ? text : NULL;
}

int exec_credential_parse(const char *text, size_t len, void **ret_keep,
			  struct exec_credential *ret, const char **ret_why)
{
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *status = json_object_get(root, "status");
	const char *kind = json_text(root, "kind");
	const char *expires = json_text(status, "expirationTimestamp");
	struct exec_credential found = {
		.token = text_or_null(status, "token"),
		.cert_pem = text_or_null(status, "clientCertificateData"),
		.key_pem = text_or_null(status, "clientKeyData"),
	};
	int64_t expires_us = 0;

	*ret_why = NULL;
	if (*expires && timestamp_parse(expires, &expires_us))
		*ret_why = "invalid expirationTimestamp";
	found.expires_sec = expires_us / 1000000;
	if (!root)
		*ret_why = "output is not JSON";
	else if (strcmp(kind, "ExecCredential"))
		*ret_why = "output is not an ExecCredential";
	else if (!found.token && !(found.cert_pem && found.key_pem))
		*ret_why = "returned neither a token nor a client certificate with key";
	else if (found.token && strpbrk(found.token, "\r\n"))
		*ret_why = "the token has a line break";
	if (*ret_why) {
		json_decref(root);
		return -EINVAL;
	}
	*ret = found;
	*ret_keep = root;
	return 0;
}

static void release(struct exec_plugin *p)
{
	ev_io_stop(p->loop, &p->output);
	ev_io_stop(p->loop, &p->child);
	ev_timer_stop(p->loop, &p->timer);
	(void)close(p->child.fd);
	(void)close(p->output.fd);
	buf_fini(&p->text);
	free(p);
}

/*
 * The process may be in an uninterruptible sleep: on_child() reaps it and
 * reports why.  Until then no other run is started.
 */
static void give_up(struct exec_plugin *p, const char *why)
{
	if (!p->why)
		p->why = why;
	ev_io_stop(p->loop, &p->output);
	(void)kill(-p->pid, SIGKILL);
}

static void report(struct exec_plugin *p, int status)
{
	struct exec_credential credential;
	const char *why = p->why;
	void *keep = NULL;

	if (!why && (!WIFEXITED(status) || WEXITSTATUS(status)))
		why = "exited with an error";
	if (!why)
		(void)exec_credential_parse(buf_string(&p->text), p->text.len, &keep,
					    &credential, &why);
	p->done(p->data, why ? NULL : &credential, why);
	json_decref(keep);
}

/* False when there is no more output for now. */
static bool read_output(struct exec_plugin *p)
{
	char chunk[4096];
	ssize_t n = read(p->output.fd, chunk, sizeof(chunk));

	if (n == -1 && errno == EINTR)
		return true;
	if (n == 0 || (n == -1 && errno != EAGAIN))
		ev_io_stop(p->loop, &p->output);
	if (n <= 0)
		return false;
	buf_add(&p->text, chunk, (size_t)n);
	if (p->text.len <= OUTPUT_MAX_LEN)
		return true;
	give_up(p, "output is larger than 256 KiB");
	return false;
}

static void on_output(struct ev_loop *loop, struct ev_io *w, int revents)
{
	(void)read_output(w->data);
}

/* Processes that the plugin left running may keep the pipe open: only its own end counts. */
static void on_child(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct exec_plugin *p = w->data;
	int status;

	if (waitpid(p->pid, &status, WNOHANG) != p->pid)
		return;
	while (!p->why && read_output(p))
		;
	report(p, status);
	release(p);
}

static void on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct exec_plugin *p = w->data;

	if (p->why)
		log_warn("api: credential plugin: process %d was killed and has not "
			 "ended yet; waiting for it",
			 (int)p->pid);
	give_up(p, "took too long and was killed");
}

/* base64 of the PEM text, as the plugin interface defines it; NULL without a CA. */
static char *encode_ca(const struct kube_config *config)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	char *out;

	if (config->ca_pem)
		buf_add_string(&text, config->ca_pem);
	else if (!config->ca_file ||
		 file_text_read(config->ca_file, FILE_TEXT_FILE, CA_MAX_LEN, &text))
		return NULL;
	out = xcalloc(1, BASE64_ENCODE_RAW_LENGTH(text.len) + 1);
	base64_encode_raw(out, text.len, (const uint8_t *)buf_string(&text));
	return out;
}

static json_t *describe_cluster(const struct kube_config *config)
{
	_cleanup_(freep) char *ca = encode_ca(config);

	return json_pack("{s:s, s:b, s:s*, s:s*, s:s*, s:b}", "server", config->server,
			 "insecure-skip-tls-verify", config->insecure, "tls-server-name",
			 config->tls_server_name, "certificate-authority-data", ca,
			 "proxy-url", config->proxy_url, "disable-compression",
			 config->disable_compression);
}

/* KUBERNETES_EXEC_INFO of the plugin interface. */
static char *exec_info(const struct kube_config *config)
{
	const struct kube_exec *e = config->exec;
	json_t *spec = json_pack("{s:b}", "interactive", 0);
	json_t *info = json_pack("{s:s, s:s, s:o}", "apiVersion",
				 e->api_version ? e->api_version
						: "client.authentication.k8s.io/v1",
				 "kind", "ExecCredential", "spec", spec);
	char *json, *line;

	if (e->provide_cluster_info)
		(void)json_object_set_new(spec, "cluster", describe_cluster(config));
	json = json_dumps(info, JSON_COMPACT);
	line = xasprintf("KUBERNETES_EXEC_INFO=%s", json ? json : "{}");
	free(json);
	json_decref(info);
	return line;
}

static size_t list_len(char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

/* KUBERNETES_EXEC_INFO, exec.env, then our environment: getenv() finds the first of a name. */
static char **build_env(const struct kube_config *config, char **ret_info)
{
	size_t n = list_len(environ), n_own = list_len(config->exec->env);
	char **env = xcalloc(n + n_own + 2, sizeof(*env));

	env[0] = *ret_info = exec_info(config);
	for (size_t i = 0; i < n_own; i++)
		env[1 + i] = config->exec->env[i];
	memcpy(env + 1 + n_own, environ, n * sizeof(*env));
	return env;
}

/* Its own process group, and the signals that this program ignores or blocks as usual. */
static void set_attributes(posix_spawnattr_t *attr)
{
	sigset_t dfl, none;

	sigemptyset(&none);
	sigemptyset(&dfl);
	sigaddset(&dfl, SIGPIPE);
	posix_spawnattr_init(attr);
	posix_spawnattr_setflags(attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
					       POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigdefault(attr, &dfl);
	posix_spawnattr_setsigmask(attr, &none);
}

/*
 * The daemon has raised its own limit; a program that uses select(), or closes all numbers
 * that it may have, expects the usual one.
 */
static void limit_descriptors(pid_t pid)
{
	struct rlimit limit;

	if (prlimit(pid, RLIMIT_NOFILE, NULL, &limit) == -1 ||
	    limit.rlim_cur <= USUAL_DESCRIPTORS)
		return; /* it may have ended */
	limit.rlim_cur = USUAL_DESCRIPTORS;
	(void)prlimit(pid, RLIMIT_NOFILE, &limit, NULL); /* the program runs without it */
}

static int spawn(const struct kube_config *config, int fd, pid_t *ret_pid)
{
	const struct kube_exec *e = config->exec;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	_cleanup_(freep) char **argv = NULL;
	_cleanup_(freep) char *info = NULL;
	_cleanup_(freep) char **env = build_env(config, &info);
	size_t n = list_len(e->args);
	int err;

	argv = xcalloc(n + 2, sizeof(*argv));
	argv[0] = e->command;
	for (size_t i = 0; i < n; i++)
		argv[i + 1] = e->args[i];
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY,
					 0);
	posix_spawn_file_actions_adddup2(&actions, fd, STDOUT_FILENO);
	set_attributes(&attr);
	err = posix_spawnp(ret_pid, e->command, &actions, &attr, argv, env);
	if (!err)
		limit_descriptors(*ret_pid);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return -err;
}

int exec_plugin_start(struct ev_loop *loop, const struct kube_config *config,
		      double max_sec,
		      void (*done)(void *data, const struct exec_credential *credential,
				   const char *why),
		      void *data, struct exec_plugin **ret)
{
	_cleanup_(closep) int in = -1;
	_cleanup_(closep) int out = -1;
	_cleanup_(closep) int pidfd = -1;
	struct exec_plugin *p;
	int fds[2], err;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) == -1)
		return -errno;
	in = fds[0];
	out = fds[1];
	/* The plugin itself may expect a blocking standard output. */
	(void)fcntl(out, F_SETFL, 0);
	err = spawn(config, out, &pid);
	if (err)
		return err;
	pidfd = pidfd_open(pid, 0);
	if (pidfd == -1) {
		err = -errno;
		(void)kill(-pid, SIGKILL);
		return err;
	}
	p = xcalloc(1, sizeof(*p));
	p->loop = loop;
	p->pid = pid;
	p->done = done;
	p->data = data;
	ev_io_init(&p->output, on_output, take_fd(in), EV_READ);
	ev_io_init(&p->child, on_child, take_fd(pidfd), EV_READ);
	max_sec = max_sec > 0 ? max_sec : RUN_MAX_SEC;
	ev_timer_init(&p->timer, on_timer, max_sec, max_sec);
	p->output.data = p->child.data = p->timer.data = p;
	ev_io_start(loop, &p->output);
	ev_io_start(loop, &p->child);
	ev_timer_start(loop, &p->timer);
	*ret = p;
	return 0;
}

void exec_plugin_cancel(struct exec_plugin *p)
{
	if (!p)
		return;
	(void)kill(-p->pid, SIGKILL);
	(void)waitpid(p->pid, NULL, WNOHANG); /* or init does, after our own end */
	release(p);
}
