/*
 * Capabilities go through libcap-ng, the filter through libseccomp.  The list
 * is what glibc, libev, libcurl with OpenSSL, libmicrohttpd and we use once
 * everything is open; anything else is answered with EPERM rather than by
 * killing us, so that a new libc costs a feature and not the node's proxy.
 */
#include "proxy/host/privileges.h"

#include <cap-ng.h>
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "core/cleanup.h"
#include "core/log.h"

static const unsigned kept[] = {CAP_NET_ADMIN, CAP_NET_BIND_SERVICE};

static const int allowed[] = {
	/* files and descriptors */
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev),
	SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(open), SCMP_SYS(openat),
	SCMP_SYS(close), SCMP_SYS(close_range), SCMP_SYS(stat), SCMP_SYS(fstat),
	SCMP_SYS(lstat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(statfs),
	SCMP_SYS(fstatfs), SCMP_SYS(lseek), SCMP_SYS(access), SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
	SCMP_SYS(getdents64), SCMP_SYS(fcntl), SCMP_SYS(dup), SCMP_SYS(dup2),
	SCMP_SYS(dup3), SCMP_SYS(pipe), SCMP_SYS(pipe2), SCMP_SYS(ioctl), SCMP_SYS(flock),
	SCMP_SYS(ftruncate), SCMP_SYS(fsync), SCMP_SYS(unlink), SCMP_SYS(unlinkat),
	SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(mkdir),
	SCMP_SYS(mkdirat), SCMP_SYS(chmod), SCMP_SYS(fchmod), SCMP_SYS(fchmodat),
	SCMP_SYS(umask), SCMP_SYS(getcwd),
	/* waiting */
	SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6),
	SCMP_SYS(epoll_create), SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2),
	SCMP_SYS(eventfd), SCMP_SYS(eventfd2), SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime), SCMP_SYS(timerfd_gettime), SCMP_SYS(signalfd),
	SCMP_SYS(signalfd4), SCMP_SYS(inotify_init), SCMP_SYS(inotify_init1),
	SCMP_SYS(inotify_add_watch), SCMP_SYS(inotify_rm_watch), SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(restart_syscall), SCMP_SYS(pause),
	SCMP_SYS(linkat),
	/* sockets */
	SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(accept), SCMP_SYS(accept4),
	SCMP_SYS(connect), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
	SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(shutdown), SCMP_SYS(sendto),
	SCMP_SYS(recvfrom), SCMP_SYS(sendmsg), SCMP_SYS(recvmsg), SCMP_SYS(sendmmsg),
	SCMP_SYS(recvmmsg), SCMP_SYS(sendfile), SCMP_SYS(splice),
	/* memory */
	SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(mmap2), SCMP_SYS(munmap),
	SCMP_SYS(mremap), SCMP_SYS(mprotect), SCMP_SYS(madvise), SCMP_SYS(mlock),
	SCMP_SYS(munlock), SCMP_SYS(membarrier),
	/* threads (a resolver thread of libcurl's), signals, ourselves */
	SCMP_SYS(futex), SCMP_SYS(futex_waitv), SCMP_SYS(set_robust_list),
	SCMP_SYS(get_robust_list), SCMP_SYS(rseq), SCMP_SYS(set_tid_address),
	SCMP_SYS(arch_prctl), SCMP_SYS(prctl), SCMP_SYS(exit), SCMP_SYS(exit_group),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigpending), SCMP_SYS(rt_sigtimedwait), SCMP_SYS(sigaltstack),
	SCMP_SYS(kill), SCMP_SYS(tgkill), SCMP_SYS(tkill), SCMP_SYS(wait4),
	SCMP_SYS(waitid), SCMP_SYS(getpid), SCMP_SYS(getppid), SCMP_SYS(gettid),
	SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
	SCMP_SYS(getgroups), SCMP_SYS(getresuid), SCMP_SYS(getresgid), SCMP_SYS(capget),
	SCMP_SYS(getrlimit), SCMP_SYS(prlimit64), SCMP_SYS(getrusage),
	SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(getcpu),
	SCMP_SYS(sysinfo), SCMP_SYS(uname), SCMP_SYS(getrandom),
	/* clocks */
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday),
	SCMP_SYS(time), SCMP_SYS(times)};

int privileges_check(const char **ret_why)
{
	if (capng_get_caps_process() == -1)
		return 0; /* unknown: the first transaction fails if it is missing */
	if (capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN))
		return 0;
	*ret_why = "CAP_NET_ADMIN is missing: run as root, or give it to the program "
		   "(AmbientCapabilities=CAP_NET_ADMIN in a unit file, "
		   "securityContext.capabilities in a Pod)";
	return -EPERM;
}

static void keep(unsigned cap, bool had_it)
{
	if (had_it)
		(void)capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, cap);
}

static void drop_capabilities(const struct privileges *p)
{
	uint64_t had = 0;
	capng_select_t set = CAPNG_SELECT_CAPS;
	int err;

	if (capng_get_caps_process() == -1)
		return;
	/*
	 * An empty bounding set leaves programs that root runs without any capability.
	 * It takes CAP_SETPCAP; other users lack it, and their programs get nothing anyway.
	 */
	if (capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP))
		set = CAPNG_SELECT_BOTH;
	for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (capng_have_capability(CAPNG_PERMITTED, cap))
			had |= UINT64_C(1) << cap;
	capng_clear(set);
	for (size_t i = 0; i < N_ELEMENTS(kept); i++)
		keep(kept[i], had >> kept[i] & 1);
	for (size_t i = 0; i < p->n_caps; i++)
		keep(p->caps[i], had >> p->caps[i] & 1);
	err = capng_apply(set);
	if (err)
		log_warn("privileges: could not drop capabilities (libcap-ng %d)", err);
}

/* A call that this architecture does not have is not an error. */
static void allow(scmp_filter_ctx filter, const int *calls, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
}

/* Calls that are allowed with some arguments only: no new namespaces, no odd protocols. */
static int add_limited_calls(scmp_filter_ctx filter)
{
	static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
	const scmp_datum_t namespaces = CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS |
					CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
					CLONE_NEWCGROUP;
	int err = 0;

	for (size_t i = 0; i < N_ELEMENTS(families) && !err; i++) {
		const scmp_datum_t family = (scmp_datum_t)families[i];

		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				       (struct scmp_arg_cmp){.op = SCMP_CMP_EQ,
							     .datum_a = family});
	}
	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1,
				       (struct scmp_arg_cmp){.op = SCMP_CMP_EQ,
							     .datum_a = AF_UNIX});
	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				       SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces, 0));
	/* its flags are in memory, where no filter sees them; glibc then uses clone */
	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3),
				       0);
	return err;
}

/* 0 when the filter is in place. */
static int load_filter(const struct privileges *p)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int err;

	if (!filter)
		return -ENOMEM;
	allow(filter, allowed, N_ELEMENTS(allowed));
	allow(filter, p->syscalls, p->n_syscalls);
	err = add_limited_calls(filter);
	if (!err)
		err = seccomp_load(filter);
	seccomp_release(filter);
	return err;
}

void privileges_drop(struct privileges *p)
{
	int err;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		log_warn("privileges: no_new_privs: %s", strerror(errno));
	drop_capabilities(p);
#ifdef __SANITIZE_ADDRESS__
	/* The sanitizers' own checks at exit need calls that we don't. */
	return;
#endif
	if (p->keep_exec) {
		log_info("privileges: no system call filter: a credential plugin will be "
			 "run");
		return;
	}
	err = load_filter(p);
	p->has_filter = err == 0;
	if (err)
		log_warn("privileges: no system call filter: %s", strerror(-err));
}
