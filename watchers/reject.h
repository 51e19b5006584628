/*
 * Telling about input that was ignored: one line that names where it stood,
 * the object, the field, and why.  Whoever decodes calls back; the callee
 * copies what it keeps.
 *
 * Who reads a thing (a file, an object of the API server) says where it begins
 * and ends: what is told between is all that is wrong with it now, so that the
 * callee need not repeat what it told before, and knows what has been mended.
 */
#pragma once

#include <stddef.h>

struct rejection {
	const char *source;    /* "web.yaml, document 2", "api"; "" when there is none */
	const char *kind;      /* "Service" */
	const char *ns, *name; /* "" when unknown */
	const char *field;     /* "spec.ports[1].port"; "" means the whole object */
	const char *reason;
};

struct reject_thing {
	const char *kind; /* "" for a file, whose name is its path */
	const char *ns, *name;
};

struct reject {
	void (*call)(void *data, const struct rejection *rejection);
	void *data;
	/* All may be NULL, for those who only want the lines. */
	void (*begin)(void *data, const struct reject_thing *thing);
	void (*end)(void *data);
	/* All things of a kind are read in between; those that are not are gone. */
	void (*begin_all)(void *data, const char *kind);
	void (*end_all)(void *data, const char *kind);
};

static inline void reject_call(const struct reject *reject,
			       const struct rejection *rejection)
{
	if (reject && reject->call)
		reject->call(reject->data, rejection);
}

static inline void reject_begin(const struct reject *reject, const char *kind,
				const char *ns, const char *name)
{
	if (reject && reject->begin)
		reject->begin(reject->data, &(struct reject_thing){kind, ns, name});
}

static inline void reject_end(const struct reject *reject)
{
	if (reject && reject->end)
		reject->end(reject->data);
}

static inline void reject_begin_all(const struct reject *reject, const char *kind)
{
	if (reject && reject->begin_all)
		reject->begin_all(reject->data, kind);
}

static inline void reject_end_all(const struct reject *reject, const char *kind)
{
	if (reject && reject->end_all)
		reject->end_all(reject->data, kind);
}
