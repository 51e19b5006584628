/*
 * The configuration as a KubeProxyConfiguration object, through the table of
 * its fields: for /configz and for writing a file.
 */
#pragma once

#include <jansson.h>

struct config;

/* A new reference; fields in the order of their paths. */
json_t *config_to_json(const struct config *config);
