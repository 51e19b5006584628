/*
 * The configuration and the flags are shown through their own tables, so none
 * can be forgotten.
 */
#include "proxy/http/pages.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "proxy/config/commit.h"
#include "proxy/config/config_json.h"
#include "proxy/config/options.h"

#define WARNING                                                                          \
	"Warning: This endpoint is not meant to be machine parseable, has no "           \
	"formatting "                                                                    \
	"compatibility guarantees and is for debugging purposes only.\n"

void pages_configz(const struct config *config, struct buf *out)
{
	json_auto_t *page =
		json_pack("{s:o}", "kubeproxy.config.k8s.io", config_to_json(config));
	_cleanup_(freep) char *text = json_dumps(page, JSON_COMPACT);

	buf_add_string(out, text ? text : "{}");
}

/* Flags outside the configuration (--help, --config, …) have no value to show. */
static bool is_in_config(const struct flag *flag)
{
	return flag->offset >= offsetof(struct options, config) &&
	       flag->offset < offsetof(struct options, config) + sizeof(struct config);
}

void pages_flagz(const struct config *config, struct buf *out)
{
	buf_add_string(out, "\nkube-proxy flagz\n" WARNING);
	for (size_t i = 0; i < n_flags; i++) {
		const struct flag *flag = &flags[i];

		if (!is_in_config(flag))
			continue;
		buf_printf(out, "%s=", flag->name);
		value_format(flag->kind,
			     (const char *)config + flag->offset -
				     offsetof(struct options, config),
			     out);
		buf_add_char(out, '\n');
	}
	buf_add_char(out, '\n');
}

void pages_statusz(time_t started_sec, uint64_t up_sec, struct buf *out)
{
	char started[64];
	struct tm tm;

	(void)gmtime_r(&started_sec, &tm);
	(void)strftime(started, sizeof(started), "%a %b %e %H:%M:%S UTC %Y", &tm);
	buf_add_string(out, "\nkube-proxy statusz\n" WARNING "\n");
	buf_printf(out, "Started= %s\nUp= %llu hr %02u min %02u sec\n", started,
		   (unsigned long long)(up_sec / 3600), (unsigned)(up_sec / 60 % 60),
		   (unsigned)(up_sec % 60));
	buf_printf(out, "Binary version= sluice %s %s\n", SLUICE_VERSION, sluice_commit);
	buf_add_string(out, "Paths= /configz /flagz /healthz /metrics /proxyMode\n\n");
}
