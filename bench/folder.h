/*
 * A folder of manifests with the Services of bench/workload.h, which a daemon reads
 * while they change.
 */
#pragma once

#include <stdint.h>

#include "bench/rows.h"

/* All but the last Service in one file. These exit when they fail. */
void folder_write_rest(const char *folder, struct rows_size size);
/* All but the last in a file each. */
void folder_write_files(const char *folder, struct rows_size size);
/* The last one, in a file of its own. version as in workload_endpoint(). */
void folder_write_last(const char *folder, struct rows_size size, uint32_t version);
void folder_remove_file(const char *folder, const char *name);
/* With its files, and those of a daemon whose control socket is sluice.sock in it. */
void folder_remove(const char *folder, struct rows_size size);
/* Becomes the daemon, without output; it ends with its parent. In a child. */
_Noreturn void folder_exec(const char *program, const char *const *argv);
