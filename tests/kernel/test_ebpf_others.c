/*
 * Programs of other software at the same hooks: those at cgroups below see the
 * service, those attached here later see the endpoint, and any of them can
 * refuse. One that was attached for itself alone keeps ours out.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf/ebpf_kernel.h"
#include "core/cleanup.h"
#include "tests/kernel/ebpf_plane.h"
#include "tests/short_service.h"

#define VIP	 "10.96.0.10:80"
#define NONE	 "10.96.0.11:80" /* without endpoints */
#define POD1	 "10.244.0.1:8080"
#define USER_IP4 offsetof(struct bpf_sock_addr, user_ip4)

static struct ebpf_stage *stage;
static struct ebpf_plane plane;

/* Puts the destination of a connect() into the map's only element, and returns verdict. */
static int load_program(int map, int verdict)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_LDX | BPF_MEM | BPF_W,
		 .dst_reg = BPF_REG_6,
		 .src_reg = BPF_REG_1,
		 .off = USER_IP4},
		{.code = BPF_ST | BPF_MEM | BPF_W, .dst_reg = BPF_REG_10, .off = -4},
		{.code = BPF_ALU64 | BPF_MOV | BPF_X,
		 .dst_reg = BPF_REG_2,
		 .src_reg = BPF_REG_10},
		{.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_2, .imm = -4},
		{.code = BPF_LD | BPF_DW | BPF_IMM,
		 .dst_reg = BPF_REG_1,
		 .src_reg = BPF_PSEUDO_MAP_FD,
		 .imm = map},
		{.code = 0},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_map_lookup_elem},
		{.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = BPF_REG_0, .off = 1},
		{.code = BPF_STX | BPF_MEM | BPF_W,
		 .dst_reg = BPF_REG_0,
		 .src_reg = BPF_REG_6},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K,
		 .dst_reg = BPF_REG_0,
		 .imm = verdict},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts,
		    .expected_attach_type = BPF_CGROUP_INET4_CONNECT);
	int fd = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "other", "GPL", insns,
			       N_ELEMENTS(insns), &opts);

	assert_true(fd >= 0);
	return fd;
}

/* A program of other software, attached to a cgroup. */
struct other {
	int map, program, cgroup;
};

static struct other attach(const char *path, int verdict, unsigned flags)
{
	struct other o = {
		.map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "other", 4, 4, 1, NULL),
		.cgroup = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
	};
	int err = -EPERM;

	assert_true(o.map >= 0 && o.cgroup >= 0);
	o.program = load_program(o.map, verdict);
	/* links of the test before are detached a moment after their pins are removed */
	for (int i = 0; err == -EPERM && i < 200; i++) {
		err = bpf_prog_attach(o.program, o.cgroup, BPF_CGROUP_INET4_CONNECT,
				      flags);
		if (err == -EPERM)
			(void)usleep(10000);
	}
	assert_int_equal(err, 0);
	return o;
}

static void detach(const struct other *o)
{
	assert_int_equal(bpf_prog_detach2(o->program, o->cgroup,
					  BPF_CGROUP_INET4_CONNECT),
			 0);
	(void)close(o->program);
	(void)close(o->map);
	(void)close(o->cgroup);
}

static void assert_saw(const struct other *o, const char *place)
{
	struct addr expected;
	uint32_t key = 0, seen = 0;
	uint16_t port;
	size_t len;

	assert_int_equal(addr_port_parse(place, &expected, &port), 0);
	assert_int_equal(bpf_map_lookup_elem(o->map, &key, &seen), 0);
	assert_memory_equal(&seen, addr_bytes(&expected, &len), sizeof(seen));
}

struct seen {
	unsigned n_before, n_after;
};

static void note_other(void *data, const struct ebpf_other *other)
{
	struct seen *seen = data;

	assert_string_equal(other->name, "other");
	assert_string_equal(other->hook, "connect4");
	seen->n_before += other->is_before;
	seen->n_after += !other->is_before;
}

static void assert_listed(unsigned n_before, unsigned n_after)
{
	struct seen seen = {0};

	ebpf_kernel_list_others(plane.kernel, note_other, &seen);
	assert_int_equal(seen.n_before, n_before);
	assert_int_equal(seen.n_after, n_after);
}

static void open_plane(void)
{
	plane = ebpf_plane_open(stage);
	ebpf_plane_put(&plane, short_service("web", IPPROTO_TCP, VIP, POD1));
	ebpf_plane_put(&plane, short_service("none", IPPROTO_TCP, NONE, ""));
}

static void one_attached_before_sees_the_service(void **state)
{
	struct other o = attach(stage->cgroup, 1, BPF_F_ALLOW_MULTI);

	open_plane();
	assert_string_equal(ebpf_ask(SOCK_STREAM, VIP), POD1);
	assert_saw(&o, VIP);
	assert_listed(1, 0);
	assert_int_equal(ebpf_connect(SOCK_STREAM, NONE), -ECONNREFUSED);
	ebpf_plane_close(&plane);
	detach(&o);
}

static void one_attached_later_sees_the_endpoint(void **state)
{
	struct other o;

	open_plane();
	o = attach(stage->cgroup, 1, BPF_F_ALLOW_MULTI);
	assert_string_equal(ebpf_ask(SOCK_STREAM, VIP), POD1);
	assert_saw(&o, POD1);
	assert_listed(0, 1);
	assert_int_equal(ebpf_connect(SOCK_STREAM, NONE), -ECONNREFUSED);
	detach(&o);
	ebpf_plane_close(&plane);
}

static void one_of_a_pod_sees_the_service(void **state)
{
	struct other o;
	int status;
	pid_t pid;

	open_plane();
	o = attach(stage->pod, 1, BPF_F_ALLOW_MULTI);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int fd = open(stage->pod_procs, O_WRONLY | O_CLOEXEC);

		if (fd < 0 || write(fd, "0", 1) != 1)
			_exit(1);
		_exit(strcmp(ebpf_ask(SOCK_STREAM, VIP), POD1) != 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_saw(&o, VIP);
	detach(&o);
	ebpf_plane_close(&plane);
}

static void one_that_refuses_is_obeyed_in_any_order(void **state)
{
	struct other o = attach(stage->cgroup, 0, BPF_F_ALLOW_MULTI);

	open_plane();
	assert_int_equal(ebpf_connect(SOCK_STREAM, VIP), -EPERM);
	detach(&o);
	assert_string_equal(ebpf_ask(SOCK_STREAM, VIP), POD1);
	o = attach(stage->cgroup, 0, BPF_F_ALLOW_MULTI);
	assert_int_equal(ebpf_connect(SOCK_STREAM, VIP), -EPERM);
	detach(&o);
	assert_string_equal(ebpf_ask(SOCK_STREAM, VIP), POD1);
	ebpf_plane_close(&plane);
}

static void one_that_is_exclusive_keeps_ours_out(void **state)
{
	struct other o = attach(stage->cgroup, 1, 0);
	struct ebpf_params params = ebpf_stage_params(stage);
	_cleanup_(freep) char *why = NULL;
	_cleanup_(freep) char *opened = NULL;
	struct ebpf_kernel *kernel;
	unsigned n;

	assert_int_equal(ebpf_kernel_probe(&params, &why), -EPERM);
	assert_non_null(strstr(why, "the BPF program other (id "));
	assert_non_null(strstr(why, " at connect4 and allows no other"));
	assert_int_equal(ebpf_kernel_open(&params, &kernel, &opened), -EPERM);
	assert_string_equal(opened, why);
	detach(&o);
	assert_int_equal(ebpf_kernel_open(&params, &kernel, &opened), 0);
	assert_int_equal(ebpf_kernel_attach(kernel, &n), 0);
	assert_true(ebpf_kernel_is_attached(kernel));
	ebpf_kernel_close(kernel);
	assert_int_equal(ebpf_kernel_cleanup(stage->bpffs, &n), 0);
}

static void one_that_sees_sockets_close_is_not_reported(void **state)
{
	const struct bpf_insn allow[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts,
		    .expected_attach_type = BPF_CGROUP_INET_SOCK_RELEASE);
	_cleanup_(closep) int program =
		bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK, "other", "GPL", allow, 2, &opts);
	_cleanup_(closep) int cgroup =
		open(stage->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_true(program >= 0 && cgroup >= 0);
	open_plane();
	assert_int_equal(bpf_prog_attach(program, cgroup, BPF_CGROUP_INET_SOCK_RELEASE,
					 BPF_F_ALLOW_MULTI),
			 0);
	assert_string_equal(ebpf_ask(SOCK_STREAM, VIP), POD1);
	assert_listed(0, 0);
	assert_int_equal(bpf_prog_detach2(program, cgroup, BPF_CGROUP_INET_SOCK_RELEASE),
			 0);
	ebpf_plane_close(&plane);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_attached_before_sees_the_service),
		cmocka_unit_test(one_attached_later_sees_the_endpoint),
		cmocka_unit_test(one_of_a_pod_sees_the_service),
		cmocka_unit_test(one_that_refuses_is_obeyed_in_any_order),
		cmocka_unit_test(one_that_is_exclusive_keeps_ours_out),
		cmocka_unit_test(one_that_sees_sockets_close_is_not_reported),
	};
	int n_failed;

	stage = ebpf_stage_enter();
	if (!stage)
		return TEST_SKIPPED;
	ebpf_stage_serve(POD1);
	n_failed = cmocka_run_group_tests(tests, NULL, NULL);
	ebpf_stage_leave(stage);
	return n_failed;
}
