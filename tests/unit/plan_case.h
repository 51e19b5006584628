/*
 * One of tests/golden/plan/cases, as a line for each service port:
 *
 *	web:http ready=2 | ClusterIP 10.96.0.1:80 ok(0.3 0.6) | NodePort *:30080 ...
 *
 * Of IPv4 endpoints the last two numbers are shown, and no port when it is 80.
 * "+m" is masqueraded.  What pods, this node and others get is "X / Y / Z",
 * "X / Y" when node and others get the same, "X" when all do.
 */
#pragma once

struct plan_case {
	const char *name;
	const char *want; /* written by hand, from kube-proxy's tables */
};

/*
 * The decisions of plan() for the case's manifest must read as want, and so must
 * the JSON that is kept for the program to be compared with.
 */
void plan_case_check(const struct plan_case *c);
