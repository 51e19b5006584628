/*
 * Table nat: the destinations, and the packets that are masqueraded.
 *
 *   KUBE-SERVICES ─▶ KUBE-SVC-… (cluster IPs)   ─▶ KUBE-SEP-… ─▶ DNAT
 *                 └▶ KUBE-FW-… ─▶ KUBE-EXT-… ─▶ KUBE-SVC-…, KUBE-SVL-…
 *   KUBE-NODEPORTS ─▶ KUBE-EXT-…
 */
#pragma once

#include "core/changeset.h"
#include "rules/iptables/iptables_table.h"

/* The chains that are always there, and how packets come to them. */
void iptables_nat_begin(struct iptables_table *nat, const struct environment *env);
void iptables_nat_add_service(struct iptables_table *nat, const struct environment *env,
			      const struct service *s);
/* The node ports come last. */
void iptables_nat_end(struct iptables_table *nat, const struct environment *env);
