/*
 * Runs a credential plugin (client.authentication.k8s.io ExecCredential) as a
 * child process without blocking the loop.  Its output and its time are bounded;
 * a plugin that exceeds them is killed together with its process group.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct ev_loop;
struct exec_plugin;
struct kube_config;

struct exec_credential {   /* valid during the callback */
	const char *token; /* each may be NULL */
	const char *cert_pem, *key_pem;
	int64_t expires_sec; /* Unix time; 0: never */
};

/*
 * done() is called once from the loop, when the process has ended: credential is
 * NULL on failure, and why is the reason in words.  config->exec must be set.
 * max_sec: the time limit; 0: a minute.  -errno if the plugin can't be started.
 */
int exec_plugin_start(struct ev_loop *loop, const struct kube_config *config,
		      double max_sec,
		      void (*done)(void *data, const struct exec_credential *credential,
				   const char *why),
		      void *data, struct exec_plugin **ret);
/* Kills it; done() is not called. NULL is fine. */
void exec_plugin_cancel(struct exec_plugin *p);

/*
 * The plugin's output -> *ret, whose strings point into *ret_keep, a jansson value.
 * 0, or -EINVAL with the reason in *ret_why.
 */
int exec_credential_parse(const char *text, size_t len, void **ret_keep,
			  struct exec_credential *ret, const char **ret_why);
