/*
 * Entering a network namespace that is known by its numbers only.
 */
#pragma once

#include <stdint.h>

/* Of the namespace that this process is in. 0 or -errno (Linux 5.14). */
int ebpf_netns_cookie(uint64_t *ret);

/*
 * By handle (Linux 6.18), else the file with this inode in /run/netns or
 * /proc/PID/ns. A descriptor, or -errno: -ENOENT if no file leads there.
 */
int ebpf_netns_open(uint64_t cookie, uint32_t inode);
