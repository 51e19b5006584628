/*
 * The tables in the kernel against a state: for each frontend and class of client the
 * path of a packet through nft's listing must lead to the decision.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct addr;
struct environment;
struct state;

struct kernel_check { /* the caller sets the first four, all borrowed */
	const struct environment *env;
	const struct state *state;
	const struct addr *hosts; /* this host's addresses */
	size_t n_hosts;
	/* the number of each thing that was checked, so that a test that checks none fails */
	uint64_t n_tables, n_frontends, n_decisions, n_walks, n_elements, n_hairpins,
		n_gone;
	uint64_t n_actions[3], n_limited, n_masqueraded;
	uint32_t max_rules;
};

/* Fails the test at the first difference. */
void kernel_check_run(struct kernel_check *c);
