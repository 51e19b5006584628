#include "watchers/plan/options_print.h"

#include <stddef.h>
#include <string.h>

#include "core/cleanup.h"

/* An option is a number, or one of a few words. */
struct option_row {
	const char *key, *text; /* in JSON; in text, before the value */
	const char *unit;	/* in text, after the value */
	uint16_t offset;
	bool is_time; /* in struct service_times, of four bytes */
	bool is_word;
	const char *words[3];
};

#define OPTION(field) .offset = offsetof(struct service_options, field)
#define TIME(field)   .offset = offsetof(struct service_times, field), .is_time = true

static const struct option_row rows[] = {
	{"onEndpointRemoved", "removed endpoints", "", OPTION(on_endpoint_removed),
	 .is_word = true,
	 .words = {[ENDPOINT_REMOVAL_RESET] = "reset",
		   [ENDPOINT_REMOVAL_DRAIN] = "drain"}},
	{"drainMilliseconds", "drain", " ms", TIME(drain_ms)},
	{"proxyProtocol", "PROXY protocol", "", OPTION(proxy_protocol)},
	{"healthCheck", "health check", "", OPTION(health_check), .is_word = true,
	 .words = {[HEALTH_CHECK_TCP] = "tcp", [HEALTH_CHECK_HTTP] = "http"}},
	{"healthRise", "rise", "", OPTION(health_rise)},
	{"healthFall", "fall", "", OPTION(health_fall)},
	{"healthIntervalMilliseconds", "interval", " ms", TIME(health_interval_ms)},
	{"healthTimeoutMilliseconds", "time-out", " ms", TIME(health_timeout_ms)},
	{"holdMilliseconds", "hold", " ms", TIME(hold_ms)},
	{"connectTimeoutMilliseconds", "connect timeout", " ms",
	 TIME(connect_timeout_ms)},
	{"setAsideMilliseconds", "set aside", " ms", TIME(set_aside_ms)},
};

static uint32_t value_of(const struct service *s, const struct option_row *row)
{
	uint32_t value;

	if (!row->is_time)
		return *((const uint8_t *)&s->options + row->offset);
	memcpy(&value, (const char *)service_times(s) + row->offset, sizeof(value));
	return value;
}

json_t *options_print_json(const struct service *s)
{
	json_auto_t *object = json_object();

	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		uint32_t value = value_of(s, &rows[i]);

		if (value)
			json_object_set_new(object, rows[i].key,
					    rows[i].is_word
						    ? json_string(rows[i].words[value])
						    : json_integer(value));
	}
	if (*service_health_path(s))
		json_object_set_new(object, "healthPath",
				    json_string(service_health_path(s)));
	return json_object_size(object) > 0 ? json_incref(object) : NULL;
}

void options_print_text(const struct service *s, struct buf *out)
{
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		const struct option_row *row = &rows[i];
		uint32_t value = value_of(s, row);

		if (value && row->is_word)
			buf_printf(out, ", %s %s", row->text, row->words[value]);
		else if (value)
			buf_printf(out, ", %s %u%s", row->text, value, row->unit);
	}
	if (*service_health_path(s))
		buf_printf(out, ", path %s", service_health_path(s));
}
