/*
 * When eBPF mode is chosen, and for which sockets: without a capability or a
 * filesystem that it needs `auto` takes nftables and says why; the sockets of
 * some cgroups, or of all pods, are left to nftables.
 */
#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/kernel/await.h"
#include "tests/kernel/instance.h"
#include "tests/kernel/probe.h"
#include "tests/test.h"

static const struct manifest_service web = {
	.name = "web",
	.ip = "svc10",
	.ports = "p 80>80",
	.endpoints = "pod1R",
};

static int setup(void **state)
{
	if (setenv("SLUICE_TEST_MODE", "ebpf", 1) != 0)
		return -1;
	(void)instance_setup(state);
	instance_put(*state, &web, 1);
	return 0;
}

static void restart(struct instance *sluice, const char *const *args)
{
	(void)instance_end(sluice, SIGTERM);
	(void)unlink(sluice->log);
	instance_start(sluice, args);
}

static void expect_text(struct instance *sluice, const char *path, const char *text)
{
	if (world_run(sluice->world, PLACE_NODE, "grep -qF '%s' %s", text, path)) {
		(void)world_run(sluice->world, PLACE_NODE, "cat %s >&2", path);
		fail_msg("not in the log: %s", text);
	}
}

/* Runs the program once, in mode auto, with words before it and flags after it. */
static void run_auto(struct instance *sluice, enum place place, const char *before,
		     const char *flags)
{
	world_must(sluice->world, place,
		   "%s timeout 60 %s run --once --manifests %s --hostname-override %s "
		   "--cluster-cidr %s --control-socket '' %s >%s/once 2>&1 || "
		   "{ cat %s/once; false; }",
		   before, instance_program(), sluice->manifests, WORLD_NODE_NAME,
		   WORLD_POD_CIDRS, flags, sluice->world->dir, sluice->world->dir);
}

static void expect_nftables(struct instance *sluice, const char *why)
{
	_cleanup_(freep) char *once = xasprintf("%s/once", sluice->world->dir);

	expect_text(sluice, once, why);
	expect_text(sluice, once, "mode auto: using nftables");
}

static void auto_takes_ebpf_and_says_why(void **state)
{
	static const char *const args[] = {"--proxy-mode", "auto", NULL};
	struct instance *sluice = *state;

	restart(sluice, args);
	await_log(sluice, "mode auto: using ebpf: ");
	(void)instance_end(sluice, SIGTERM);
}

/* CAP_SYS_ADMIN stands for the other two, so each is missed only without it. */
static void without_a_capability_auto_says_what_is_missing(void **state)
{
	static const struct {
		const char *missing, *why;
	} rows[] = {
		{"-bpf,-sys_admin",
		 "mode auto: not ebpf: the kernel refuses the programs: Operation not "
		 "permitted (CAP_BPF"},
		{"-perfmon,-sys_admin",
		 "mode auto: not ebpf: the kernel refuses the programs: "},
	};
	struct instance *sluice = *state;
	_cleanup_(freep) char *flags = xasprintf("--bpffs-root %s --cgroup-root %s",
						 sluice->bpffs, sluice->cgroup);

	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		_cleanup_(freep) char *before =
			xasprintf("setpriv --bounding-set=%s", rows[i].missing);

		run_auto(sluice, PLACE_NODE, before, flags);
		expect_nftables(sluice, rows[i].why);
	}
}

/* With CAP_SYS_ADMIN the other two are not needed; without it only sockets elsewhere stay open. */
static void one_of_the_capabilities_alone_is_not_missed(void **state)
{
	static const char *const missing[] = {"-bpf", "-perfmon", "-sys_admin"};
	struct instance *sluice = *state;
	_cleanup_(freep) char *flags = xasprintf("--bpffs-root %s --cgroup-root %s",
						 sluice->bpffs, sluice->cgroup);
	_cleanup_(freep) char *once = xasprintf("%s/once", sluice->world->dir);

	for (size_t i = 0; i < N_ELEMENTS(missing); i++) {
		_cleanup_(freep) char *before =
			xasprintf("setpriv --bounding-set=%s", missing[i]);

		run_auto(sluice, PLACE_NODE, before, flags);
		expect_text(sluice, once, "mode auto: using ebpf: ");
	}
}

static void without_net_admin_no_mode_starts(void **state)
{
	struct instance *sluice = *state;

	assert_int_not_equal(
		world_run(sluice->world, PLACE_NODE,
			  "setpriv --bounding-set=-net_admin timeout 60 %s run --once "
			  "--manifests %s --hostname-override %s --control-socket '' "
			  "--bpffs-root %s --cgroup-root %s >%s/once 2>&1",
			  instance_program(), sluice->manifests, WORLD_NODE_NAME,
			  sluice->bpffs, sluice->cgroup, sluice->world->dir),
		0);
}

static void auto_takes_nftables_without_a_bpf_filesystem(void **state)
{
	struct instance *sluice = *state;
	_cleanup_(freep) char *flags = xasprintf("--bpffs-root %s/none --cgroup-root %s",
						 sluice->world->dir, sluice->cgroup);

	run_auto(sluice, PLACE_NODE, "", flags);
	expect_nftables(sluice, "/none is not a BPF filesystem and cannot become one");
}

/* The program never starts if a cgroup v2 is left: it would attach to the machine's. */
static void auto_takes_nftables_without_cgroup_v2(void **state)
{
	struct instance *sluice = *state;
	_cleanup_(freep) char *flags = xasprintf("--bpffs-root %s", sluice->bpffs);

	run_auto(sluice, PLACE_NODE,
		 "unshare -m sh -c 'for dir in $(awk \"\\$3 == \\\"cgroup2\\\" { print "
		 "\\$2 "
		 "}\" /proc/mounts); do umount -l \"$dir\"; done; "
		 "if grep -q \" cgroup2 \" /proc/mounts; then exit 99; fi; exec \"$@\"' "
		 "sh",
		 flags);
	expect_nftables(sluice, "mode auto: not ebpf: cgroup v2 is not mounted");
}

static void two_daemons_do_not_share_pins(void **state)
{
	struct instance *sluice = *state;
	_cleanup_(freep) char *once = xasprintf("%s/once", sluice->world->dir);

	restart(sluice, NULL);
	/* another network namespace: the lock on this one would come first */
	assert_int_not_equal(
		world_run(
			sluice->world, PLACE_POD1,
			"timeout 60 %s run --once --manifests %s --hostname-override %s "
			"--proxy-mode ebpf --control-socket '' --bpffs-root %s "
			"--cgroup-root %s >%s 2>&1",
			instance_program(), sluice->manifests, WORLD_NODE_NAME,
			sluice->bpffs, sluice->cgroup, once),
		0);
	expect_text(sluice, once, "another daemon uses ");
}

/* Has nftables seen a connection from there, made by a process of this cgroup? */
static bool passes_nftables(struct instance *sluice, const char *from, const char *cgroup)
{
	struct target t = target_named(from, "svc10:80", IPPROTO_TCP, FAMILY_IPV4);
	const struct world *w = sluice->world;
	pid_t pid;
	int status;

	world_must(w, PLACE_NODE, "conntrack -F 2>/dev/null");
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		_cleanup_(freep) char *procs = xasprintf("%s/cgroup.procs", cgroup);
		int fd = open(procs, O_WRONLY | O_CLOEXEC);

		if (fd < 0 || write(fd, "0", 1) != 1)
			_exit(2);
		_exit(probe(w, &t, PROBE_PATIENCE_MS).outcome == PROBE_ANSWERED ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return !world_run(w, PLACE_NODE,
			  "conntrack -L -d 172.30.0.10 2>/dev/null | grep -q dport=80");
}

static void sockets_of_an_excluded_cgroup_pass_nftables(void **state)
{
	struct instance *sluice = *state;
	_cleanup_(freep) char *mesh = xasprintf("%s/mesh", sluice->cgroup);
	const char *const args[] = {"--cluster-cidr", WORLD_POD_CIDRS,
				    "--ebpf-exclude-cgroup", mesh, NULL};

	assert_int_equal(mkdir(mesh, 0755), 0);
	restart(sluice, args);
	assert_true(passes_nftables(sluice, "pod4", mesh));
	assert_true(passes_nftables(sluice, "node", mesh));
	assert_false(passes_nftables(sluice, "pod4", sluice->cgroup));
	assert_false(passes_nftables(sluice, "node", sluice->cgroup));
	restart(sluice, NULL); /* no longer excluded */
	assert_false(passes_nftables(sluice, "pod4", mesh));
	assert_int_equal(rmdir(mesh), 0);
}

static void with_host_only_sockets_of_pods_pass_nftables(void **state)
{
	static const char *const args[] = {"--cluster-cidr", WORLD_POD_CIDRS,
					   "--ebpf-host-only", NULL};
	struct instance *sluice = *state;

	restart(sluice, args);
	assert_true(passes_nftables(sluice, "pod4", sluice->cgroup));
	assert_false(passes_nftables(sluice, "node", sluice->cgroup));
	restart(sluice, NULL);
	assert_false(passes_nftables(sluice, "pod4", sluice->cgroup));
}

/* A program that allows every connect(). */
static int load_allowing(void)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts,
		    .expected_attach_type = BPF_CGROUP_INET4_CONNECT);

	return bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "mesh", "GPL", insns,
			     N_ELEMENTS(insns), &opts);
}

static void status_warns_of_programs_of_other_software(void **state)
{
	static const char *const commands[] = {"status", "status -o json"};
	const char *const expected[] = {"\nwarning      ebpf: the BPF program mesh (id ",
					"\"ebpf: the BPF program mesh (id "};
	struct instance *sluice = *state;
	_cleanup_(closep) int cgroup = open(sluice->cgroup, O_RDONLY | O_CLOEXEC);
	_cleanup_(closep) int program = load_allowing();

	for (int is_there = 1; is_there >= 0; is_there--) {
		if (is_there)
			assert_int_equal(bpf_prog_attach(program, cgroup,
							 BPF_CGROUP_INET4_CONNECT,
							 BPF_F_ALLOW_MULTI),
					 0);
		else
			assert_int_equal(bpf_prog_detach2(program, cgroup,
							  BPF_CGROUP_INET4_CONNECT),
					 0);
		for (size_t i = 0; i < N_ELEMENTS(commands); i++) {
			_cleanup_(buf_fini) struct buf out = BUF_INIT;

			assert_int_equal(instance_command(sluice, commands[i], &out), 0);
			assert_int_equal(strstr(buf_string(&out), expected[i]) != NULL,
					 is_there);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(auto_takes_ebpf_and_says_why),
		cmocka_unit_test(without_a_capability_auto_says_what_is_missing),
		cmocka_unit_test(one_of_the_capabilities_alone_is_not_missed),
		cmocka_unit_test(without_net_admin_no_mode_starts),
		cmocka_unit_test(auto_takes_nftables_without_a_bpf_filesystem),
		cmocka_unit_test(auto_takes_nftables_without_cgroup_v2),
		cmocka_unit_test(two_daemons_do_not_share_pins),
		cmocka_unit_test(status_warns_of_programs_of_other_software),
		cmocka_unit_test(sockets_of_an_excluded_cgroup_pass_nftables),
		cmocka_unit_test(with_host_only_sockets_of_pods_pass_nftables),
	};

	return cmocka_run_group_tests(tests, setup, instance_teardown);
}
