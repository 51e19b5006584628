/*
 * Which sockets are left to nftables although the programs decide others of this kind,
 * and the programs of other software at the same hooks. One line each.
 */
#pragma once

#include "core/sink_view.h"

struct ebpf_sink;

void ebpf_notes(const struct ebpf_sink *e, const struct sink_question *q,
		void (*fn)(void *data, const char *line), void *data);
/* The programs of other software alone. */
void ebpf_notes_others(const struct ebpf_sink *e,
		       void (*fn)(void *data, const char *line), void *data);
/* Logs each of them once; those of the start are among the daemon's first warnings. */
void ebpf_notes_log_others(struct ebpf_sink *e);
