/*
 * RFC 3339 times as the Kubernetes API writes them, with or without fractions
 * of a second ("2026-08-01T10:20:30Z", "2026-08-01T10:20:30.123456789+02:00").
 */
#pragma once

#include <stdint.h>

/* Unix time in microseconds, fractions of them cut off; -EINVAL if the text is not such a time. */
int timestamp_parse(const char *text, int64_t *ret_us);
