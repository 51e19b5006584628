/*
 * A sluice under test: the real program, run as the world's node runs it, on
 * manifests that the test writes.  ctest runs these tests twice: with the build
 * that has sanitizers, and ("kernel_x_release") with the release build and its
 * system call filter, which the sanitizers don't allow.
 *
 * Every set of objects carries a marker Service with a new port.  When its
 * cluster IP answers in both families, everything that was written with it is
 * in the kernel: one file is one change, and one sync.  What that turn of the
 * daemon's loop logs and counts follows; a waiting test returns after it.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "core/buf.h"
#include "tests/kernel/scenario.h"

struct instance {
	struct world *world;
	char *manifests, *socket, *log;
	char *bpffs; /* where the pins of eBPF mode go: never those of the machine */
	const char *master;    /* an API server instead of the manifests; NULL: none */
	const char *state_dir; /* of the last known objects; NULL: none */
	const char *cgroup;    /* that of the eBPF programs; NULL in nftables mode */
	char *yaml;	       /* the manifest that was written last */
	void (*before_exec)(void); /* called in the daemon's process; may be NULL */
	pid_t pid;		   /* 0: not running */
	unsigned written;	   /* the last marker's port */
};

/* The program's path: $SLUICE_PROGRAM, or that of this build. */
const char *instance_program(void);
/* The program is the release build. */
bool instance_is_release(void);

/* $SLUICE_TEST_MODE is ebpf: the tests are run with that data plane. */
bool instance_is_ebpf(void);
/* The same, with userspace. */
bool instance_is_userspace(void);

/* One at a time in a world. */
struct instance *instance_new(struct world *w);
/* Ends it, too. */
void instance_free(struct instance *in);
/*
 * For a group of tests that share a world and a sluice that runs in it, the state:
 * cmocka's set-up and tear-down.
 */
int instance_setup(void **state);
int instance_teardown(void **state);

/*
 * These are now all objects, besides the Node, the ServiceCIDR and the marker.
 * Returns when the kernel has them, and sluice has logged and counted that;
 * immediately if sluice doesn't run.
 */
void instance_put(struct instance *in, const struct manifest_service *services, size_t n);
/* The same with YAML of the test's own; "" for none. */
void instance_put_yaml(struct instance *in, const char *yaml);
/* Like instance_put_yaml, but does not wait. */
void instance_write(struct instance *in, const char *yaml);
void instance_wait_written(struct instance *in);

/* Puts its services, then tries its rows. */
void instance_check(struct instance *in, const struct scenario *s);

/*
 * args: flags, ended by NULL; NULL for the usual ones. Puts the last objects again
 * with a new marker, and returns when the kernel has them from this daemon.
 */
void instance_start(struct instance *in, const char *const *args);
/* Without putting anything, and without waiting. */
void instance_launch(struct instance *in, const char *const *args);
/* Sends the signal and waits for the end; returns the wait status. */
int instance_end(struct instance *in, int signal);

/* Runs `sluice COMMAND --control-socket …` beside it: exit status, and what it printed. */
int instance_command(struct instance *in, const char *command, struct buf *ret_output);
/* Prints the log's end, then fails the test. */
__attribute__((format(printf, 2, 3), noreturn)) void instance_fail(struct instance *in,
								   const char *fmt, ...);
