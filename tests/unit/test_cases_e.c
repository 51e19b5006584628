/*
 * From slices to endpoints: merging, duplicates, what is left out, what counts
 * as ready here.  How they change over time is in test_cluster.c.
 */
#include "tests/test.h"

#include "core/cleanup.h"
#include "tests/unit/plan_case.h"

#define CIP "ClusterIP 172.30.0.41:80 "

static const struct plan_case cases[] = {
	{"E01-local-ready",
	 "none-here:p80 | ClusterIP 172.30.0.42:80 ok(1.2)\n"
	 "nothing:p80 | ClusterIP 172.30.0.43:80 REJ\n"
	 "two-ports:a ready=1 | ClusterIP 172.30.0.41:80 ok(0.1 1.1)\n"
	 "two-ports:b ready=1 | ClusterIP 172.30.0.41:81 ok(0.1:81 1.1:81)"},
	/* policy Local: only what is here is in the list */
	{"E02-overlap", "svc1:p80 ready=2 | " CIP "ok(0.1 0.2)"},
	{"E03-partial-ports",
	 "svc1:a ready=1 | ClusterIP 172.30.0.41:80 ok(0.1:8080 0.2:9090)\n"
	 "svc1:b ready=1 | ClusterIP 172.30.0.41:81 ok(0.1:8081)"},
	{"E04-address-type", "svc1:p80 ready=1 | " CIP "ok(0.1)"},
	{"E05-no-label", "svc1:p80 ready=1 | " CIP "ok(0.3)"},
	/* of the second and third slice nothing is for this port, but is ready here */
	{"E06-ports", "svc1:p80 ready=2 | " CIP "REJ"},
	{"E07-several-addresses", "svc1:p80 ready=1 | " CIP "ok(0.1)"},
	{"E08-unknown-place", "svc1:p80 | " CIP "DROP"},
	{"E09-endpoints", "svc1:p80 ready=1 | " CIP "ok(0.1)\n"
			  "svc2:p80 | ClusterIP 172.30.0.42:80 ok(0.4)"},
	{"E10-reused-address", "svc1:p80 ready=1 | " CIP "ok(0.1 0.2)"},
};

static void slices_become_endpoints(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		plan_case_check(&cases[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slices_become_endpoints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
