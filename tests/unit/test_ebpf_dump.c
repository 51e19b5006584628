/* The maps as `dump --format json` has them. */
#include "tests/short_service.h"

#include <string.h>

#include "bpf/ebpf_dump.h"
#include "core/environment.h"

static void each_frontend_has_the_action_of_each_client(void **state)
{
	const struct environment env = {.masquerade_all = false};
	struct service *const services[] = {
		short_service("a", IPPROTO_TCP, "10.96.0.1:80", "10.0.0.1:8080"),
		short_service("b", IPPROTO_TCP, "10.96.0.2:80", ""),
		short_service("c", IPPROTO_UDP, "10.96.0.3:53", ""),
		short_service("d", IPPROTO_SCTP, "10.96.0.4:80", "10.0.0.1:8080"),
	};
	struct change changes[N_ELEMENTS(services)];
	const struct changeset cs = {.full = true,
				     .env = &env,
				     .changes = changes,
				     .n = N_ELEMENTS(services)};
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	for (size_t i = 0; i < N_ELEMENTS(services); i++)
		changes[i] = (struct change){NULL, services[i]};
	ebpf_dump(&cs, &text);
	assert_string_equal(
		buf_string(&text),
		"{\"frontends\":["
		"{\"address\":\"10.96.0.1\",\"port\":80,\"protocol\":\"TCP\","
		"\"service\":\"test/a\",\"node\":\"cluster\",\"pod\":\"cluster\"},"
		"{\"address\":\"10.96.0.2\",\"port\":80,\"protocol\":\"TCP\","
		"\"service\":\"test/b\",\"node\":\"refuse\",\"pod\":\"refuse\"},"
		"{\"address\":\"10.96.0.3\",\"port\":53,\"protocol\":\"UDP\","
		"\"service\":\"test/c\",\"node\":\"pass\",\"pod\":\"pass\"}],"
		"\"services\":["
		"{\"service\":\"test/a\",\"protocol\":\"TCP\",\"family\":\"IPv4\","
		"\"affinitySeconds\":0,\"cluster\":[\"10.0.0.1:8080\"],\"local\":[]},"
		"{\"service\":\"test/b\",\"protocol\":\"TCP\",\"family\":\"IPv4\","
		"\"affinitySeconds\":0,\"cluster\":[],\"local\":[]},"
		"{\"service\":\"test/c\",\"protocol\":\"UDP\",\"family\":\"IPv4\","
		"\"affinitySeconds\":0,\"cluster\":[],\"local\":[]}]}");
	for (size_t i = 0; i < N_ELEMENTS(services); i++)
		service_unref(services[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_frontend_has_the_action_of_each_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
