/*
 * Table filter: the packets that are refused or dropped, of those that table nat left alone.
 *
 *   KUBE-PROXY-FIREWALL      sources that are not allowed at a limited frontend
 *   KUBE-SERVICES            cluster IPs without endpoints
 *   KUBE-EXTERNAL-SERVICES   the same for all other frontends
 *   KUBE-NODEPORTS           the same for node ports at all node addresses
 *   KUBE-CLUSTER-IPS         unused ports and unused addresses
 */
#pragma once

#include "core/changeset.h"
#include "rules/iptables/iptables_table.h"

void iptables_filter_begin(struct iptables_table *filter, const struct environment *env);
void iptables_filter_add_service(struct iptables_table *filter, const struct service *s);
/* The rules for all services together. */
void iptables_filter_end(struct iptables_table *filter, const struct changeset *full);
