/*
 * --nodeport-addresses, applied to this host.
 *
 * Networks select among the addresses on this host's interfaces; "primary" is
 * used even if no interface has it.  A list without an entry for a family
 * selects all addresses of that family.  Loopback is served only if a network
 * or "localhost" names it, not by "all" or a /0, and only in a data plane that
 * can: packets from 127.0.0.1 do not leave a host, and a rule that redirects
 * them hides the node's own programs.
 */
#include "watchers/plan/nodeport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"

static bool parse_keyword(const char *item, struct nodeport_addresses *np)
{
	const struct {
		const char *word;
		bool *flag;
	} keywords[] = {
		{"", &np->primary}, /* the default */
		{"primary", &np->primary},
		{"localhost", &np->localhost},
		{"all", &np->all},
	};

	for (size_t i = 0; i < N_ELEMENTS(keywords); i++)
		if (!strcmp(item, keywords[i].word)) {
			*keywords[i].flag = true;
			return true;
		}
	return false;
}

int nodeport_addresses_parse(const char *const *items, size_t n,
			     struct nodeport_addresses *ret, char **ret_error)
{
	struct nodeport_addresses np = {.primary = n == 0};

	np.cidrs = xcalloc(n + 1, sizeof(*np.cidrs));
	for (size_t i = 0; i < n; i++) {
		if (parse_keyword(items[i], &np))
			continue;
		if (cidr_parse(items[i], &np.cidrs[np.n_cidrs]) < 0) {
			*ret_error = xasprintf("\"%s\" is neither a network nor one of "
					       "primary, localhost, all",
					       items[i]);
			nodeport_addresses_fini(&np);
			return -EINVAL;
		}
		np.n_cidrs++;
	}
	*ret = np;
	return 0;
}

void nodeport_addresses_fini(struct nodeport_addresses *np)
{
	free(np->cidrs);
	*np = (struct nodeport_addresses){0};
}

static bool find_primary(const struct plan_options *options,
			 const struct object_node *node, enum family family,
			 struct addr *ret)
{
	if (addr_family(&options->node_ip[family]) == family &&
	    !addr_is_unspecified(&options->node_ip[family])) {
		*ret = options->node_ip[family];
		return true;
	}
	for (uint32_t i = 0; node && i < node->n_addresses; i++)
		if (addr_family(&node->addresses[i]) == family) {
			*ret = node->addresses[i];
			return true;
		}
	return false;
}

bool nodeport_primary(const struct plan_options *options, const struct object_node *node,
		      enum family family, struct addr *ret)
{
	struct addr primary;

	if (!find_primary(options, node, family, &primary) || addr_is_loopback(&primary))
		return false;
	*ret = primary;
	return true;
}

/* The list as it applies to one family. */
struct scope {
	const struct nodeport_addresses *np;
	enum family family;
	bool has_primary;
	struct addr primary;
	bool has_loopback;
	bool is_all;	  /* all but loopback */
	bool is_fallback; /* all but loopback and link-local */
};

static const struct nodeport_addresses default_addresses = {.primary = true};

static void scope_init(struct scope *s, const struct plan_options *options,
		       const struct object_node *node, enum family family)
{
	bool is_unlisted = true;

	*s = (struct scope){
		.np = options->nodeports,
		.family = family,
		.has_loopback = options->loopback_nodeports,
	};
	if (!s->np)
		s->np = &default_addresses;
	if (s->np->primary)
		s->has_primary = nodeport_primary(options, node, family, &s->primary);
	s->is_all = s->np->all;
	for (size_t i = 0; i < s->np->n_cidrs; i++) {
		if (cidr_family(&s->np->cidrs[i]) != family)
			continue;
		is_unlisted = false;
		if (s->np->cidrs[i].prefix_len == 0)
			s->is_all = true;
	}
	if (s->has_primary || s->np->localhost || s->is_all || !is_unlisted)
		return;
	s->is_all = !s->np->primary;
	s->is_fallback = s->np->primary;
}

static bool scope_has_network(const struct scope *s, const struct addr *a)
{
	for (size_t i = 0; i < s->np->n_cidrs; i++)
		if (s->np->cidrs[i].prefix_len > 0 && cidr_contains(&s->np->cidrs[i], a))
			return true;
	return false;
}

static bool scope_has(const struct scope *s, const struct addr *a)
{
	if (addr_family(a) != s->family || addr_is_unspecified(a))
		return false;
	if (addr_is_loopback(a) && !s->has_loopback)
		return false;
	if (scope_has_network(s, a))
		return true;
	if (addr_is_loopback(a))
		return s->np->localhost;
	return s->is_all || (s->is_fallback && !addr_is_link_local(a));
}

static int compare_addr(const void *a, const void *b)
{
	return addr_compare(a, b);
}

struct addr *plan_nodeport_addresses(const struct plan_options *options,
				     const struct object_node *node, enum family family,
				     size_t *ret_n)
{
	struct addr *found = xcalloc(options->n_host_addresses + 1, sizeof(struct addr));
	struct scope scope;
	size_t n = 0, n_unique = 0;

	scope_init(&scope, options, node, family);
	if (scope.has_primary)
		found[n++] = scope.primary;
	for (size_t i = 0; i < options->n_host_addresses; i++)
		if (scope_has(&scope, &options->host_addresses[i]))
			found[n++] = options->host_addresses[i];
	for (size_t i = 1; i < n; i++)
		if (addr_compare(&found[i - 1], &found[i]) > 0) {
			qsort(found, n, sizeof(*found), compare_addr);
			break;
		}
	for (size_t i = 0; i < n; i++)
		if (n_unique == 0 || !addr_equal(&found[n_unique - 1], &found[i]))
			found[n_unique++] = found[i];
	*ret_n = n_unique;
	return found;
}

bool plan_nodeport_address(const struct plan_options *options,
			   const struct object_node *node, enum family family,
			   struct addr *ret)
{
	size_t n;
	_cleanup_(freep) struct addr *all =
		plan_nodeport_addresses(options, node, family, &n);

	if (n > 0)
		*ret = n == 1 ? all[0] : addr_unspecified(family);
	return n > 0;
}
