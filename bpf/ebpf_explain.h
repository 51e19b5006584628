/* Which connections the programs leave to nftables, and why. */
#pragma once

#include "core/sink_view.h"

/* NULL: the programs decide. */
const char *ebpf_why_passed(const struct sink_question *q, bool is_host_only);
