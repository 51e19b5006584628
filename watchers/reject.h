/*
 * Telling about input that was ignored: one line that names where it stood,
 * the object, the field, and why.  Whoever decodes calls back; the callee
 * copies what it keeps.
 */
#pragma once

struct rejection {
	const char *source;    /* "web.yaml, document 2", "api"; "" when there is none */
	const char *kind;      /* "Service" */
	const char *ns, *name; /* "" when unknown */
	const char *field;     /* "spec.ports[1].port"; "" means the whole object */
	const char *reason;
};

struct reject {
	void (*call)(void *data, const struct rejection *rejection);
	void *data;
};

static inline void reject_call(const struct reject *reject,
			       const struct rejection *rejection)
{
	if (reject && reject->call)
		reject->call(reject->data, rejection);
}
