/*
 * Which endpoints are selected: readiness, topology hints, policies, fallback.
 * The manifest of each case says its endpoints in its first line.
 */
#include "tests/test.h"

#include "core/cleanup.h"
#include "tests/unit/plan_case.h"

/* Without a detector, pods are treated like external clients; "node" shows all of the cluster's. */
#define CIP "ClusterIP 10.96.0.1:80 "
#define NP  " | NodePort *:30080 "

static const struct plan_case cases[] = {
	/* zone hints */
	{"A01", "web:http | " CIP "ok(0.3 0.6)"},
	{"A02", "web:http ready=2 | " CIP "ok(0.3 0.6)" NP
		"ok(0.3 0.4) / ok(0.3 0.6)+m / ok(0.3 0.4)"},
	{"A03", "web:http ready=2 | " CIP "ok(0.3 0.4)" NP "ok(0.3 0.6)+m"},
	{"A04", "web:http | " CIP "ok(0.3)"},
	{"A05", "web:http | " CIP "ok(0.3)"},
	{"A06", "web:http | " CIP "ok(0.3 0.5)"},
	{"A07", "web:http | " CIP "ok(0.3)"},
	{"A08", "web:http | " CIP "ok(0.4 0.5)"},
	{"A09", "web:http | " CIP "ok(0.3 0.4 0.5 0.6)"},
	{"A10", "web:http | " CIP "ok(0.3 0.4 0.6)"},
	/* node hints */
	{"A11", "web:http | " CIP "ok(0.3 0.6)"},
	{"A12", "web:http | " CIP "ok(0.3)"},
	{"A13", "web:http | " CIP "ok(0.3 0.4 0.5 0.6)"},
	{"A14", "web:http | " CIP "ok(0.3 0.6)"},
	{"A15", "web:http ready=2 | " CIP "ok(0.0 0.1)" NP "ok(0.0 0.2)+m"},
	/* internal policy */
	{"A16", "web:http | " CIP "REJ"},
	{"A17", "web:http | " CIP "DROP"},
	{"A18", "web:http ready=2 | " CIP "ok(0.0 0.1)"},
	{"A19", "web:http ready=1 | " CIP "ok(0.0)"},
	/* readiness */
	{"A20", "web:http | " CIP "REJ"},
	{"A21", "web:http | " CIP "ok(0.1)"},
	{"A22", "web:http | " CIP "ok(0.0 0.1)"},
	/* both policies */
	{"A23", "web:http ready=1 | " CIP "ok(0.0)" NP "ok(0.0 0.1)+m"},
	{"A24",
	 "web:http ready=1 | " CIP "ok(0.0 0.1)" NP "ok(0.0) / ok(0.0 0.1)+m / ok(0.0)"},
	{"A25",
	 "web:http ready=1 | " CIP "ok(0.0)" NP "ok(0.0) / ok(0.0 0.1)+m / ok(0.0)"},
	{"A26", "web:http | " CIP "DROP" NP "DROP / ok(0.0 0.1)+m / DROP"},
	{"A27", "web:http | " CIP "DROP" NP "DROP / ok(0.0 0.1)+m / DROP"},
	{"A28", "web:http | " CIP "ok(0.0)" NP "ok(0.2) / ok(0.0)+m / ok(0.2)"},
	{"A29", "web:http health=30999 ready=1 | " CIP "ok(0.0 0.1)"},
	{"A30", "web:http ready=1 | " CIP "ok(0.1)"},
	{"A31", "web:http | " CIP "REJ" NP "REJ"},
	{"A32", "web:http | " CIP "ok(0.0 0.1)" NP "DROP / ok(0.0 0.1)+m / DROP"},
	{"A33", "web:http ready=2 | " CIP "ok(0.0 0.1)" NP
		"ok(0.0 0.1) / ok(0.0 0.1)+m / ok(0.0 0.1)"},
	{"A34",
	 "web:http ready=1 | " CIP "ok(0.0 0.1)" NP "ok(0.0) / ok(0.0 0.1)+m / ok(0.0)"},
	/* each pool falls back on its own */
	{"A35", "web:http | " CIP "ok(0.1)"},
	{"A36", "web:http | " CIP "REJ" NP "REJ"},
	/* hints of terminating endpoints say nothing, nor does their lack */
	{"A37", "web:http | " CIP "ok(0.3)"},
	{"A38", "web:http | " CIP "ok(0.3)"},
	/* what isn't ready and isn't terminating is nothing */
	{"A39", "web:http | " CIP "REJ" NP "REJ"},
	/* hints narrow the cluster pool only */
	{"A40", "web:http | " CIP "ok(0.4)" NP "ok(0.4) / ok(0.3)+m / ok(0.4)"},
};

static void endpoints_are_selected_by_state_zone_and_policy(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		plan_case_check(&cases[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(endpoints_are_selected_by_state_zone_and_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
