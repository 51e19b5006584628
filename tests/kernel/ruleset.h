/*
 * An independent reading of a table in the kernel: what `nft -j list table`
 * says is walked as a packet would walk it.  It knows nothing of sluice, only
 * the expressions that nft prints; one that it doesn't know fails the test.
 *
 * Random choices are made by the caller: `choice` stands for what numgen would
 * have come up with, and n_choices says afterwards how many there are.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"

struct ruleset;

enum fate {
	FATE_UNTOUCHED, /* passes as it was */
	FATE_SENT,	/* to another address */
	FATE_REFUSED,
	FATE_DROPPED,
};

struct packet {
	struct addr saddr, daddr;
	uint8_t proto;
	uint16_t dport;
	const char *iif;     /* NULL: made on this host */
	bool is_routed_back; /* would leave by iif */
	bool is_to_host;     /* daddr, before anything is done to it, is the host's own */
	uint32_t choice;     /* in: below n_choices of an earlier walk; 0 at first */
};

struct walk {
	enum fate fate;
	struct addr daddr; /* of FATE_SENT */
	uint16_t dport;
	bool is_masqueraded;
	bool is_refused_by_reset; /* for TCP */
	uint32_t n_choices;	  /* 1 when nothing was random */
	uint32_t mark;		  /* that it leaves with */
};

/* Runs nft in the caller's network namespace. Fails the test when there is no such table. */
struct ruleset *ruleset_read(enum family family, const char *table);
void ruleset_free(struct ruleset *rs);

struct walk ruleset_walk(const struct ruleset *rs, const struct packet *p);

unsigned ruleset_n_rules(const struct ruleset *rs);
unsigned ruleset_n_elements(const struct ruleset *rs);
