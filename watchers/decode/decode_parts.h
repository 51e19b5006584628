/*
 * Shared by the decoders of the single kinds.  Private to decode*.c.
 */
#pragma once

#include "watchers/decode/decode.h"
#include "watchers/decode/decode_valid.h"
#include "watchers/decode/json_reader.h"
#include "watchers/objects.h"
#include "watchers/decode/scratch.h"

/* Decodes one kind; a rejected object is reported and adds nothing to *ret. */
typedef void (*decode_part)(const struct json_reader *root, struct scratch *scratch,
			    struct decoded *ret);

void decode_service(const struct json_reader *root, struct scratch *scratch,
		    struct decoded *ret);
void decode_slice(const struct json_reader *root, struct scratch *scratch,
		  struct decoded *ret);
void decode_endpoints(const struct json_reader *root, struct scratch *scratch,
		      struct decoded *ret);
void decode_node(const struct json_reader *root, struct scratch *scratch,
		 struct decoded *ret);
void decode_service_cidr(const struct json_reader *root, struct scratch *scratch,
			 struct decoded *ret);

void decode_pod(const struct json_reader *root, struct scratch *scratch,
		struct decoded *ret);
void decode_namespace(const struct json_reader *root, struct scratch *scratch,
		      struct decoded *ret);

/* Packs it and adds it. */
void decode_add(struct decoded *ret, const struct object *from);

/*
 * name and namespace into *ret, which is otherwise left alone.  False,
 * with a report, if the object has no valid name.
 */
bool decode_metadata(const struct json_reader *metadata, bool is_namespaced,
		     struct object *ret);
/* In seconds of Unix time, or 0. */
int64_t decode_creation_time(const struct json_reader *metadata);
/* "" if absent, or (with a report) invalid. */
const char *decode_label(const struct json_reader *metadata, const char *label);
/* Does a label say that this Service or slice is not for us? */
bool decode_is_hidden(const struct json_reader *metadata);

/* The text of the member if it is plain; else "" and a report. */
const char *decode_plain(const struct json_reader *r, const char *key, size_t max);

/* TCP if missing; 0 and a report if it is unknown. */
uint8_t decode_protocol(const struct json_reader *port);
/* "" if missing; false and a report if it cannot be a name. */
bool decode_port_name(const struct json_reader *port, const char **ret);

/* False if missing or (with a report) not an address. Blanks around it are cut. */
bool decode_address(const struct json_reader *r, struct addr *ret);
/* Lists of strings; bad ones are reported, blank and repeated ones left out. */
struct addr *decode_addresses(const struct json_reader *array, struct scratch *scratch,
			      uint32_t *ret_n);
struct cidr *decode_cidrs(const struct json_reader *array, struct scratch *scratch,
			  uint32_t *ret_n);

/* Is it the second of two? Missing and (with a report) unknown texts are the first. */
bool decode_is_second(const struct json_reader *r, const char *key, const char *first,
		      const char *second);

/*
 * ports of a slice or of a subset of Endpoints. needs_name: one that has none
 * (null, not "") is ignored, as kube-proxy does; otherwise its name is "".
 */
void decode_slice_ports(const struct json_reader *r, bool needs_name,
			struct scratch *scratch, struct object_slice *slice);
/* The annotation last-change-trigger-time in Unix microseconds, or 0. */
int64_t decode_trigger_time(const struct json_reader *metadata);

/* Reports fields that are near misses of those of the API. */
void decode_check_fields(const struct json_reader *root);
/* Rejects options that contradict each other or the ports, which were read. */
void decode_check_options(const struct json_reader *meta, const struct object_service *s,
			  struct object_options *options);
/* The annotations "sluice.io/..."; *options is all zero before. */
void decode_options(const struct json_reader *meta, struct object_options *options);
