/*
 * Shared by kubeconfig.c (the document) and kubeconfig_load.c (its sources).
 */
#pragma once

#include <stddef.h>

struct kube_config;

/*
 * The bytes of a kubeconfig; relative paths are taken from folder.  Also after a
 * failure the caller calls kube_config_fini().
 */
int kube_config_parse(const char *bytes, size_t len, const char *folder,
		      struct kube_config *config, char **ret_error);
/* Makes the server a URL without a slash at its end; refuses other schemes. */
int kube_config_check_server(struct kube_config *c, char **ret_error);
