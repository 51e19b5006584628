/*
 * `sluice plan`: the decided services as text, JSON or YAML (sluice/v1 Plan).
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/environment.h"
#include "core/state.h"
#include "watchers/objects.h"
#include "watchers/reject.h"

struct plan_print_input {
	const char *node_name, *zone;
	const struct state *state;
	const struct rejection *rejected;
	size_t n_rejected;
	/* JSON, YAML: print frontends at all of its node addresses for each; NULL: as "*" */
	const struct environment *env;
};

/* A service as in the list of the plan; env as above. */
json_t *plan_print_service(const struct service *s, const struct environment *env);
/* format: "text", "json" or "yaml"; -EINVAL for others. */
int plan_print(const struct plan_print_input *in, const char *format, struct buf *out);
