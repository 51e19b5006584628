/*
 * Configurations for tests, out of YAML.
 */
#pragma once

#include "proxy/config/config.h"

#define CONFIG_HEADER                                                                    \
	"apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"

/* The text must be readable. */
void config_text_load(struct config *c, const char *text);
/* The field as text; freed by the caller. */
char *config_text_field(struct config *c, const char *path);
void config_text_expect(struct config *c, const char *path, const char *expected);
