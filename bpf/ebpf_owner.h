/*
 * Which network namespace the pins in a folder serve: a subfolder has its
 * cookie as its name. Daemons of several namespaces may share a BPF filesystem,
 * and reading it needs no capability.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* From now on this namespace. 0 or -errno. */
int ebpf_owner_claim(int pins_fd, uint64_t cookie);
/* True also when no namespace has claimed them. */
bool ebpf_owner_is_self(int pins_fd);
/* Removes the mark. */
void ebpf_owner_release(int pins_fd);
