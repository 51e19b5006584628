/*
 * Which Node object is ours: the override, else the hostname, trimmed and
 * lower-cased.
 */
#pragma once

/* -EINVAL when the name is empty. The caller frees it. */
int node_name_find(const char *hostname_override, char **ret);
