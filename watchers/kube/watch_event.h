/*
 * Decodes one event of a Kubernetes watch from JSON.  Rejections are reported
 * for each object separately.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "watchers/decode/decode.h"
#include "watchers/objects.h"
#include "watchers/reject.h"

enum watch_event_type {
	WATCH_ADDED,
	WATCH_MODIFIED,
	WATCH_DELETED,
	WATCH_BOOKMARK,
	WATCH_ERROR,
};

#define RESOURCE_VERSION_LEN 64 /* with the NUL; opaque, longer ones are refused */

struct watch_event {
	enum watch_event_type type;
	char resource_version[RESOURCE_VERSION_LEN]; /* "" when absent */
	bool is_initial_end; /* BOOKMARK with k8s.io/initial-events-end "true" */
	/*
	 * ADDED, MODIFIED: the object (one reference for the caller); NULL when it was rejected or
	 * is hidden from us.  ns and name are always set for ADDED, MODIFIED, DELETED.
	 */
	struct object *object;
	char ns[64], name[256];
	/* ERROR: the Status */
	int status_code; /* 0 when absent */
	char reason[64]; /* "Expired", "Gone", … */
	char message[256];
	uint32_t retry_after_sec;
	bool is_too_large_version; /* cause ResourceVersionTooLarge */
};

/* 0, or -EINVAL if it is not an event; *ret is untouched then. */
int watch_event_decode(const json_t *json, enum object_kind kind,
		       const struct reject *reject, struct watch_event *ret);
void watch_event_fini(struct watch_event *event);

/* An item of a LIST answer: as decode_kind(), with the rejections of an event. */
void watch_item_decode(const json_t *json, enum object_kind kind,
		       const struct reject *reject, struct decoded *ret);

/* A Status object (the body of an error answer): code, reason, message, … into ret. */
int watch_status_decode(const json_t *json, struct watch_event *ret);
