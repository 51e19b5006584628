/*
 * Changes to the maps while clients on all cores connect. nftables is not there
 * to catch anything: a connection that no program decides fails, and one that is
 * sent to another service's endpoint is seen by who answers.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bpf/ebpf_kernel.h"
#include "bpf/ebpf_table.h"
#include "core/cleanup.h"
#include "tests/kernel/ebpf_stage.h"
#include "tests/short_service.h"

#define VIP	     "10.96.0.10:80"
#define N_CLIENTS    2
#define LOAD_SEC     1.5
#define A1	     "10.244.0.1:8080"
#define A2	     "10.244.0.2:8080"
#define A3	     "10.244.0.3:8080"
#define B1	     "10.244.1.1:8080"
#define N_CHURNED    64
#define AFFINITY_SEC 60

struct load { /* shared with the clients */
	atomic_bool is_over;
	atomic_int n_ready;
	atomic_ulong n_good, n_bad;
	char first_bad[96];
};

static struct ebpf_stage *stage;
static struct ebpf_kernel *kernel;
static struct ebpf_table *table;
static const struct environment env;
static struct load *load;
static pid_t clients[N_CLIENTS];

static double now_sec(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Datagrams come from one socket, which keeps its endpoint, and from new ones by turns. */
static void ask_forever(int type)
{
	int kept = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	for (unsigned i = 0; !load->is_over; i++) {
		bool is_kept = type == SOCK_DGRAM && i % 2;
		const char *answer =
			is_kept ? ebpf_ask_on(kept, VIP) : ebpf_ask(type, VIP);

		if (strncmp(answer, "10.244.0.", 9) == 0) {
			load->n_good++;
			continue;
		}
		if (load->n_bad++ == 0)
			(void)snprintf(load->first_bad, sizeof(load->first_bad), "%s",
				       answer);
	}
	_exit(0);
}

static void start_load(void)
{
	load->is_over = false;
	load->n_good = load->n_bad = 0;
	load->n_ready = 0;
	for (int i = 0; i < N_CLIENTS; i++) {
		clients[i] = fork();
		assert_true(clients[i] >= 0);
		if (clients[i] == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			(void)close_range(3, ~0u, 0); /* the lock on the pins */
			load->n_ready++;
			ask_forever(i % 2 ? SOCK_DGRAM : SOCK_STREAM);
		}
	}
	while (load->n_ready < N_CLIENTS || load->n_good + load->n_bad < 20)
		(void)usleep(1000);
}

static void end_load(const char *what, unsigned long n_changes)
{
	unsigned long n = load->n_good;

	while (load->n_good < n + 20 &&
	       !load->n_bad) /* some after the last change, too */
		(void)usleep(1000);
	load->is_over = true;
	for (int i = 0; i < N_CLIENTS; i++)
		(void)waitpid(clients[i], NULL, 0);
	print_message(
		"%s: %lu connections and datagrams during %lu changes, %lu failed\n",
		what, (unsigned long)load->n_good, n_changes, (unsigned long)load->n_bad);
	if (load->n_bad)
		print_message("first: %s\n", load->first_bad);
	assert_int_equal(load->n_bad, 0);
	assert_true(n_changes > 0);
}

static void apply(struct service *old, struct service *new)
{
	struct change change = {old, new};
	struct changeset cs = {.env = &env, .changes = &change, .n = 1};

	assert_int_equal(ebpf_table_apply(table, &cs), 0);
}

static void change_vip(uint8_t proto, const char *endpoints, uint32_t affinity_sec)
{
	struct service *next = short_service(proto == IPPROTO_TCP ? "tcp" : "udp", proto,
					     VIP, endpoints);

	next->affinity_sec = affinity_sec;
	apply(NULL, next);
	service_unref(next);
}

static void open_kernel(void)
{
	struct ebpf_params params = ebpf_stage_params(stage);
	_cleanup_(freep) char *why = NULL;

	if (ebpf_kernel_open(&params, &kernel, &why) != 0)
		fail_msg("%s", why);
	table = ebpf_table_new(kernel);
}

static void close_kernel(void)
{
	ebpf_table_free(table);
	ebpf_kernel_close(kernel);
}

static void apply_all(void)
{
	struct service *tcp = short_service("tcp", IPPROTO_TCP, VIP, A1 " " A2 " " A3),
		       *udp = short_service("udp", IPPROTO_UDP, VIP, A1 " " A2 " " A3);
	struct change changes[] = {{NULL, tcp}, {NULL, udp}};
	struct changeset cs = {.full = true, .env = &env, .changes = changes, .n = 2};
	unsigned n;

	assert_int_equal(ebpf_table_apply(table, &cs), 0);
	assert_int_equal(ebpf_kernel_attach(kernel, &n), 0);
	service_unref(tcp);
	service_unref(udp);
}

static int set_up(void **state)
{
	(void)state;
	open_kernel();
	apply_all();
	start_load();
	return 0;
}

static int tear_down(void **state)
{
	unsigned n;

	(void)state;
	load->is_over = true;
	close_kernel();
	assert_int_equal(ebpf_kernel_cleanup(stage->bpffs, &n), 0);
	return 0;
}

static void no_connection_fails_while_a_pool_changes(void **state)
{
	static const char *const pools[] = {A1, A2 " " A3, A1 " " A2 " " A3, A3};
	double end = now_sec() + LOAD_SEC;
	unsigned long n = 0;

	(void)state;
	for (; now_sec() < end; n++)
		change_vip(n % 2 ? IPPROTO_TCP : IPPROTO_UDP,
			   pools[n / 2 % N_ELEMENTS(pools)], 0);
	end_load("pool", n);
}

static void no_connection_fails_while_other_frontends_come_and_go(void **state)
{
	double end = now_sec() + LOAD_SEC;
	unsigned long n = 0;

	(void)state;
	while (now_sec() < end) {
		struct service *others[N_CHURNED];

		for (int i = 0; i < N_CHURNED; i++) {
			char name[16], frontend[32];

			(void)snprintf(name, sizeof(name), "o%d", i);
			(void)snprintf(frontend, sizeof(frontend), "10.97.%d.%lu:80", i,
				       n % 200);
			others[i] = short_service(name, IPPROTO_TCP, frontend, B1);
			apply(NULL, others[i]);
		}
		for (int i = 0; i < N_CHURNED; i++) {
			apply(others[i], NULL);
			service_unref(others[i]);
		}
		n++;
	}
	end_load("other frontends", n * N_CHURNED * 2);
}

/*
 * Sockets and bindings hold the numbers of endpoints that go, and another
 * service gets these numbers: its endpoint must not answer.
 */
static void no_binding_leads_to_another_service_that_gets_its_numbers(void **state)
{
	static const char *const pools[] = {A1 " " A2, A3, A2 " " A3, A1};
	double end = now_sec() + LOAD_SEC;
	unsigned long n = 0;

	/* each round gives some back, and they are used again when there are no others */
	for (; now_sec() < end || n < ebpf_kernel_sizes(kernel).endpoints; n++) {
		const char *pool = pools[n % N_ELEMENTS(pools)];
		struct service *other;
		char frontend[32];

		(void)snprintf(frontend, sizeof(frontend), "10.97.%lu.%lu:80",
			       n / 250 % 250, n % 250);
		other = short_service("other", IPPROTO_UDP, frontend, B1);
		change_vip(IPPROTO_TCP, pool, AFFINITY_SEC);
		change_vip(IPPROTO_UDP, pool, AFFINITY_SEC);
		apply(NULL, other);
		apply(other, NULL);
		service_unref(other);
	}
	end_load("numbers", n);
}

static void no_connection_fails_while_the_maps_grow(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct ebpf_sizes more = ebpf_kernel_sizes(kernel);

		more.frontends *= 2;
		more.services *= 2;
		more.slots *= 2;
		more.endpoints *= 2;
		assert_int_equal(ebpf_kernel_grow(kernel, &more), 0);
	}
	end_load("growth", 4);
}

static void no_connection_fails_while_daemons_follow_each_other(void **state)
{
	double end = now_sec() + LOAD_SEC;
	unsigned long n = 0;

	(void)state;
	for (; now_sec() < end; n++) {
		close_kernel(); /* what kill -9 leaves is the same */
		open_kernel();
		apply_all();
	}
	end_load("restart", n);
}

static void no_connection_fails_while_another_layout_takes_over(void **state)
{
	unsigned long n = 0;

	(void)state;
	for (; n < 5; n++) {
		_cleanup_(freep) char *path = xasprintf("%s/sluice/meta", stage->bpffs);

		close_kernel();
		assert_int_equal(unlink(path),
				 0); /* maps without a version are not ours */
		open_kernel();
		apply_all();
	}
	end_load("layout", n);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(no_connection_fails_while_a_pool_changes,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			no_connection_fails_while_other_frontends_come_and_go, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			no_binding_leads_to_another_service_that_gets_its_numbers, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(no_connection_fails_while_the_maps_grow,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			no_connection_fails_while_daemons_follow_each_other, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			no_connection_fails_while_another_layout_takes_over, set_up,
			tear_down),
	};
	int n_failed;

	stage = ebpf_stage_enter();
	if (!stage)
		return TEST_SKIPPED;
	load = mmap(NULL, sizeof(*load), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(load, MAP_FAILED);
	ebpf_stage_serve(A1 " " A2 " " A3 " " B1);
	n_failed = cmocka_run_group_tests(tests, NULL, NULL);
	ebpf_stage_leave(stage);
	return n_failed;
}
