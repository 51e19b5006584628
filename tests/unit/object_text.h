/*
 * Manifests in, objects and refusals out, as text for tests to compare.
 */
#pragma once

#include "core/buf.h"
#include "watchers/objects.h"
#include "watchers/reject.h"

/* One line for what it is, then one for each port, endpoint, …: what is empty isn't said. */
void object_text_add(struct buf *out, const struct object *o);

/*
 * Decodes all documents: objects go to *objects, refusals to *rejected, a line each
 * ("Service default/web: spec.type: reason"). The text must parse.
 */
void object_text_decode(const char *manifest, struct buf *objects, struct buf *rejected);

/* The same with the reports that only manifests get. */
void object_text_decode_manifest(const char *manifest, struct buf *objects,
				 struct buf *rejected);
/* The first object that the manifest has, with a reference for the caller; NULL without. */
struct object *object_text_first(const char *manifest);

/* For struct reject: adds such a line to the struct buf that is its data. */
void object_text_note(void *data, const struct rejection *rejection);

/* Manifests in one line; YAML has to begin with something that JSON doesn't. */
#define YAML "--- "
#define YAML_SERVICE(SPEC)                                                               \
	YAML "{apiVersion: v1, kind: Service, metadata: {name: web}, " SPEC "}"
#define YAML_SLICE(META, REST)                                                           \
	YAML "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: "  \
	     "web-1, labels: {kubernetes.io/service-name: web}" META                     \
	     "}, addressType: IPv4, " REST "}"
