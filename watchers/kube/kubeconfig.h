/*
 * Where the API server is and how we prove who we are, read from a kubeconfig
 * file or from what a Pod finds in its file system.  A plain value; nothing is
 * connected here.  Every field of kube-proxy's client is understood but
 * auth-provider, which was removed from Kubernetes 1.26: that one is an error.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

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
 * Reads the kubeconfig at path (NULL: none); master overrides its server, and
 * is enough alone.  With neither, the in-cluster files and environment are
 * used.  On failure *ret_error holds one line that names file and field; the
 * caller frees it.  -ENOENT: there is no such file; -EINVAL: it is not usable.
 */
int kube_config_load(const char *path, const char *master, struct kube_config *ret,
		     char **ret_error);
void kube_config_fini(struct kube_config *config);

/* The same from the bytes of a kubeconfig; relative paths are taken from folder. */
int kube_config_parse(const char *bytes, size_t len, const char *folder,
		      struct kube_config *ret, char **ret_error);
