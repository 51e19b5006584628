/*
 * Settings of this process and of the kernel that the daemon makes at its start.
 */
#pragma once

struct config;

void host_setup_oom_score(const struct config *config);
/*
 * Raises the soft limit of open files to the hard one: each health check node port
 * takes one, and a shell or systemd gives 1024.
 */
void host_setup_descriptors(void);
/* Sizes and timeouts of connection tracking; logs each change and each failure. */
void host_setup_conntrack(const struct config *config);
