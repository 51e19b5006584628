/*
 * Health as load balancers and tools read it: status codes and bodies.
 */
#include "tests/test.h"

#include <string.h>

#include "core/cleanup.h"
#include "proxy/http/health.h"

#define SEC   1000000ll
#define START (1795344765ll * SEC) /* 2026-11-22T10:52:45Z */

static struct health make_health(void)
{
	struct health h = {.timeout_us = 60 * SEC, .is_node_known = true};

	h.family[FAMILY_IPV4].is_used = h.family[FAMILY_IPV6].is_used = true;
	return h;
}

static void expect(const struct health *h, bool with_node, int64_t now_us, int status,
		   const char *text)
{
	_cleanup_(buf_fini) struct buf body = BUF_INIT;

	assert_int_equal(health_answer(h, with_node, now_us, &body), status);
	assert_string_equal(buf_string(&body), text);
}

static void the_proxy_is_healthy_before_the_first_update(void **state)
{
	struct health h = make_health();

	(void)state;
	expect(&h, false, START, 200,
	       "{\"lastUpdated\":\"2026-11-22T10:52:45Z\",\"currentTime\":\"2026-11-"
	       "22T10:52:45Z\","
	       "\"healthy\":true,\"status\":{"
	       "\"IPv4\":{\"lastUpdated\":\"0001-01-01T00:00:00Z\",\"healthy\":true},"
	       "\"IPv6\":{\"lastUpdated\":\"0001-01-01T00:00:00Z\",\"healthy\":true}}}");
}

static void an_update_that_waits_too_long_makes_its_family_unhealthy(void **state)
{
	struct health h = make_health();

	(void)state;
	h.family[FAMILY_IPV4].updated_us = START;
	h.family[FAMILY_IPV6].updated_us = START + 500000;
	h.family[FAMILY_IPV4].waiting_us = 60 * SEC - 1;
	assert_true(health_is_healthy(&h));
	h.family[FAMILY_IPV4].waiting_us = 60 * SEC;
	assert_false(health_is_healthy(&h));
	expect(&h, false, START + 61 * SEC, 503,
	       "{\"lastUpdated\":\"2026-11-22T10:52:45.5Z\","
	       "\"currentTime\":\"2026-11-22T10:53:46Z\",\"healthy\":false,\"status\":{"
	       "\"IPv4\":{\"lastUpdated\":\"2026-11-22T10:52:45Z\",\"healthy\":false},"
	       "\"IPv6\":{\"lastUpdated\":\"2026-11-22T10:52:45.5Z\",\"healthy\":true}}"
	       "}");
	h.family[FAMILY_IPV4].updated_us = START + 62 * SEC;
	h.family[FAMILY_IPV4].waiting_us = 0;
	assert_true(health_is_healthy(&h));
}

static void only_healthz_depends_on_the_node(void **state)
{
	static const struct {
		bool is_known, is_deleting, is_to_be_deleted;
		int status;
	} cases[] = {
		{true, false, false, 200},
		{false, false, false, 503},
		{true, true, false, 503},
		{true, false, true, 503},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		_cleanup_(buf_fini) struct buf body = BUF_INIT;
		struct health h = make_health();

		h.is_node_known = cases[i].is_known;
		h.is_node_deleting = cases[i].is_deleting;
		h.is_node_to_be_deleted = cases[i].is_to_be_deleted;
		assert_int_equal(health_answer(&h, true, START, &body), cases[i].status);
		assert_non_null(
			strstr(buf_string(&body), cases[i].status == 200
							  ? "\"nodeEligible\":true,"
							  : "\"nodeEligible\":false,"));
		assert_non_null(strstr(buf_string(&body), "\"healthy\":true,"));
		buf_clear(&body);
		assert_int_equal(health_answer(&h, false, START, &body), 200);
	}
}

static void a_service_is_healthy_with_local_endpoints_and_a_healthy_proxy(void **state)
{
	static const struct {
		uint32_t n;
		bool is_healthy;
		int status;
	} cases[] = {{0, true, 503}, {3, true, 200}, {3, false, 503}, {0, false, 503}};
	_cleanup_(buf_fini) struct buf body = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		assert_int_equal(health_service_answer("ns", "web", cases[i].n,
						       cases[i].is_healthy, &body),
				 cases[i].status);
	buf_clear(&body);
	(void)health_service_answer("ns", "web", 3, true, &body);
	assert_string_equal(
		buf_string(&body),
		"{\n\t\"service\": {\n\t\t\"namespace\": \"ns\",\n\t\t\"name\": "
		"\"web\"\n\t},\n"
		"\t\"localEndpoints\": 3,\n\t\"serviceProxyHealthy\": true\n}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_proxy_is_healthy_before_the_first_update),
		cmocka_unit_test(
			an_update_that_waits_too_long_makes_its_family_unhealthy),
		cmocka_unit_test(only_healthz_depends_on_the_node),
		cmocka_unit_test(
			a_service_is_healthy_with_local_endpoints_and_a_healthy_proxy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
