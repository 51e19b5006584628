/*
 * What the decoders of the single kinds share.  Private to decode*.c.
 */
#pragma once

#include "watchers/decode/decode.h"
#include "watchers/decode/json_reader.h"
#include "watchers/objects.h"
#include "watchers/decode/scratch.h"

#define DECODE_MAX_PORTS     1000
#define DECODE_MAX_ENDPOINTS 65536
#define DECODE_MAX_ADDRESSES 1000 /* external IPs, ingress, ranges, … each */
#define DECODE_MAX_HINTS     64
#define DECODE_MAX_NAME	     253
#define DECODE_MAX_LABEL     63

/* Decodes one kind; what was rejected has been told and adds nothing to *ret. */
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

/* Packs it and adds it. */
void decode_add(struct decoded *ret, const struct object *from);

/*
 * name, namespace, uid and age into *ret, which is otherwise left alone.  False
 * when the object can't be named, which has been told.
 */
bool decode_metadata(const struct json_reader *metadata, bool is_namespaced,
		     struct object *ret);
/* "" when absent, or (told) when its value can't be one. */
const char *decode_label(const struct json_reader *metadata, const char *label);
/* Does a label say that this Service or slice is not for us? */
bool decode_is_hidden(const struct json_reader *metadata);

/* Is it made of letters, digits, '-', '_' and '.' only, and at most max long? "" is. */
bool decode_is_plain(const char *text, size_t max);
/* The text of the member when it is plain; "" and a line when it is something else. */
const char *decode_plain(const struct json_reader *r, const char *key, size_t max);

/* TCP when missing; 0 and a line when it is none. */
uint8_t decode_protocol(const struct json_reader *port);
/* "" when missing; false and a line when it can't be a name. */
bool decode_port_name(const struct json_reader *port, const char **ret);

/* False when missing or no address (which is told). Blanks around it are cut. */
bool decode_address(const struct json_reader *r, struct addr *ret);
/* Lists of strings; bad ones are told, blank ones and repeated ones left out. */
struct addr *decode_addresses(const struct json_reader *array, struct scratch *scratch,
			      uint32_t *ret_n);
struct cidr *decode_cidrs(const struct json_reader *array, struct scratch *scratch,
			  uint32_t *ret_n);

/* Is the text one of these two? Missing and (told) others are the first. */
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
