#include "rules/iptables/iptables_dump.h"

#include <stdlib.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "rules/iptables/iptables_filter.h"
#include "rules/iptables/iptables_nat.h"

/* In key order, so that the same services give the same file. */
static const struct service **sorted_services(const struct changeset *full, size_t *ret_n)
{
	const struct service **services = xcalloc(full->n + 1, sizeof(struct service *));
	size_t n = 0;

	for (size_t i = 0; i < full->n; i++) {
		if (full->env->enabled[full->changes[i].new->family])
			services[n++] = full->changes[i].new;
	}
	qsort(services, n, sizeof(struct service *), service_compare_items);
	*ret_n = n;
	return services;
}

void iptables_dump(const struct changeset *full, struct buf *out)
{
	_cleanup_(freep) const struct service **services = NULL;
	_cleanup_(iptables_table_fini) struct iptables_table filter;
	_cleanup_(iptables_table_fini) struct iptables_table nat;
	size_t n;

	iptables_table_init(&filter);
	iptables_table_init(&nat);
	services = sorted_services(full, &n);
	iptables_filter_begin(&filter, full->env);
	iptables_nat_begin(&nat, full->env);
	for (size_t i = 0; i < n; i++) {
		iptables_filter_add_service(&filter, services[i]);
		iptables_nat_add_service(&nat, full->env, services[i]);
	}
	iptables_filter_end(&filter, full);
	iptables_nat_end(&nat, full->env);
	buf_add_string(out, "# for iptables-restore and ip6tables-restore\n");
	iptables_table_write(&filter, "filter", out);
	iptables_table_write(&nat, "nat", out);
}
