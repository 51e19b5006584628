/*
 * Reports input that was ignored: source, object, field, reason.  Decoders call
 * back; the callee copies the strings that it keeps.
 *
 * Readers mark the start and the end of each object (a file, an object of the
 * API server).  The rejections in between replace those of the previous time,
 * so the callee can log only new ones and count those that remain.
 */
#pragma once

#include <stdbool.h>

struct rejection {
	const char *source;    /* "web.yaml, document 2", "api"; "" if there is none */
	const char *kind;      /* "Service" */
	const char *ns, *name; /* "" when unknown */
	const char *field;     /* "spec.ports[1].port"; "" means the whole object */
	const char *reason;
};

struct reject_object {
	const char *kind; /* "" for a file, whose name is its path */
	const char *ns, *name;
	bool is_deleted; /* its rejections end without a line */
};

struct reject {
	void (*call)(void *data, const struct rejection *rejection);
	void *data;
	/*
	 * The input is written by hand: no API server has filled in and checked its
	 * fields.  Valid things that have no effect are reported, too.
	 */
	bool is_manifest;
	/* All may be NULL, for a callee that only wants the lines. */
	void (*begin)(void *data, const struct reject_object *object);
	void (*end)(void *data);
	/* All objects of a kind are read in between; the others are deleted. */
	void (*begin_all)(void *data, const char *kind);
	void (*end_all)(void *data, const char *kind);
};

static inline void reject_call(const struct reject *reject,
			       const struct rejection *rejection)
{
	if (reject && reject->call)
		reject->call(reject->data, rejection);
}

/* Of a file, a document or an item as a whole. */
static inline void reject_source(const struct reject *reject, const char *source,
				 const char *reason)
{
	reject_call(reject, &(struct rejection){source, "", "", "", "", reason});
}

static inline bool reject_is_manifest(const struct reject *reject)
{
	return reject && reject->is_manifest;
}

static inline void reject_begin(const struct reject *reject, const char *kind,
				const char *ns, const char *name)
{
	if (reject && reject->begin)
		reject->begin(reject->data,
			      &(struct reject_object){kind, ns, name, false});
}

static inline void reject_end(const struct reject *reject)
{
	if (reject && reject->end)
		reject->end(reject->data);
}

/* The object or file was deleted. */
static inline void reject_gone(const struct reject *reject, const char *kind,
			       const char *ns, const char *name)
{
	if (reject && reject->begin)
		reject->begin(reject->data,
			      &(struct reject_object){kind, ns, name, true});
	reject_end(reject);
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
