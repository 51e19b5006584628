/*
 * One daemon for each network namespace: the lock is an abstract Unix socket, which
 * belongs to the namespace and goes with its process.  The socket of a process that
 * could not be a daemon is not a lock, so that it cannot keep the daemon away.
 */
#pragma once

#include <sys/types.h>

struct ev_loop;
struct netns_lock;

/*
 * -EADDRINUSE with *ret_pid when another process has it; the pid is 0 when that
 * process lives in a PID namespace that we do not see.
 */
int netns_lock_take(struct netns_lock **ret, pid_t *ret_pid);
/* From now on connections of netns_lock_holder() are accepted. */
void netns_lock_start(struct netns_lock *lock, struct ev_loop *loop);
void netns_lock_release(struct netns_lock *lock);

/* -ENOENT: there is no daemon; else 0, and *ret_pid as above. */
int netns_lock_holder(pid_t *ret_pid);
