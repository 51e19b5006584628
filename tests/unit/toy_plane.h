/*
 * Two planes of tests: "toy" has a vital sink that holds service names, can be compared,
 * counted and shown in /metrics, and another one after it; "plain" has none.
 */
#pragma once

#include <stddef.h>

#include "core/sink.h"
#include "proxy/engine/parts.h"

struct toy { /* a sink */
	struct sink sink;
	int answer; /* to change sets */
	size_t n_held;
};

extern struct toy_plane {
	int probe_answer, open_answer;
	struct toy *toys[2]; /* since it was opened */
	int n_cleanups[3];   /* of toy, of both, of plain */
} toy_plane;

extern const struct parts toy_parts;
