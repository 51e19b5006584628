/*
 * Guarantees of decoded objects: the limits and checks that other readers of objects
 * share with the decoders.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "watchers/objects.h"

#define DECODE_MAX_PORTS	1000
#define DECODE_MAX_ENDPOINTS	65536
#define DECODE_MAX_ADDRESSES	1000 /* external IPs, ingress, ranges, … each */
#define DECODE_MAX_HINTS	64
#define DECODE_MAX_NAME		253
#define DECODE_MAX_LABEL	63
#define DECODE_MAX_PATH		1024 /* of a health check */
#define DECODE_MAX_AFFINITY_SEC 86400

/* Is it made of letters, digits, '-', '_' and '.' only, and at most max long? "" is. */
bool decode_is_plain(const char *text, size_t max);
/* The same for a name that may be part of a path of the API: not "", "." or "..". */
bool decode_is_name(const char *text, size_t max);
/* Could annotations have set these options? */
bool decode_are_options(const struct object_options *options);
/* All of them: an object is without options then. */
bool decode_are_defaults(const struct object_options *options);
