/*
 * The chains at the end of the way: one for each pool of a service that is in
 * use, and one for each endpoint in it.
 */
#pragma once

#include "core/service.h"
#include "rules/iptables/iptables_names.h"
#include "rules/iptables/iptables_table.h"

struct iptables_chain iptables_pool_chain(const struct service *s, enum pool pool);
void iptables_pools_add(struct iptables_table *nat, const struct service *s);
