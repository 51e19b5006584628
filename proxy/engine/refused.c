#include "proxy/engine/refused.h"

#include <stdlib.h>

#include "core/hash_keys.h"
#include "core/mem.h"

struct entry {
	struct service *service; /* first; a reference */
	char *why;
	unsigned round; /* in which it was refused last */
};

static void entry_free(struct entry *e)
{
	service_unref(e->service);
	free(e->why);
	free(e);
}

void refused_init(struct refused *r)
{
	*r = (struct refused){0};
	hash_init(&r->entries, &service_key_ops);
}

void refused_fini(struct refused *r)
{
	struct entry *e;

	for (size_t i = 0; (e = hash_next(&r->entries, &i));)
		entry_free(e);
	hash_fini(&r->entries);
}

size_t refused_n(const struct refused *r)
{
	return r->entries.n;
}

bool refused_has(const struct refused *r, const struct service *service)
{
	return hash_find(&r->entries, service) != NULL;
}

const char *refused_why(const struct refused *r, const struct service *service)
{
	const struct entry *e = hash_find(&r->entries, service);

	return e ? e->why : NULL;
}

const struct service *refused_next(const struct refused *r, size_t *cursor)
{
	const struct entry *e = hash_next(&r->entries, cursor);

	return e ? e->service : NULL;
}

void refused_start_round(struct refused *r)
{
	r->round++;
}

bool refused_put(struct refused *r, const struct service *service, const char *why)
{
	struct entry *e = hash_find(&r->entries, service);
	bool is_first = !e;

	if (!e) {
		e = xcalloc(1, sizeof(*e));
		e->service = service_ref(service);
		(void)hash_put(&r->entries, e);
	} else if (e->service != service) {
		service_unref(e->service); /* an equal key: its place stays */
		e->service = service_ref(service);
	}
	free(e->why);
	e->why = xstrdup(why ? why : "");
	e->round = r->round;
	return is_first;
}

static bool settle(struct refused *r, struct entry *e)
{
	if (e->round == r->round)
		return false;
	(void)hash_del(&r->entries, e->service);
	entry_free(e);
	return true;
}

bool refused_settle(struct refused *r, const struct service *service)
{
	struct entry *e = hash_find(&r->entries, service);

	return e && settle(r, e);
}

void refused_settle_all(struct refused *r)
{
	struct entry *e;

	for (size_t i = 0; (e = hash_next(&r->entries, &i));)
		(void)settle(r, e);
}
