/*
 * Another process changes our tables, under load: sluice is notified by the kernel
 * and puts it right, without a timer.  How long clients notice is measured by
 * one that tries all the time.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "tests/kernel/instance.h"
#include "tests/kernel/load.h"
#include "tests/kernel/traffic.h"
#include "tests/test.h"

#define N_ROUNDS      5
#define N_ROUNDS_MAX  15
#define REPAIR_US     100000
#define INSISTED_US   2000000
#define PROBE_MS      5
#define GIVE_UP_US    60000000
#define STEADY_TRIES  20
#define N_USES_MAX    8
#define PER_SECOND    400     /* connections of all uses */
#define N_AFTER	      50      /* connections after a repair, before the next one */
#define ONE_RESEND_US 1900000 /* a SYN that was lost is sent again after 1 s, then 2 s */

static struct instance *sluice;

static const struct manifest_service services[] = {
	{.name = "web", .ip = "svc10", .ports = "p 80>80", .endpoints = "pod1R far1R"},
	{.name = "other", .ip = "svc11", .ports = "p 80>80", .endpoints = "pod2R"},
	{.name = "outside",
	 .type = "LoadBalancer",
	 .ip = "svc12",
	 .ports = "p 80>80@3002",
	 .vips = "vip4",
	 .endpoints = "pod3R"},
};

static int start(void **state)
{
	/* it is sluice's time that is measured, not the queue for a busy processor */
	(void)setpriority(PRIO_PROCESS, 0, -15);
	world_setup(state);
	sluice = instance_new(*state);
	instance_put(sluice, services, N_ELEMENTS(services));
	instance_start(sluice, NULL);
	return 0;
}

static int stop(void **state)
{
	instance_free(sluice);
	return world_teardown(state);
}

static int compare_times(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static pid_t run_aside(const struct world *w, const char *command)
{
	pid_t pid = world_fork(w, PLACE_NODE);

	if (!pid) {
		(void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	return pid;
}

static void must_have_succeeded(int status, const char *command)
{
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		fail_msg("wait status %#x: %s", status, command);
}

/*
 * From the first connection that fails to the first of a steady row that don't.
 * 0 when it went too fast to be seen.
 */
static uint64_t measure_outage(const struct world *w, const char *command)
{
	struct target t = target_named("client", "svc10:80", IPPROTO_TCP, FAMILY_IPV4);
	uint64_t start_us = world_now_us(), down_us = 0, up_us = 0;
	pid_t pid = run_aside(w, command);
	int n_good = 0, status;

	while (pid || n_good < STEADY_TRIES) {
		uint64_t before_us = world_now_us();
		bool good = probe(w, &t, PROBE_MS).outcome == PROBE_ANSWERED;

		if (!good && !down_us)
			down_us = before_us;
		if (good && !n_good)
			up_us = before_us;
		n_good = good ? n_good + 1 : 0;
		if (pid && waitpid(pid, &status, WNOHANG) == pid) {
			must_have_succeeded(status, command);
			n_good = pid = 0;
		}
		if (before_us - start_us > GIVE_UP_US)
			instance_fail(sluice, "never repaired: %s", command);
	}
	return down_us ? up_us - down_us : 0;
}

static void wait_no_difference(void)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	uint64_t start_us = world_now_us();

	while (instance_command(sluice, "diff", &out)) {
		if (world_now_us() - start_us > GIVE_UP_US)
			instance_fail(sluice, "still different: %s", buf_string(&out));
		buf_clear(&out);
		world_sleep_ms(5);
	}
}

/* One that has repaired much lately takes its time; each round is to be the first. */
static void restart(void)
{
	(void)instance_end(sluice, SIGTERM);
	instance_start(sluice, NULL);
}

static void repairs_in_time(const struct world *w, const char *command)
{
	static const struct traffic_row rows[] = {
		{"pod4", "svc10:80", "pod1:80 far1:80", NULL},
		{"client", "svc11:80", "pod2:80 +m", NULL},
	};
	const struct load_plan plan = {
		.target = target_named("client", "svc11:80", IPPROTO_TCP, FAMILY_IPV4),
		.per_second = 200,
	};
	struct load *load = load_start(w, &plan);
	struct load_result result;
	uint64_t took_us[N_ROUNDS_MAX], max_us = REPAIR_US * world_patience();
	int n = 0;

	/* the quick ones show the time of sluice, the others a busy machine */
	while (n < N_ROUNDS || (took_us[1] > max_us && n < N_ROUNDS_MAX)) {
		restart();
		took_us[n++] = measure_outage(w, command);
		wait_no_difference();
		qsort(took_us, (size_t)n, sizeof(took_us[0]), compare_times);
	}
	result = load_stop(load);
	/*
	 * Flows that passed untranslated are kept so by conntrack; a process that gets the
	 * same port again within two minutes would be refused.
	 */
	world_must(w, PLACE_NODE, "conntrack -F 2>/dev/null");
	print_message(
		"%s: clients notice for %.1f ms (median of %d; %.1f to %.1f); of %lu "
		"connections %lu failed\n",
		command, (double)took_us[n / 2] / 1000, n, (double)took_us[0] / 1000,
		(double)took_us[n - 1] / 1000, (unsigned long)result.n_connections,
		(unsigned long)(result.n_refused + result.n_failed + result.n_silent));
	traffic_check(w, rows, N_ELEMENTS(rows));
	assert_in_range(took_us[1], 0, max_us);
}

static void a_flushed_ruleset_is_repaired(void **state)
{
	repairs_in_time(*state, "nft flush ruleset");
}

static void a_deleted_table_is_repaired(void **state)
{
	repairs_in_time(*state, "nft delete table ip sluice");
}

static void a_flushed_chain_is_repaired(void **state)
{
	repairs_in_time(*state, "nft flush chain ip sluice nat-prerouting");
}

static void a_removed_frontend_is_repaired(void **state)
{
	repairs_in_time(*state, "nft delete element ip sluice frontends "
				"'{ 172.30.0.10 . tcp . 80 }'");
}

static void a_flushed_map_is_repaired(void **state)
{
	repairs_in_time(*state, "nft flush map ip sluice endpoints");
}

/* An address that a client uses all the time. */
struct use {
	const char *from, *to;
	enum family family;
};

/* One change of both families; the results of all uses. */
static void load_through_repair(const struct world *w, const struct use *uses, size_t n,
				const char *command, struct load_result *ret)
{
	struct load *loads[N_USES_MAX];

	assert_in_range(n, 1, N_USES_MAX);
	restart();
	for (size_t i = 0; i < n; i++) {
		const struct load_plan plan = {
			.target = target_named(uses[i].from, uses[i].to, IPPROTO_TCP,
					       uses[i].family),
			.per_second = (unsigned)(PER_SECOND / n),
		};

		loads[i] = load_start(w, &plan);
	}
	world_must(w, PLACE_NODE, "nft '%s'", command);
	wait_no_difference();
	for (size_t i = 0; i < n; i++)
		load_wait(loads[i], N_AFTER);
	for (size_t i = 0; i < n; i++)
		ret[i] = load_stop(loads[i]);
}

static void print_use(const char *command, const struct use *use,
		      const struct load_result *r)
{
	print_message(
		"%s: %s to %s, %s: of %lu connections %lu refused, %lu came "
		"through at a later try, worst %.0f ms; %lu silent, %lu failed%s%s\n",
		command, use->from, use->to, family_name(use->family),
		(unsigned long)r->n_connections, (unsigned long)r->n_refused,
		(unsigned long)r->n_slow, (double)r->worst_us / 1000,
		(unsigned long)r->n_silent, (unsigned long)r->n_failed,
		*r->first_error ? ": " : "", r->first_error);
}

static bool came_through_at_second_try(const struct load_result *r)
{
	return r->n_slow && r->worst_us <= ONE_RESEND_US &&
	       !(r->n_refused + r->n_failed + r->n_silent);
}

/*
 * A SYN that nothing translated is remembered as such, and all that are sent again
 * would go the same way.  Each way to take a part of the rules away, until in each
 * family one round failed a connection and was repaired before its second try.
 */
static void a_packet_sent_during_the_repair_arrives_at_its_second_try(void **state)
{
	static const char *const commands[] = {
		("flush chain ip sluice nat-prerouting; flush chain ip6 sluice "
		 "nat-prerouting"),
		"flush chain ip sluice dispatch; flush chain ip6 sluice dispatch",
		"flush chain ip sluice pick-1; flush chain ip6 sluice pick-1",
		"flush map ip sluice frontends; flush map ip6 sluice frontends",
		"flush map ip sluice endpoints; flush map ip6 sluice endpoints",
		"delete table ip sluice; delete table ip6 sluice",
	};
	static const struct use uses[FAMILY_N] = {
		{"pod4", "vip4:80", FAMILY_IPV4},
		{"pod4", "vip4:80", FAMILY_IPV6},
	};

	for (size_t i = 0; i < N_ELEMENTS(commands); i++) {
		bool is_good[FAMILY_N] = {false};

		for (int n = 0; n < N_ROUNDS_MAX && !(is_good[0] && is_good[1]); n++) {
			struct load_result r[FAMILY_N];

			load_through_repair(*state, uses, FAMILY_N, commands[i], r);
			for (int f = 0; f < FAMILY_N; f++) {
				print_use(commands[i], &uses[f], &r[f]);
				is_good[f] |= came_through_at_second_try(&r[f]);
			}
		}
		assert_true(is_good[FAMILY_IPV4] && is_good[FAMILY_IPV6]);
	}
}

/* Refused or served: no client waits for an answer to a SYN that nothing translated. */
static void after_a_partial_flush_no_connection_times_out(void **state)
{
	static const char *const commands[] = {
		("flush chain ip sluice nat-prerouting; flush chain ip6 sluice "
		 "nat-prerouting"),
		"flush chain ip sluice nat-output; flush chain ip6 sluice nat-output",
		"flush map ip sluice endpoints; flush map ip6 sluice endpoints",
	};
	static const struct use uses[N_USES_MAX] = {
		{"client", "svc10:80", FAMILY_IPV4},  {"client", "vip4:80", FAMILY_IPV6},
		{"client", "node:3002", FAMILY_IPV4}, {"pod4", "svc10:80", FAMILY_IPV6},
		{"pod4", "node:3002", FAMILY_IPV4},   {"node3", "svc10:80", FAMILY_IPV6},
		{"node3", "vip4:80", FAMILY_IPV4},    {"node3", "node:3002", FAMILY_IPV6},
	};

	/* a busy machine loses a SYN itself; the others show the repair */
	for (size_t i = 0; i < N_ELEMENTS(commands); i++) {
		uint64_t worst_us = UINT64_MAX;

		for (int n = 0; n < N_ROUNDS_MAX && worst_us > ONE_RESEND_US; n++) {
			struct load_result r[N_USES_MAX];

			load_through_repair(*state, uses, N_USES_MAX, commands[i], r);
			world_must(*state, PLACE_NODE, "conntrack -F 2>/dev/null");
			worst_us = 0;
			for (size_t k = 0; k < N_USES_MAX; k++) {
				print_use(commands[i], &uses[k], &r[k]);
				assert_int_equal(r[k].n_silent + r[k].n_failed, 0);
				if (r[k].worst_us > worst_us)
					worst_us = r[k].worst_us;
			}
		}
		assert_in_range(worst_us, 0, ONE_RESEND_US);
	}
}

/* No host answers; conntrack keeps the untranslated flow. */
static void wait_remembered(const struct world *w, const struct target *t)
{
	uint64_t start_us = world_now_us();
	char text[ADDR_TEXT_LEN];

	while (world_run(w, PLACE_NODE,
			 "conntrack -L -f %s -p tcp --state SYN_SENT -d %s 2>/dev/null | "
			 "grep -q .",
			 t->family == FAMILY_IPV4 ? "ipv4" : "ipv6",
			 addr_format(&t->addr, text))) {
		if (world_now_us() - start_us > GIVE_UP_US)
			instance_fail(sluice, "nothing is known of a try");
		world_sleep_ms(5);
	}
}

/* Rules of other programs that use conntrack turn it on without ours. */
static void a_client_that_tried_before_the_first_start_gets_through(void **state)
{
	for (int family = 0; family < FAMILY_N; family++) {
		struct target t = target_named("client", "vip4:80", IPPROTO_TCP,
					       (enum family)family);
		pid_t pid;
		int status;

		(void)instance_end(sluice, SIGTERM);
		world_must(
			*state, PLACE_NODE,
			"nft 'flush ruleset; table inet others { chain c { type filter "
			"hook forward priority 10; ct state new counter; }; }'");
		pid = world_fork(*state, world_place(t.from));
		if (!pid)
			_exit(probe(*state, &t, GIVE_UP_US / 1000).outcome);
		wait_remembered(*state, &t);
		instance_start(sluice, NULL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), PROBE_ANSWERED);
	}
	world_must(*state, PLACE_NODE, "nft delete table inet others");
}

/* He is answered less and less often, but when he stops, all is well within a second or so. */
static void a_process_that_flushes_again_and_again_does_not_win(void **state)
{
	static const struct traffic_row row = {"pod4", "svc10:80", "pod1:80 far1:80",
					       NULL};
	uint64_t stopped_us;
	struct target t = target_named("pod4", "svc10:80", IPPROTO_TCP, FAMILY_IPV4);

	restart();
	world_must(*state, PLACE_NODE,
		   "for i in $(seq 50); do nft flush ruleset; done; nft flush ruleset");
	stopped_us = world_now_us();
	while (probe(*state, &t, PROBE_MS).outcome != PROBE_ANSWERED)
		if (world_now_us() - stopped_us > INSISTED_US * world_patience())
			instance_fail(sluice, "not repaired after the last flush");
	print_message("after 51 flushes, repaired in %.1f ms\n",
		      (double)(world_now_us() - stopped_us) / 1000);
	wait_no_difference();
	world_must(*state, PLACE_NODE, "conntrack -F 2>/dev/null");
	traffic_check(*state, &row, 1);
}

/* All but elements, which are compared by `diff`, in an order of its own. */
static void note_structure(const struct world *w, const char *file)
{
	world_must(
		w, PLACE_NODE,
		"for f in ip ip6; do nft -t -s list table $f sluice; done | sort >%s/%s",
		w->dir, file);
}

/* All kinds of objects in our tables that we did not make are removed. */
static const char *const foreign_things[] = {
	"add element ip sluice masquerade-always { 172.30.0.10 . tcp . 80 }",
	"add element ip6 sluice cluster-ips { fd00:172:30::99 }",
	"add element ip sluice frontends { * : drop }",
	"add element ip sluice frontends { 10.9.9.9 . tcp . 9 : goto refuse }",
	"add chain ip sluice pick-77",
	"add chain ip sluice a; add chain ip sluice b; add rule ip sluice a jump b;"
	"add rule ip sluice nat-prerouting jump a",
	"add chain ip sluice a { type filter hook forward priority 0; policy drop; }",
	"add chain ip sluice filter-forward { policy drop; }",
	"rename chain ip sluice pick-1 one",
	"add rule ip sluice dispatch ip saddr { 10.9.9.9, 10.9.9.8 } drop",
	"add chain ip sluice a; insert rule ip sluice dispatch ip saddr vmap { 10.9.9.9 "
	": "
	"jump a }",
	"add set ip6 sluice foreign { type ipv6_addr; }",
	"add map ip sluice foreign { type ipv4_addr : verdict; }; add chain ip sluice a;"
	"add element ip sluice foreign { 10.9.9.9 : jump a };"
	"add rule ip sluice dispatch ip saddr vmap @foreign",
	"add counter ip sluice foreign",
	"add quota ip6 sluice foreign { over 1 mbytes }",
	"add limit ip sluice foreign { rate 1/second }",
	"add counter ip sluice foreign; add rule ip sluice dispatch counter name foreign",
	"add counter ip sluice c; add map ip sluice m { type ipv4_addr : counter; };"
	"add element ip sluice m { 10.9.9.9 : \"c\" };"
	"add rule ip sluice dispatch counter name ip saddr map @m",
	"add table ip sluice { flags dormant; }",
};
/* Not every kernel has them. */
static const char foreign_flowtable[] =
	"add flowtable ip sluice foreign { hook ingress priority 0; devices = { lo }; }";

static void must_be_removed(const struct world *w, const char *thing)
{
	static const struct traffic_row rows[] = {
		{"pod4", "svc10:80", "pod1:80 far1:80", NULL},
		{"client", "svc11:80", "pod2:80 +m", NULL},
	};

	note_structure(w, "before");
	world_must(w, PLACE_NODE, "nft '%s'", thing);
	wait_no_difference();
	note_structure(w, "after");
	if (world_run(w, PLACE_NODE, "diff %s/before %s/after", w->dir, w->dir))
		instance_fail(sluice, "something is left of: %s", thing);
	traffic_check(w, rows, N_ELEMENTS(rows));
}

static void objects_added_by_another_process_are_removed(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(foreign_things); i++)
		must_be_removed(*state, foreign_things[i]);
}

static void a_flow_table_is_removed(void **state)
{
	if (world_run(*state, PLACE_NODE, "nft -c '%s' 2>/dev/null", foreign_flowtable)) {
		print_message("this kernel has no flow tables\n");
		skip();
	}
	must_be_removed(*state, foreign_flowtable);
}

static void foreign_tables_are_left_alone(void **state)
{
	static const char list[] = "nft list table inet others";

	world_must(*state, PLACE_NODE,
		   "nft 'table inet others { set s { type ipv4_addr; elements = { "
		   "10.9.9.9 }; }; chain c { ip saddr @s counter; }; }'; %s >%s/before",
		   list, ((struct world *)*state)->dir);
	instance_put(sluice, services, 1);
	instance_put(sluice, services, N_ELEMENTS(services));
	world_must(*state, PLACE_NODE, "nft flush chain ip sluice nat-prerouting");
	wait_no_difference();
	world_must(*state, PLACE_NODE,
		   "%s >%s/after; cmp %s/before %s/after && nft delete table inet others",
		   list, ((struct world *)*state)->dir, ((struct world *)*state)->dir,
		   ((struct world *)*state)->dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flushed_ruleset_is_repaired),
		cmocka_unit_test(a_deleted_table_is_repaired),
		cmocka_unit_test(a_flushed_chain_is_repaired),
		cmocka_unit_test(a_removed_frontend_is_repaired),
		cmocka_unit_test(a_flushed_map_is_repaired),
		cmocka_unit_test(
			a_packet_sent_during_the_repair_arrives_at_its_second_try),
		cmocka_unit_test(after_a_partial_flush_no_connection_times_out),
		cmocka_unit_test(a_client_that_tried_before_the_first_start_gets_through),
		cmocka_unit_test(a_process_that_flushes_again_and_again_does_not_win),
		cmocka_unit_test(objects_added_by_another_process_are_removed),
		cmocka_unit_test(a_flow_table_is_removed),
		cmocka_unit_test(foreign_tables_are_left_alone),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
