/*
 * A grace period: programs run in RCU read-side sections, and this waits for all that run.
 */
#pragma once

/* 0, or -errno if the kernel cannot wait. Some milliseconds. */
int ebpf_grace_wait(void);
