/*
 * Names of iptables chains as kube-proxy makes them, for readers who know its
 * rules: a prefix and 16 characters out of a hash of service, port and protocol,
 * and of the endpoint in the name of an endpoint's chain.
 */
#pragma once

#include "core/service.h"

#define IPTABLES_CHAIN_LEN 28 /* the kernel's limit, without the NUL */

enum iptables_prefix {
	IPTABLES_SVC, /* balances over the cluster pool */
	IPTABLES_SVL, /* over the node-local pool */
	IPTABLES_EXT, /* decides for an external frontend */
	IPTABLES_FW,  /* lets the allowed sources in */
	IPTABLES_SEP, /* one endpoint */
};

struct iptables_chain {
	char name[IPTABLES_CHAIN_LEN + 1];
};

/* what: "" or a distinction: "10.0.0.1:80" for an endpoint. */
struct iptables_chain iptables_chain_name(enum iptables_prefix prefix,
					  const struct service *s, const char *what);
struct iptables_chain iptables_endpoint_chain(const struct service *s,
					      const struct endpoint *e);
/* "tcp", "udp", "sctp" */
const char *iptables_proto(uint8_t proto);
