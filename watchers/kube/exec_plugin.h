/*
 * Runs a credential plugin (client.authentication.k8s.io ExecCredential) as a
 * child process without blocking the loop.  Its output is bounded, it has a
 * minute, and it is killed when it takes longer.
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
	int64_t expires_sec; /* Unix time; 0: does not end */
};

/*
 * done() is called once from the loop: credential is NULL on failure, and why a
 * sentence for people. config->exec must be set. -errno when it can't be started.
 */
int exec_plugin_start(struct ev_loop *loop, const struct kube_config *config,
		      void (*done)(void *data, const struct exec_credential *credential,
				   const char *why),
		      void *data, struct exec_plugin **ret);
/* Kills it; done() is not called. NULL is fine. */
void exec_plugin_cancel(struct exec_plugin *p);

/* The answer's text -> *ret (strings point into *ret_keep, a jansson value). -EINVAL with a reason. */
int exec_credential_parse(const char *text, size_t len, void **ret_keep,
			  struct exec_credential *ret, const char **ret_why);
