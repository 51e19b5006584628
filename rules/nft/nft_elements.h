/*
 * The one translation from a service to elements of our sets.  It is used by
 * deltas, full applies, dumps and diffs alike, and decides nothing.
 */
#pragma once

#include "core/environment.h"
#include "core/service.h"
#include "rules/nft/nft_element.h"
#include "rules/nft/nft_numbers.h"

/*
 * All elements of a service, set by set. Elements of SET_IS_SHARED sets may be
 * wanted by other services too, and may come several times.
 */
void nft_elements_each(const struct service *service, const struct environment *env,
		       struct nft_numbers *numbers,
		       void (*fn)(void *data, const struct nft_element *e), void *data);

/*
 * The kernel takes a timeout from a rule, so each one needs a chain, and thousands of
 * chains take it seconds.  Long timeouts are rounded up, by a twelfth at most.
 */
uint32_t nft_affinity_timeout(uint32_t sec);

/* That of a node address; false if there is none. */
bool nft_element_of_node(const struct environment *env, const struct addr *addr,
			 struct nft_element *ret);
/* The elements that do not come from services, of all families. */
void nft_elements_each_of_node(const struct environment *env,
			       void (*fn)(void *data, const struct nft_element *e),
			       void *data);
