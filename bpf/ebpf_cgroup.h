/* Where cgroup v2 is mounted. */
#pragma once

#include <stdbool.h>

/* The root of the first cgroup v2 mount, for the caller to free; NULL: none is mounted. */
char *ebpf_cgroup_find(void);
/* False: it is some container's, and only what is below it is served. */
bool ebpf_cgroup_is_real_root(int fd);
