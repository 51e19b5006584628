/*
 * What kubeconfig.c (the document) and kubeconfig_load.c (where it is) share.
 */
#pragma once

#include <stddef.h>

struct kube_config;

/* Fills config as far as it got, also on failure: the caller frees it. */
int kube_config_parse_into(const char *bytes, size_t len, const char *folder,
			   struct kube_config *config, char **ret_error);
/* Makes the server a URL without a slash at its end; refuses other schemes. */
int kube_config_check_server(struct kube_config *c, char **ret_error);
