/*
 * Any process that may open the socket sends requests; their content is not trusted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "proxy/control/control.h"

static const char *const verbs[CONTROL_VERB_N] = {
	[CONTROL_SERVICES] = "services", [CONTROL_ENDPOINTS] = "endpoints",
	[CONTROL_EXPLAIN] = "explain",	 [CONTROL_DIFF] = "diff",
	[CONTROL_STATUS] = "status",	 [CONTROL_EVENTS] = "events",
	[CONTROL_PLAN] = "plan",	 [CONTROL_CONFIG] = "config",
	[CONTROL_TOP] = "top",
};

static const struct {
	const char *name;
	size_t offset;
} fields[] = {
	{"namespace", offsetof(struct control_request, ns)},
	{"name", offsetof(struct control_request, name)},
	{"selector", offsetof(struct control_request, selector)},
	{"filter", offsetof(struct control_request, filter)},
	{"sort", offsetof(struct control_request, sort)},
	{"limit", offsetof(struct control_request, limit)},
	{"since", offsetof(struct control_request, since)},
	{"frontend", offsetof(struct control_request, frontend)},
	{"current", offsetof(struct control_request, current)},
	{"from", offsetof(struct control_request, from)},
	{"brief", offsetof(struct control_request, brief)},
};

const char *const *control_brief_keys(enum control_verb verb)
{
	static const char *const services[] = {
		"namespace", "name",	"portName",    "protocol", "family",
		"type",	     "address", "port",	       "policy",   "state",
		"endpoints", "created", "connections", "rate",	   NULL,
	};
	static const char *const endpoints[] = {
		"namespace", "name", "portName", "protocol",	"family", "address",
		"port",	     "node", "reason",	 "connections", NULL,
	};

	return verb == CONTROL_ENDPOINTS ? endpoints : services;
}

static int decode_verb(const json_t *root, enum control_verb *ret)
{
	const char *text = json_string_value(json_object_get(root, "request"));

	for (size_t i = 0; text && i < CONTROL_VERB_N; i++)
		if (strcmp(text, verbs[i]) == 0) {
			*ret = (enum control_verb)i;
			return 0;
		}
	return -EINVAL;
}

static int decode_field(const json_t *root, const char *name, char *ret)
{
	const json_t *json = json_object_get(root, name);

	if (!json || json_is_null(json))
		return 0;
	if (!json_is_string(json) || json_string_length(json) >= CONTROL_FIELD_LEN)
		return -EINVAL;
	memcpy(ret, json_string_value(json), json_string_length(json) + 1);
	return 0;
}

static int decode_object(const json_t *root, struct control_request *ret,
			 const char **ret_error)
{
	if (json_integer_value(json_object_get(root, "version")) != CONTROL_VERSION) {
		*ret_error = "another version of the protocol is needed: 1";
		return -EINVAL;
	}
	if (decode_verb(root, &ret->verb) != 0) {
		*ret_error = "request is not services, endpoints, explain, diff, status, "
			     "events, plan, config or top";
		return -EINVAL;
	}
	for (size_t i = 0; i < N_ELEMENTS(fields); i++)
		if (decode_field(root, fields[i].name, (char *)ret + fields[i].offset)) {
			*ret_error = "a field is not a string or is too long";
			return -EINVAL;
		}
	return 0;
}

int control_request_decode(const char *bytes, size_t len, struct control_request *ret,
			   const char **ret_error)
{
	struct control_request request = {0};
	json_auto_t *root = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, NULL);
	int err;

	if (!json_is_object(root)) {
		*ret_error = "not a JSON object";
		return -EINVAL;
	}
	err = decode_object(root, &request, ret_error);
	if (err == 0)
		*ret = request;
	return err;
}

char *control_request_encode(const struct control_request *request)
{
	json_auto_t *root = json_pack("{s:i, s:s}", "version", CONTROL_VERSION, "request",
				      verbs[request->verb]);
	char *line, *text;

	for (size_t i = 0; i < N_ELEMENTS(fields); i++) {
		const char *value = (const char *)request + fields[i].offset;

		if (*value)
			(void)json_object_set_new(root, fields[i].name,
						  json_string(value));
	}
	text = json_dumps(root, JSON_COMPACT);
	line = xasprintf("%s\n", text ? text : "");
	free(text);
	return line;
}
