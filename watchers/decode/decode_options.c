/*
 * Options of a Service, from its annotations "sluice.io/...".  Each is a row of
 * the table; a new one needs a field in struct service_options and a row.
 */
#include <ctype.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "watchers/decode/decode_parts.h"
#include "watchers/decode/near_miss.h"

#define PREFIX	     "sluice.io/"
#define CHECK	     "health-check"
#define DURATION_MAX (24ull * 3600 * 1000)
#define INTERVAL_MIN 100 /* ms */
#define TIMEOUT_MIN  10
#define HEALTH_MAX   3600000

/* "1m30s", "500ms": as Go writes durations, but with whole numbers. */
static bool parse_duration(const char *text, uint32_t *ret_ms)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
	uint64_t sum = 0;

	if (!*text)
		return false;
	while (*text) {
		uint64_t number = 0, unit = 0;
		size_t n = 0;

		for (; isdigit((unsigned char)*text); text++, n++)
			number = number > DURATION_MAX
					 ? number
					 : number * 10 + (uint64_t)(*text - '0');
		for (size_t i = 0; n > 0 && unit == 0 && i < N_ELEMENTS(units); i++) {
			size_t len = strlen(units[i].name);

			if (strncmp(text, units[i].name, len) != 0)
				continue;
			unit = units[i].ms;
			text += len;
		}
		sum += number * unit;
		if (unit == 0 || sum > DURATION_MAX)
			return false;
	}
	*ret_ms = (uint32_t)sum;
	return sum > 0;
}

static bool take_duration(const char *text, struct object_options *o, void *field)
{
	return parse_duration(text, field);
}

static bool take_limited(const char *text, uint32_t min_ms, void *field)
{
	uint32_t ms;

	if (!parse_duration(text, &ms) || ms < min_ms || ms > HEALTH_MAX)
		return false;
	*(uint32_t *)field = ms;
	return true;
}

static bool take_interval(const char *text, struct object_options *o, void *field)
{
	return take_limited(text, INTERVAL_MIN, field);
}

static bool take_timeout(const char *text, struct object_options *o, void *field)
{
	return take_limited(text, TIMEOUT_MIN, field);
}

static bool take_count(const char *text, struct object_options *o, void *field)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (!isdigit((unsigned char)*text) || *end || n < 1 || n > UINT8_MAX)
		return false;
	*(uint8_t *)field = (uint8_t)n;
	return true;
}

static bool take_removal(const char *text, struct object_options *o, void *field)
{
	static const char drain[] = "drain=";
	uint8_t *removal = field;

	if (strcmp(text, "keep") == 0)
		*removal = ENDPOINT_REMOVAL_KEEP;
	else if (strcmp(text, "reset") == 0)
		*removal = ENDPOINT_REMOVAL_RESET;
	else if (strncmp(text, drain, strlen(drain)) == 0 &&
		 parse_duration(text + strlen(drain), &o->times.drain_ms))
		*removal = ENDPOINT_REMOVAL_DRAIN;
	else
		return false;
	return true;
}

static bool take_version(const char *text, struct object_options *o, void *field)
{
	if (strcmp(text, "v1") != 0 && strcmp(text, "v2") != 0)
		return false;
	*(uint8_t *)field = (uint8_t)(text[1] - '0');
	return true;
}

/* A path that can be written into a request as it is. */
static bool is_path(const char *text)
{
	size_t len = 0;

	for (; text[len]; len++)
		if (text[len] <= ' ' || text[len] > '~')
			return false;
	return *text == '/' && len <= DECODE_MAX_PATH;
}

static bool take_check(const char *text, struct object_options *o, void *field)
{
	static const char http[] = "http:";
	uint8_t *check = field;

	if (strcmp(text, "tcp") == 0) {
		*check = HEALTH_CHECK_TCP;
	} else if (strncmp(text, http, strlen(http)) == 0 &&
		   is_path(text + strlen(http))) {
		*check = HEALTH_CHECK_HTTP;
		o->health_path = text + strlen(http);
	} else {
		return false;
	}
	return true;
}

#define OPTION(name) offsetof(struct object_options, service.name)
#define TIME(name)   offsetof(struct object_options, times.name)
#define DURATION     "a duration up to 24h, such as 500ms or 1m30s"

static const struct {
	const char *key; /* after the prefix */
	bool (*take)(const char *text, struct object_options *o, void *field);
	size_t field;
	const char *wanted;
} rows[] = {
	{"on-endpoint-removed", take_removal, OPTION(on_endpoint_removed),
	 "keep, reset or drain=DURATION"},
	{"proxy-protocol", take_version, OPTION(proxy_protocol), "v1 or v2"},
	{"hold", take_duration, TIME(hold_ms), DURATION},
	{"connect-timeout", take_duration, TIME(connect_timeout_ms), DURATION},
	{"set-aside", take_duration, TIME(set_aside_ms), DURATION},
	{CHECK, take_check, OPTION(health_check), "tcp or http:/PATH"},
	{CHECK "-interval", take_interval, TIME(health_interval_ms),
	 "a duration from 100ms to 1h"},
	{CHECK "-timeout", take_timeout, TIME(health_timeout_ms),
	 "a duration from 10ms to 1h"},
	{CHECK "-rise", take_count, OPTION(health_rise), "a number from 1 to 255"},
	{CHECK "-fall", take_count, OPTION(health_fall), "a number from 1 to 255"},
};

static void reject_unknown(const struct json_reader *annotation, const char *key)
{
	const char *names[N_ELEMENTS(rows) + 1] = {NULL};
	const char *near;

	for (size_t i = 0; i < N_ELEMENTS(rows); i++)
		names[i] = rows[i].key;
	near = near_miss_find(key, names);
	if (near)
		json_reader_reject(annotation, "is not an option; " PREFIX "%s is", near);
	else
		json_reader_reject(annotation, "is not an option of this version");
}

static void take_option(const struct json_reader *annotation, const char *key,
			struct object_options *o)
{
	const char *text = json_reader_text(annotation);

	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		if (strcmp(rows[i].key, key) != 0)
			continue;
		if (text && !rows[i].take(text, o, (char *)o + rows[i].field)) {
			_cleanup_(freep) char *reason =
				xasprintf("%%s is not %s", rows[i].wanted);

			json_reader_reject_text(annotation, reason, text);
		}
		return;
	}
	reject_unknown(annotation, key);
}

void decode_options(const struct json_reader *meta, struct object_options *o)
{
	struct json_reader notes = json_reader_member(meta, "annotations");
	const char *key;
	json_t *value;

	o->health_path = "";
	if (!json_is_object(notes.json))
		return;
	json_object_foreach((json_t *)(void *)(uintptr_t)notes.json, key, value)
	{
		struct json_reader annotation = json_reader_member(&notes, key);

		if (strncmp(key, PREFIX, strlen(PREFIX)) == 0 && annotation.json)
			take_option(&annotation, key + strlen(PREFIX), o);
	}
}

static bool has_tcp(const struct object_service *s)
{
	for (uint32_t i = 0; i < s->n_ports; i++)
		if (s->ports[i].proto == IPPROTO_TCP)
			return true;
	return false;
}

bool decode_are_defaults(const struct object_options *o)
{
	static const struct object_options defaults;

	return memcmp(&o->service, &defaults.service, sizeof(o->service)) == 0 &&
	       memcmp(&o->times, &defaults.times, sizeof(o->times)) == 0;
}

/* Than the interval of checks. */
static bool is_timeout_longer(const struct service_times *times)
{
	uint32_t interval_ms = times->health_interval_ms ? times->health_interval_ms
							 : HEALTH_INTERVAL_MS;

	return times->health_timeout_ms > interval_ms;
}

void decode_check_options(const struct json_reader *meta, const struct object_service *s,
			  struct object_options *o)
{
	struct json_reader notes = json_reader_member(meta, "annotations");
	struct json_reader annotation;

	if (o->service.health_check && s->n_ports > 0 && !has_tcp(s)) {
		annotation = json_reader_member(&notes, PREFIX CHECK);
		json_reader_reject(&annotation,
				   "only TCP ports can be checked, and there is none");
		o->service.health_check = HEALTH_CHECK_NONE;
		o->health_path = "";
	}
	if (is_timeout_longer(&o->times)) {
		annotation = json_reader_member(&notes, PREFIX CHECK "-timeout");
		json_reader_reject(&annotation, "is longer than the interval of checks");
		o->times.health_timeout_ms = 0;
	}
}

static bool is_in(uint32_t ms, uint32_t min_ms, uint32_t max_ms)
{
	return ms == 0 || (ms >= min_ms && ms <= max_ms);
}

bool decode_are_options(const struct object_options *options)
{
	const struct service_options *o = &options->service;
	const struct service_times *t = &options->times;
	bool has_path = o->health_check == HEALTH_CHECK_HTTP;

	return o->on_endpoint_removed <= ENDPOINT_REMOVAL_DRAIN &&
	       (o->on_endpoint_removed == ENDPOINT_REMOVAL_DRAIN) == (t->drain_ms > 0) &&
	       o->proxy_protocol <= 2 && o->health_check <= HEALTH_CHECK_HTTP &&
	       is_in(t->drain_ms, 1, DURATION_MAX) &&
	       is_in(t->hold_ms, 1, DURATION_MAX) &&
	       is_in(t->connect_timeout_ms, 1, DURATION_MAX) &&
	       is_in(t->set_aside_ms, 1, DURATION_MAX) &&
	       is_in(t->health_interval_ms, INTERVAL_MIN, HEALTH_MAX) &&
	       is_in(t->health_timeout_ms, TIMEOUT_MIN, HEALTH_MAX) &&
	       !is_timeout_longer(t) &&
	       (has_path ? is_path(options->health_path) : !*options->health_path);
}
