/*
 * The pages that show the configuration, the flags and the program's age.
 */
#include "tests/test.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "proxy/config/config.h"
#include "proxy/config/options.h"
#include "proxy/http/pages.h"

static void configz_has_the_configuration_under_kube_proxys_key(void **state)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	const char *kind, *metrics;
	int oom_score;
	struct config config;
	json_t *page;

	(void)state;
	config_init(&config);
	config_complete(&config);
	pages_configz(&config, &out);
	page = json_loadb(out.data, out.len, 0, NULL);
	assert_non_null(page);
	assert_int_equal(json_unpack(page, "{s:{s:s, s:s, s:i}}",
				     "kubeproxy.config.k8s.io", "kind", &kind,
				     "metricsBindAddress", &metrics, "oomScoreAdj",
				     &oom_score),
			 0);
	assert_string_equal(kind, "KubeProxyConfiguration");
	assert_string_equal(metrics, "127.0.0.1:10249");
	assert_int_equal(oom_score, -999);
	json_decref(page);
	config_fini(&config);
}

static void flagz_has_each_flag_of_the_daemon_once(void **state)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct options options;
	const char *text;

	(void)state;
	options_init(&options);
	pages_flagz(&options.config, &out);
	text = buf_string(&out);
	assert_int_equal(strncmp(text, "\nkube-proxy flagz\nWarning: ", 27), 0);
	assert_non_null(strstr(text, "\noom-score-adj=-999\n"));
	assert_non_null(strstr(text, "\nconntrack-tcp-timeout-established=24h0m0s\n"));
	assert_non_null(strstr(text, "\nmasquerade-all=false\n"));
	for (size_t i = 0; i < n_flags; i++) {
		_cleanup_(buf_fini) struct buf line = BUF_INIT;
		const char *first;

		buf_printf(&line, "\n%s=", flags[i].name);
		first = strstr(text, buf_string(&line));
		assert_true(!first || !strstr(first + 1, buf_string(&line)));
	}
	options_fini(&options);
}

static const struct {
	long up_sec;
	const char *text;
} ages[] = {
	{0, "\nUp= 0 hr 00 min 00 sec\n"},
	{62, "\nUp= 0 hr 01 min 02 sec\n"},
	{3600 * 49 + 59, "\nUp= 49 hr 00 min 59 sec\n"},
};

static void statusz_has_the_age(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(ages); i++) {
		_cleanup_(buf_fini) struct buf out = BUF_INIT;

		pages_statusz(1700000000, ages[i].up_sec, &out);
		assert_non_null(strstr(buf_string(&out), ages[i].text));
		assert_non_null(strstr(buf_string(&out),
				       "\nStarted= Tue Nov 14 22:13:20 UTC 2023\n"));
		assert_non_null(strstr(buf_string(&out), "\nPaths= /configz /flagz "));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(configz_has_the_configuration_under_kube_proxys_key),
		cmocka_unit_test(flagz_has_each_flag_of_the_daemon_once),
		cmocka_unit_test(statusz_has_the_age),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
