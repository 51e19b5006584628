/*
 * --config: a KubeProxyConfiguration (v1alpha1) in YAML or JSON.  Read as
 * kube-proxy does: strictly; objections of strictness alone (unknown and
 * duplicate fields) is logged and ignored.
 */
#pragma once

#include <stddef.h>

struct config;

/* *c holds defaults and is filled in; on failure the caller frees *ret_error. */
int config_file_read(const char *path, struct config *c, char **ret_error);
/* The same from bytes; name is for messages. */
int config_file_parse(const char *bytes, size_t len, const char *name, struct config *c,
		      char **ret_error);
/* Written whole or not at all: through a temporary file beside it. */
int config_file_write(const char *path, const struct config *c, char **ret_error);
