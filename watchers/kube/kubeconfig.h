/*
 * Address of the API server and our credentials, read from a kubeconfig file or
 * from a Pod's service account.  A plain value; nothing is connected here.  All
 * fields of kube-proxy's client are supported except auth-provider, which was
 * removed from Kubernetes 1.26: it is an error.
 */
#pragma once

#include <stdbool.h>

/* users[].user.exec (client.authentication.k8s.io) */
struct kube_exec {
	char *command;
	char **args; /* NULL-terminated, without the command itself */
	char **env;  /* NULL-terminated "NAME=value" */
	char *api_version;
	char *install_hint;
	bool provide_cluster_info;
};

struct kube_config {
	char *server;	       /* "https://host:port/prefix", no slash at the end */
	char *tls_server_name; /* all strings may be NULL */
	bool insecure;	       /* insecure-skip-tls-verify */
	bool disable_compression;
	char *proxy_url;
	char *ca_file, *ca_pem; /* the PEM text wins over the file */
	char *cert_file, *cert_pem;
	char *key_file, *key_pem;
	char *token, *token_file;
	char *username, *password;
	char *as, *as_uid;
	char **as_groups; /* NULL-terminated */
	char **as_extra;  /* NULL-terminated "key: value" */
	struct kube_exec *exec;
	bool is_in_cluster;
};

/*
 * Reads the kubeconfig at path; NULL: none, then a Pod's environment and service
 * account are used.  master overrides the server alone; outside of a Pod it is
 * sufficient.  service_account: its folder, NULL for the usual one.  A plain
 * http:// master is never sent the service account's token.  On failure
 * *ret_error is one line with file and field, which the caller frees.  -ENOENT:
 * the file does not exist; -EINVAL: it is invalid.
 */
int kube_config_load(const char *path, const char *master, const char *service_account,
		     struct kube_config *ret, char **ret_error);
/*
 * "URL FINGERPRINT": the server, and the authority that its certificate must have,
 * as a text that differs between clusters. The caller frees it.
 */
char *kube_config_identity(const struct kube_config *config);
void kube_config_fini(struct kube_config *config);
