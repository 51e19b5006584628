/*
 * The bytes of an answer: splitter -> decoder -> reflector -> cluster.  Objects
 * go into the cluster as they arrive; no answer is ever kept whole.
 */
#include "watchers/kube/informer_private.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "watchers/causes.h"
#include "watchers/cluster.h"
#include "watchers/decode/decode.h"
#include "watchers/kube/broken_object.h"
#include "watchers/kube/resource.h"

#define OBJECT_MAX_LEN	 (4u << 20) /* etcd refuses above 1.5 MiB */
#define OBJECT_MAX_DEPTH 64

/* Of what the cluster gets next; NULL: after it. */
static void set_version(const struct informer *i, const char *version)
{
	causes_set_origin(cluster_causes(i->p.cluster), version, NULL);
}

static void do_step(struct informer *i, enum reflector_step step,
		    struct watch_event *event)
{
	struct cluster *c = i->p.cluster;

	switch (step) {
	case REFLECTOR_NOTHING:
		return;
	case REFLECTOR_PUT:
		i->has_changed |= cluster_put(c, take_ptr(event->object));
		return;
	case REFLECTOR_DEL:
		i->has_changed |= cluster_del(c, i->p.kind, event->ns, event->name);
		return;
	case REFLECTOR_END_REPLACE:
		if (!i->has_nameless)
			cluster_end_replace(c, i->p.kind);
		reject_end_all(i->p.reject, object_kind_name(i->p.kind));
		i->has_changed = true;
		return;
	case REFLECTOR_GIVE_UP:
		i->gave_up = true;
		return;
	}
}

/* Not a failure if the next call follows immediately: an old version, lists that don't stream. */
static void report_error_event(struct informer *i, const struct watch_event *event)
{
	const char *why =
		*event->message ? event->message : "the watch ended with an error";

	if (reflector_wait(&i->reflector, clock_monotonic_us()) > 0)
		informer_report_failure(i, event->status_code, why);
	else
		log_debug("api: %s: %s; listing", resource_name(i->p.kind), why);
}

/* The last known state of the object stays.  -EINVAL if it is not an object. */
static int skip_broken(struct informer *i, const struct json_split_part *part,
		       const char *why)
{
	struct broken_object broken;

	if (*part->bytes != '{')
		return -EINVAL;
	broken_object_find(part->bytes, part->len, &broken);
	broken_object_reject(&broken, i->p.kind, i->p.reject, why);
	cluster_keep(i->p.cluster, i->p.kind, broken.ns, broken.name);
	i->has_nameless |= !*broken.name;
	return 0;
}

static json_t *parse(const struct json_split_part *part, const char **ret_why)
{
	json_t *json = NULL;

	if (part->is_cut)
		*ret_why = "is larger than 4 MiB, or deeper than 64 levels";
	else if (!(json = json_loadb(part->bytes, part->len, JSON_ALLOW_NUL, NULL)))
		*ret_why = "is not valid JSON";
	return json;
}

/* One event of a watch. */
static int on_event(void *data, const struct json_split_part *part)
{
	struct informer *i = data;
	struct watch_event event;
	const char *why = NULL;
	json_t *json = parse(part, &why);

	if (json && watch_event_decode(json, i->p.kind, i->p.reject, &event))
		why = "is not a watch event";
	json_decref(json);
	if (why)
		return skip_broken(i, part, why);
	i->was_garbled = false;
	set_version(i, event.resource_version);
	do_step(i, reflector_event(&i->reflector, &event, clock_monotonic_us()), &event);
	set_version(i, NULL);
	if (event.type == WATCH_ERROR)
		report_error_event(i, &event);
	watch_event_fini(&event);
	return i->gave_up ? -ECANCELED : 0;
}

static const char *version_of(const json_t *object)
{
	return json_string_value(
		json_object_get(json_object_get(object, "metadata"), "resourceVersion"));
}

static void read_page_meta(struct informer *i, const json_t *meta)
{
	const char *version = json_string_value(json_object_get(meta, "resourceVersion"));
	const char *more = json_string_value(json_object_get(meta, "continue"));

	/* A part of a list must not be taken for all of it. */
	if (!version || !*version || strlen(version) >= sizeof(i->page_version) ||
	    (more && strlen(more) >= CONTINUE_TOKEN_LEN)) {
		i->body_error = "the list has no valid resourceVersion";
		return;
	}
	strcpy(i->page_version, version);
	free(i->page_continue);
	i->page_continue = more && *more ? xstrdup(more) : NULL;
	i->has_page = true;
	i->was_garbled = false;
}

/* An item of a LIST answer, or at its end the list without the items. */
static int on_list_value(void *data, const struct json_split_part *part)
{
	struct informer *i = data;
	struct decoded decoded = {0};
	const char *why = NULL;
	json_t *json;

	if (part->type == JSON_SPLIT_VALUE) {
		/* (is_cut may be that of the last item) */
		json = json_loadb(part->bytes, part->len, JSON_ALLOW_NUL, NULL);
		read_page_meta(i, json_object_get(json, "metadata"));
		json_decref(json);
		return 0;
	}
	json = parse(part, &why);
	if (why)
		(void)skip_broken(i, part, why);
	else
		watch_item_decode(json, i->p.kind, i->p.reject, &decoded);
	set_version(i, version_of(json));
	for (size_t k = 0; k < decoded.n; k++)
		i->has_changed |= cluster_put(i->p.cluster, decoded.objects[k]);
	set_version(i, NULL);
	json_decref(json);
	return 0;
}

void informer_answer_begin(struct informer *i)
{
	bool is_list = i->verb == REFLECTOR_LIST;
	const struct json_split_options options = {
		.cut_items = is_list,
		.max_len = OBJECT_MAX_LEN,
		.max_depth = OBJECT_MAX_DEPTH,
		.cut_oversize = true,
	};

	informer_answer_fini(i);
	i->gave_up = false;
	i->body_error = NULL;
	i->has_page = false;
	if (i->reflector.is_replacing && !i->reflector.continue_token)
		i->has_nameless = false;
	*i->page_version = 0;
	json_split_init(&i->split, &options, is_list ? on_list_value : on_event, i);
}

int informer_answer_feed(struct informer *i, const char *bytes, size_t len)
{
	int err = json_split_feed(&i->split, bytes, len);

	if (err && err != -ECANCELED)
		i->body_error = err == -E2BIG
					? "the answer has an object that is too large"
					: "the answer is not valid JSON";
	return err;
}

void informer_answer_end_page(struct informer *i)
{
	set_version(i, i->page_version);
	do_step(i, reflector_page(&i->reflector, i->page_version, i->page_continue),
		NULL);
	set_version(i, NULL);
}

void informer_answer_fini(struct informer *i)
{
	json_split_fini(&i->split);
	free(take_ptr(i->page_continue));
}
