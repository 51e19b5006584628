/*
 * Settings of this process and of the kernel that the daemon makes at its start.
 */
#pragma once

struct config;

void host_setup_oom_score(const struct config *config);
/*
 * Raises the soft limit of open files to the hard one, which a shell or systemd gives
 * as 1024: each health check node port takes one, each connection in mode userspace two.
 */
void host_setup_descriptors(void);
/* Sizes and timeouts of connection tracking; logs each change and each failure. */
void host_setup_conntrack(const struct config *config);
