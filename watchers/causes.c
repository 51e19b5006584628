#include "watchers/causes.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/hash_keys.h"
#include "core/mem.h"
#include "core/utf8.h"

struct entry {
	const char *ns, *name; /* in text; first: a struct name_key */
	struct cause *cause;
	char text[];
};

/* Copies text to *at and moves it on. */
static const char *put_text(char **at, const char *text)
{
	size_t len = strlen(text) + 1;
	const char *copy = memcpy(*at, text, len);

	*at += len;
	return copy;
}

static const char *text_or_empty(const char *text)
{
	return text ? text : "";
}

struct cause *cause_new(const struct cause *from)
{
	const char *version = text_or_empty(from->version);
	_cleanup_(freep) char *file = utf8_clean(text_or_empty(from->file));
	struct cause *cause = xcalloc(1, sizeof(*cause) + strlen(from->kind) +
						 strlen(from->ns) + strlen(from->name) +
						 strlen(version) + strlen(file) + 5);
	char *at = (char *)(cause + 1);

	cause->refs = 1;
	cause->kind = put_text(&at, from->kind);
	cause->ns = put_text(&at, from->ns);
	cause->name = put_text(&at, from->name);
	cause->version = put_text(&at, version);
	cause->file = put_text(&at, file);
	cause->since_us = from->since_us ? from->since_us : clock_monotonic_us();
	return cause;
}

struct cause *cause_ref(const struct cause *cause)
{
	struct cause *c = (struct cause *)(uintptr_t)cause;

	if (c)
		c->refs++;
	return c;
}

void cause_unref(struct cause *cause)
{
	if (cause && --cause->refs == 0)
		free(cause);
}

void causes_start(struct causes *c)
{
	if (c->is_on)
		return;
	c->is_on = true;
	hash_init(&c->services, &name_key_ops);
	c->claim = cause_new(&(struct cause){.kind = "Claim", .ns = "", .name = ""});
}

void causes_set_origin(struct causes *c, const char *version, const char *file)
{
	c->version = version;
	c->file = file;
}

static bool is_same_object(const struct cause *a, const struct cause *b)
{
	return strcmp(a->kind, b->kind) == 0 && strcmp(a->ns, b->ns) == 0 &&
	       strcmp(a->name, b->name) == 0;
}

/* The last object of several changes, with the time of the first one. */
static void replace(struct cause **cause, struct cause *new)
{
	const struct cause *old = *cause;

	if (old) {
		new->n_others = old->n_others + !is_same_object(old, new);
		if (old->since_us < new->since_us)
			new->since_us = old->since_us;
	}
	cause_unref(*cause);
	*cause = new;
}

static struct entry *entry_get(struct causes *c, const char *ns, const char *name)
{
	const struct name_key key = {.ns = ns, .name = name};
	struct entry *e = hash_find(&c->services, &key);
	char *at;

	if (e)
		return e;
	if (c->services.n >= CAUSES_MAX) {
		c->has_overflowed = true;
		return NULL;
	}
	e = xcalloc(1, sizeof(*e) + strlen(ns) + strlen(name) + 2);
	at = e->text;
	e->ns = put_text(&at, ns);
	e->name = put_text(&at, name);
	(void)hash_put(&c->services, e);
	return e;
}

void causes_note(struct causes *c, const char *ns, const char *service,
		 const struct cause *why)
{
	struct cause cause = *why;
	struct entry *e;

	if (!c->is_on)
		return;
	cause.version = c->version;
	cause.file = c->file;
	if (!service) {
		replace(&c->all, cause_new(&cause));
		return;
	}
	e = entry_get(c, ns, service);
	if (e)
		replace(&e->cause, cause_new(&cause));
}

const struct cause *causes_find(const struct causes *c, const char *ns,
				const char *service)
{
	const struct name_key key = {.ns = ns, .name = service};
	const struct entry *e = c->is_on ? hash_find(&c->services, &key) : NULL;

	if (e)
		return e->cause;
	if (c->all || c->has_overflowed)
		return c->all;
	return c->is_on && c->services.n > 0 ? c->claim : NULL;
}

void causes_clear(struct causes *c)
{
	struct entry *e;

	if (!c->is_on)
		return;
	for (size_t i = 0; (e = hash_next(&c->services, &i));) {
		cause_unref(e->cause);
		free(e);
	}
	hash_clear(&c->services);
	cause_unref(c->all);
	c->all = NULL;
	c->has_overflowed = false;
}

void causes_fini(struct causes *c)
{
	causes_clear(c);
	cause_unref(c->claim);
}
