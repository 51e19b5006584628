/*
 * The same decisions as an iptables-restore file (`-m statistic`, `-m recent`),
 * in kube-proxy's shape, for people who audit in that form.
 */
#pragma once

#include "core/buf.h"
#include "core/changeset.h"

/* One family at a time: iptables-restore and ip6tables-restore are two programs. */
void iptables_dump(const struct changeset *full, enum family family, struct buf *out);
