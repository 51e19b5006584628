/*
 * Two versions of a service.  Both lists of both are sorted, so one pass finds
 * what is in one of them only.
 */
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "proxy/engine/journal.h"
#include "core/service.h"

#define MAX_NAMED 5 /* places in one detail */

struct places { /* "10.244.1.4:8080 10.244.1.5:8080 and 3 more" */
	struct buf text;
	size_t n;
};

struct comparison {
	void (*fn)(void *data, enum journal_what what, const char *detail);
	void *data;
};

static void places_add(struct places *p, const char *place, const char *note)
{
	if (++p->n <= MAX_NAMED)
		buf_printf(&p->text, "%s%s%s", p->n > 1 ? " " : "", place, note);
}

static void add_endpoint(struct places *p, const struct endpoint *e, const char *note)
{
	char text[ADDR_PORT_TEXT_LEN];

	places_add(p, addr_port_format(&e->addr, e->port, text), note);
}

static void add_frontend(struct places *p, const struct frontend *f)
{
	char text[ADDR_PORT_TEXT_LEN];

	places_add(p, frontend_format_place(f, text), "");
}

static void places_report(struct places *p, const struct comparison *c,
			  enum journal_what what)
{
	if (p->n > MAX_NAMED)
		buf_printf(&p->text, " and %zu more", p->n - MAX_NAMED);
	if (p->n)
		c->fn(c->data, what, buf_string(&p->text));
	buf_fini(&p->text);
}

/* The new state of an endpoint, when it was another one before. */
static const char *endpoint_state(const struct endpoint *e)
{
	if (e->flags & (ENDPOINT_CLUSTER | ENDPOINT_LOCAL))
		return " (ready)";
	return e->flags & ENDPOINT_SERVING ? " (existing connections only)"
					   : " (not ready)";
}

static void compare_endpoints(const struct service *old, const struct service *new,
			      const struct comparison *c)
{
	const struct endpoint *a = service_endpoints(old), *b = service_endpoints(new);
	struct places added = {0}, removed = {0}, changed = {0};
	uint32_t i = 0, j = 0;

	while (i < old->n_endpoints || j < new->n_endpoints) {
		int order = i == old->n_endpoints ? 1
			    : j == new->n_endpoints
				    ? -1
				    : service_compare_endpoint(&a[i], &b[j]);

		if (order < 0)
			add_endpoint(&removed, &a[i], "");
		else if (order > 0)
			add_endpoint(&added, &b[j], "");
		else if (strcmp(endpoint_state(&a[i]), endpoint_state(&b[j])) != 0)
			add_endpoint(&changed, &b[j], endpoint_state(&b[j]));
		i += order <= 0;
		j += order >= 0;
	}
	places_report(&added, c, JOURNAL_ENDPOINTS_ADDED);
	places_report(&removed, c, JOURNAL_ENDPOINTS_REMOVED);
	places_report(&changed, c, JOURNAL_ENDPOINTS_CHANGED);
}

/* Returns whether a frontend of both decides in another way. */
static bool compare_frontends(const struct service *old, const struct service *new,
			      const struct comparison *c)
{
	const struct frontend *a = service_frontends(old), *b = service_frontends(new);
	struct places added = {0}, removed = {0};
	uint32_t i = 0, j = 0;
	bool differs = false;

	while (i < old->n_frontends || j < new->n_frontends) {
		int order = i == old->n_frontends ? 1
			    : j == new->n_frontends
				    ? -1
				    : service_compare_frontend(&a[i], &b[j]);

		if (order < 0)
			add_frontend(&removed, &a[i]);
		else if (order > 0)
			add_frontend(&added, &b[j]);
		else
			differs |= memcmp(&a[i], &b[j], sizeof(a[i])) != 0;
		i += order <= 0;
		j += order >= 0;
	}
	places_report(&added, c, JOURNAL_FRONTENDS_ADDED);
	places_report(&removed, c, JOURNAL_FRONTENDS_REMOVED);
	return differs;
}

static bool has_same_ranges(const struct service *a, const struct service *b)
{
	return a->n_allowed == b->n_allowed &&
	       memcmp(service_allowed(a), service_allowed(b),
		      a->n_allowed * sizeof(struct cidr)) == 0;
}

static bool has_endpoints(const struct service *s)
{
	return s->n_pool[POOL_CLUSTER] || s->n_pool[POOL_LOCAL];
}

static void report_policy(const struct service *old, const struct service *new,
			  bool differs, const struct comparison *c)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	/* with the last endpoint they become a refusal */
	if (differs && has_endpoints(old) == has_endpoints(new))
		buf_add_string(&text, ", decisions");
	if (old->affinity_sec != new->affinity_sec)
		buf_printf(&text, ", affinity %us", new->affinity_sec);
	if (!has_same_ranges(old, new))
		buf_printf(&text, ", %u source ranges", new->n_allowed);
	if (old->health_check_port != new->health_check_port)
		buf_printf(&text, ", health check port %u", new->health_check_port);
	if (memcmp(&old->options, &new->options, sizeof(old->options)) != 0)
		buf_add_string(&text, ", annotations");
	if (text.len)
		c->fn(c->data, JOURNAL_POLICY_CHANGED, buf_string(&text) + 2);
}

void journal_compare(const struct service *old, const struct service *new,
		     void (*fn)(void *data, enum journal_what what, const char *detail),
		     void *data)
{
	const struct comparison c = {fn, data};
	struct buf detail = BUF_INIT;

	if (!old || !new) {
		const struct service *s = old ? old : new;

		buf_printf(&detail, "%u frontends, %u endpoints", s->n_frontends,
			   s->n_endpoints);
		fn(data, old ? JOURNAL_SERVICE_REMOVED : JOURNAL_SERVICE_ADDED,
		   buf_string(&detail));
		buf_fini(&detail);
		return;
	}
	report_policy(old, new, compare_frontends(old, new, &c), &c);
	compare_endpoints(old, new, &c);
	if (has_endpoints(old) != has_endpoints(new))
		fn(data,
		   has_endpoints(new) ? JOURNAL_HAS_ENDPOINTS : JOURNAL_NO_ENDPOINTS, "");
}
