/*
 * The same decisions as an iptables-restore file (`-m statistic`, `-m recent`),
 * in kube-proxy's shape and with its names, for people who audit in that form.
 *
 * One file for both families: iptables-restore and ip6tables-restore take
 * their own rules from it.  Packets that kube-proxy's nftables mode refuses or drops
 * besides (unused ports and addresses of service networks) is included; rules
 * unrelated to Services (invalid packets, forwarding, health check ports) are not.
 */
#pragma once

#include "core/buf.h"
#include "core/changeset.h"

/* Of the families that are enabled. */
void iptables_dump(const struct changeset *full, struct buf *out);
