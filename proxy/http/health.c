/*
 * JSON is written by hand, since tools compare the order and the spacing of these
 * few fields.
 */
#include "proxy/http/health.h"

#include <inttypes.h>
#include <time.h>

#include "core/cleanup.h"

#define HTTP_OK		 200
#define HTTP_UNAVAILABLE 503

static bool is_family_healthy(const struct health *h, const struct health_family *f)
{
	return !f->updated_us || f->waiting_us < h->timeout_us;
}

bool health_is_healthy(const struct health *h)
{
	for (int family = 0; family < FAMILY_N; family++)
		if (h->family[family].is_used &&
		    !is_family_healthy(h, &h->family[family]))
			return false;
	return true;
}

/* The Node object exists and the node is not being removed. */
static bool is_node_eligible(const struct health *h)
{
	return h->is_node_known && !h->is_node_deleting && !h->is_node_to_be_deleted;
}

/* RFC 3339 with as many digits of the second as are not zero, as Go writes it. */
static void add_time(struct buf *out, int64_t us)
{
	time_t sec = (time_t)(us / 1000000);
	struct tm tm;
	char text[32], digits[8];
	size_t len = 6;

	if (!us) {
		buf_add_string(out, "\"0001-01-01T00:00:00Z\"");
		return;
	}
	(void)gmtime_r(&sec, &tm);
	(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(digits, sizeof(digits), "%06" PRId64, us % 1000000);
	while (len && digits[len - 1] == '0')
		digits[--len] = 0;
	buf_printf(out, "\"%s%s%sZ\"", text, len ? "." : "", digits);
}

static int64_t last_updated(const struct health *h)
{
	int64_t last = 0;

	for (int family = 0; family < FAMILY_N; family++)
		if (h->family[family].updated_us > last)
			last = h->family[family].updated_us;
	return last;
}

static void add_families(const struct health *h, struct buf *body)
{
	const char *comma = "";

	for (int family = 0; family < FAMILY_N; family++) {
		const struct health_family *f = &h->family[family];

		if (!f->is_used)
			continue;
		buf_printf(body, "%s\"%s\":{\"lastUpdated\":", comma,
			   family_name(family));
		add_time(body, f->updated_us);
		buf_printf(body, ",\"healthy\":%s}",
			   is_family_healthy(h, f) ? "true" : "false");
		comma = ",";
	}
}

int health_answer(const struct health *h, bool with_node, int64_t now_us,
		  struct buf *body)
{
	bool is_healthy = health_is_healthy(h);
	bool is_eligible = is_node_eligible(h);
	bool is_ok = is_healthy && (!with_node || is_eligible);

	buf_add_string(body, "{\"lastUpdated\":");
	add_time(body, is_ok ? now_us : last_updated(h));
	buf_add_string(body, ",\"currentTime\":");
	add_time(body, now_us);
	if (with_node)
		buf_printf(body, ",\"nodeEligible\":%s", is_eligible ? "true" : "false");
	buf_printf(body, ",\"healthy\":%s,\"status\":{", is_healthy ? "true" : "false");
	add_families(h, body);
	buf_add_string(body, "}}");
	return is_ok ? HTTP_OK : HTTP_UNAVAILABLE;
}

int health_service_answer(const char *ns, const char *name, uint32_t n_local,
			  bool is_healthy, struct buf *body)
{
	buf_printf(body,
		   "{\n\t\"service\": {\n\t\t\"namespace\": \"%s\",\n\t\t\"name\": "
		   "\"%s\"\n\t},\n"
		   "\t\"localEndpoints\": %" PRIu32 ",\n\t\"serviceProxyHealthy\": %s\n}",
		   ns, name, n_local, is_healthy ? "true" : "false");
	return n_local && is_healthy ? HTTP_OK : HTTP_UNAVAILABLE;
}
