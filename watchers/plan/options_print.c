#include "watchers/plan/options_print.h"

#include <stddef.h>
#include <string.h>

#include "core/cleanup.h"

/* An option is a number, or one of a few words. */
struct option_row {
	const char *key, *text; /* in JSON; in text, before the value */
	const char *unit;	/* in text, after the value */
	uint16_t offset;
	bool is_word; /* of one byte, as the words are */
	bool is_byte;
	const char *words[3];
};

#define AT(field) .offset = offsetof(struct service_options, field)

static const struct option_row rows[] = {
	{"onEndpointRemoved", "removed endpoints", "", AT(on_endpoint_removed),
	 .is_word = true,
	 .words = {[ENDPOINT_REMOVAL_RESET] = "reset",
		   [ENDPOINT_REMOVAL_DRAIN] = "drain"}},
	{"drainMilliseconds", "drain", " ms", AT(drain_ms)},
	{"proxyProtocol", "PROXY protocol", "", AT(proxy_protocol), .is_byte = true},
	{"healthCheck", "health check", "", AT(health_check), .is_word = true,
	 .words = {[HEALTH_CHECK_TCP] = "tcp", [HEALTH_CHECK_HTTP] = "http"}},
	{"healthRise", "rise", "", AT(health_rise), .is_byte = true},
	{"healthFall", "fall", "", AT(health_fall), .is_byte = true},
	{"healthIntervalMilliseconds", "interval", " ms", AT(health_interval_ms)},
	{"healthTimeoutMilliseconds", "time-out", " ms", AT(health_timeout_ms)},
	{"holdMilliseconds", "hold", " ms", AT(hold_ms)},
	{"connectTimeoutMilliseconds", "connect timeout", " ms", AT(connect_timeout_ms)},
	{"setAsideMilliseconds", "set aside", " ms", AT(set_aside_ms)},
};

static uint32_t value_of(const struct service *s, const struct option_row *row)
{
	const char *at = (const char *)&s->options + row->offset;
	uint32_t value;

	if (row->is_byte || row->is_word)
		return *(const uint8_t *)at;
	memcpy(&value, at, sizeof(value));
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
