/*
 * The state keeps frontends unique and reports exactly the changes.
 */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/state.h"
#include "tests/unit/core_samples.h"

DEFINE_CLEANUP(struct state *, state_free);
#define _state_ _cleanup_(state_freep) struct state
#define _taken_ _cleanup_(state_taken_fini) struct state_taken

/* One Kubernetes Service with one unnamed port. */
static void put(struct state *st, const char *name, const char *frontends,
		const char *endpoints)
{
	state_replace(st, "default", name,
		      (struct service *[]){
			      sample_service(name, "", frontends, endpoints)},
		      1);
}

static void drop(struct state *st, const char *name)
{
	state_replace(st, "default", name, NULL, 0);
}

/* "name:port-name", or "" without a holder. */
static const char *holder_of(const struct state *st, const char *place)
{
	static char label[128];
	const struct frontend *f = NULL;
	const struct service *s;
	struct addr addr;
	uint16_t port;

	assert_int_equal(addr_port_parse(place, &addr, &port), 0);
	s = state_find_frontend(st, &addr, IPPROTO_TCP, port, &f);
	if (!s)
		return "";
	assert_true(addr_equal(&f->addr, &addr));
	assert_int_equal(f->port, port);
	return service_label(s, label, sizeof(label));
}

/* One line for each change: "-old +new", in order of labels. */
static int compare_lines(const void *a, const void *b)
{
	return strcmp(a, b);
}

#define LINE_LEN 128

static void describe(char *buf, size_t len, char sign, const struct service *s)
{
	char label[64];

	(void)snprintf(buf, len, " %c%s(%u,%u)", sign,
		       service_label(s, label, sizeof(label)), s->n_frontends,
		       s->n_endpoints);
}

static const char *changes_of(struct state *st)
{
	static char text[4096];
	char lines[32][LINE_LEN];
	_taken_ taken = state_take(st, false);

	assert_true(taken.n <= N_ELEMENTS(lines));
	assert_false(taken.full);
	text[0] = '\0';
	for (size_t i = 0; i < taken.n; i++) {
		const struct change *c = &taken.changes[i];

		lines[i][0] = '\0';
		if (c->old)
			describe(lines[i], LINE_LEN, '-', c->old);
		if (c->new)
			describe(lines[i] + strlen(lines[i]), LINE_LEN / 2, '+', c->new);
	}
	qsort(lines, taken.n, LINE_LEN, compare_lines);
	for (size_t i = 0; i < taken.n; i++) {
		strcat(text, i ? ";" : "");
		strcat(text, lines[i]);
	}
	return text;
}

static void an_empty_state_has_no_changes(void **state)
{
	_state_ *st = state_new();

	(void)state;
	assert_false(state_has_changes(st));
	assert_string_equal(changes_of(st), "");
	drop(st, "unknown");
	assert_false(state_has_changes(st));
	assert_int_equal(state_n_services(st), 0);
}

static void a_service_is_added_changed_and_deleted(void **state)
{
	_state_ *st = state_new();

	(void)state;
	put(st, "a", "1.1.1.1:80", "2.2.2.2:80");
	assert_true(state_has_changes(st));
	assert_string_equal(changes_of(st), " +default/a(1,1)");
	put(st, "a", "1.1.1.1:80", "2.2.2.2:80 2.2.2.3:80");
	assert_string_equal(changes_of(st), " -default/a(1,1) +default/a(1,2)");
	put(st, "a", "1.1.1.1:80 1.1.1.2:80", "2.2.2.2:80 2.2.2.3:80");
	assert_string_equal(changes_of(st), " -default/a(1,2) +default/a(2,2)");
	assert_string_equal(holder_of(st, "1.1.1.2:80"), "default/a");
	drop(st, "a");
	assert_string_equal(changes_of(st), " -default/a(2,2)");
	assert_string_equal(holder_of(st, "1.1.1.1:80"), "");
	assert_int_equal(state_n_services(st), 0);
}

static void an_update_without_a_change_is_not_taken(void **state)
{
	_state_ *st = state_new();

	(void)state;
	put(st, "a", "1.1.1.1:80", "2.2.2.2:80 2.2.2.3:80");
	(void)changes_of(st);
	put(st, "a", "1.1.1.1:80", "2.2.2.3:80 2.2.2.2:80");
	assert_false(state_has_changes(st));
}

static void several_changes_are_taken_as_one(void **state)
{
	_state_ *st = state_new();

	(void)state;
	put(st, "a", "1.1.1.1:80", "2.2.2.1:1");
	(void)changes_of(st);
	put(st, "a", "1.1.1.1:80", "2.2.2.1:1 2.2.2.2:1");
	put(st, "a", "1.1.1.1:80", "2.2.2.1:1 2.2.2.2:1 2.2.2.3:1");
	assert_string_equal(changes_of(st), " -default/a(1,1) +default/a(1,3)");
}

static void a_change_that_is_reverted_is_not_taken(void **state)
{
	_state_ *st = state_new();

	(void)state;
	put(st, "new", "1.1.1.2:80", "");
	drop(st, "new");
	assert_false(state_has_changes(st));

	put(st, "a", "1.1.1.1:80", "2.2.2.1:1");
	(void)changes_of(st);
	drop(st, "a");
	assert_true(state_has_changes(st));
	put(st, "a", "1.1.1.1:80", "2.2.2.1:1");
	assert_false(state_has_changes(st));
	put(st, "a", "1.1.1.9:80", "");
	put(st, "a", "1.1.1.1:80", "2.2.2.1:1");
	assert_string_equal(changes_of(st), "");
	assert_string_equal(holder_of(st, "1.1.1.1:80"), "default/a");
}

static void a_deleted_and_added_service_is_taken_as_a_change(void **state)
{
	_state_ *st = state_new();

	(void)state;
	put(st, "a", "1.1.1.1:80", "2.2.2.1:1");
	(void)changes_of(st);
	drop(st, "a");
	put(st, "a", "1.1.1.1:80", "");
	assert_string_equal(changes_of(st), " -default/a(1,1) +default/a(1,0)");
}

static void ports_of_a_service_are_added_and_deleted_separately(void **state)
{
	_state_ *st = state_new();

	(void)state;
	state_replace(st, "default", "a",
		      (struct service *[]){
			      sample_service("a", "http", "1.1.1.1:80", "2.2.2.1:1"),
			      sample_service("a", "dns", "1.1.1.1:53", "2.2.2.1:2")},
		      2);
	assert_string_equal(changes_of(st), " +default/a:dns(1,1); +default/a:http(1,1)");
	state_replace(st, "default", "a",
		      (struct service *[]){
			      sample_service("a", "ftp", "1.1.1.1:21", "2.2.2.1:1"),
			      sample_service("a", "http", "1.1.1.1:80", "2.2.2.1:1")},
		      2);
	assert_string_equal(changes_of(st), " +default/a:ftp(1,1); -default/a:dns(1,1)");
	assert_int_equal(state_n_services(st), 2);
}

static void deleting_a_service_keeps_names_that_start_with_its_name(void **state)
{
	_state_ *st = state_new();

	(void)state;
	put(st, "a", "1.1.1.1:80", "");
	put(st, "ab", "1.1.1.2:80", "");
	drop(st, "a");
	assert_int_equal(state_n_services(st), 1);
	assert_string_equal(holder_of(st, "1.1.1.2:80"), "default/ab");
}

static void a_full_take_has_all_services_and_empties_the_delta(void **state)
{
	_state_ *st = state_new();

	(void)state;
	put(st, "a", "1.1.1.1:80", "");
	(void)changes_of(st);
	put(st, "b", "1.1.1.2:80", "");
	put(st, "c", "1.1.1.3:80", "");
	drop(st, "a");
	{
		_taken_ taken = state_take(st, true);

		assert_true(taken.full);
		assert_int_equal(taken.n, 2);
		for (size_t i = 0; i < taken.n; i++) {
			assert_null(taken.changes[i].old);
			assert_int_equal(taken.changes[i].new->n_frontends, 1);
		}
		assert_false(state_has_changes(st));
		/* A take stays valid during later changes. */
		drop(st, "b");
		assert_string_equal(service_namespace(taken.changes[0].new), "default");
	}
	assert_string_equal(changes_of(st), " -default/b(1,0)");
}

static void a_frontend_goes_to_the_first_claim(void **state)
{
	_state_ *st = state_new();

	(void)state;
	put(st, "first", "9.9.9.9:80 1.1.1.1:80", "");
	put(st, "second", "9.9.9.9:80 1.1.1.2:80", "");
	assert_string_equal(holder_of(st, "9.9.9.9:80"), "default/first");
	assert_string_equal(changes_of(st), " +default/first(2,0); +default/second(1,0)");
}

static void the_oldest_waiting_claim_takes_over_in_the_same_take(void **state)
{
	_state_ *st = state_new();

	(void)state;
	put(st, "a", "9.9.9.9:80", "");
	put(st, "b", "9.9.9.9:80", "");
	put(st, "c", "9.9.9.9:80", "");
	(void)changes_of(st);
	drop(st, "a");
	assert_string_equal(holder_of(st, "9.9.9.9:80"), "default/b");
	assert_string_equal(changes_of(st),
			    " -default/a(1,0); -default/b(0,0) +default/b(1,0)");
	/* a comes back behind c. */
	put(st, "a", "9.9.9.9:80", "");
	put(st, "b", "", "");
	assert_string_equal(holder_of(st, "9.9.9.9:80"), "default/c");
	drop(st, "c");
	assert_string_equal(holder_of(st, "9.9.9.9:80"), "default/a");
}

static void an_update_keeps_the_place_of_a_waiting_claim(void **state)
{
	_state_ *st = state_new();

	(void)state;
	put(st, "a", "9.9.9.9:80", "");
	put(st, "b", "9.9.9.9:80", "");
	put(st, "c", "9.9.9.9:80", "");
	put(st, "a", "9.9.9.9:80 1.1.1.1:1", "2.2.2.2:2");
	put(st, "b", "8.8.8.8:8 9.9.9.9:80", "");
	assert_string_equal(holder_of(st, "9.9.9.9:80"), "default/a");
	drop(st, "a");
	assert_string_equal(holder_of(st, "9.9.9.9:80"), "default/b");
}

static void a_renamed_port_keeps_its_frontends(void **state)
{
	_state_ *st = state_new();

	(void)state;
	state_replace(st, "default", "a",
		      (struct service *[]){sample_service("a", "old", "9.9.9.9:80", "")},
		      1);
	put(st, "b", "9.9.9.9:80", "");
	(void)changes_of(st);
	state_replace(st, "default", "a",
		      (struct service *[]){sample_service("a", "new", "9.9.9.9:80", "")},
		      1);
	assert_string_equal(holder_of(st, "9.9.9.9:80"), "default/a:new");
	assert_string_equal(changes_of(st), " +default/a:new(1,0); -default/a:old(1,0)");
}

static void ports_of_one_service_may_conflict_with_each_other(void **state)
{
	_state_ *st = state_new();
	_cleanup_(freep) struct state_conflict *conflicts = NULL;
	size_t n;

	(void)state;
	state_replace(st, "default", "a",
		      (struct service *[]){sample_service("a", "z", "9.9.9.9:80", ""),
					   sample_service("a", "y", "9.9.9.9:80", ""),
					   sample_service("a", "y", "7.7.7.7:7", "")},
		      3);
	assert_string_equal(holder_of(st, "9.9.9.9:80"), "default/a:z");
	assert_string_equal(holder_of(st, "7.7.7.7:7"), "");
	assert_int_equal(state_n_services(st), 2);
	conflicts = state_conflicts(st, &n);
	assert_int_equal(n, 1);
	assert_string_equal(service_port_name(conflicts[0].holder), "z");
	assert_string_equal(service_port_name(conflicts[0].waiting), "y");
}

static void one_service_may_claim_an_address_as_two_kinds(void **state)
{
	struct frontend f[] = {
		{.kind = FRONTEND_LOAD_BALANCER,
		 .addr = sample_addr("9.9.9.9"),
		 .port = 80},
		{.kind = FRONTEND_EXTERNAL_IP,
		 .addr = sample_addr("9.9.9.9"),
		 .port = 80},
	};
	struct service_spec spec = {.ns = "default",
				    .name = "a",
				    .port_name = "",
				    .proto = IPPROTO_TCP,
				    .frontends = f,
				    .n_frontends = 2};
	_state_ *st = state_new();
	const struct frontend *held;

	(void)state;
	state_replace(st, "default", "a", (struct service *[]){service_new(&spec)}, 1);
	assert_string_equal(changes_of(st), " +default/a(1,0)");
	assert_non_null(state_find_frontend(st, &f[0].addr, IPPROTO_TCP, 80, &held));
	assert_int_equal(held->kind, FRONTEND_EXTERNAL_IP);
	spec.n_frontends = 1;
	state_replace(st, "default", "a", (struct service *[]){service_new(&spec)}, 1);
	assert_non_null(state_find_frontend(st, &f[0].addr, IPPROTO_TCP, 80, &held));
	assert_int_equal(held->kind, FRONTEND_LOAD_BALANCER);
}

static void equal_ports_of_different_protocols_do_not_conflict(void **state)
{
	const struct frontend f = {.addr = sample_addr("9.9.9.9"), .port = 80};
	_state_ *st = state_new();
	size_t n;

	(void)state;
	put(st, "a", "9.9.9.9:80", "");
	state_replace(st, "default", "b",
		      (struct service *[]){
			      service_new(&(struct service_spec){.ns = "default",
								 .name = "b",
								 .port_name = "",
								 .proto = IPPROTO_UDP,
								 .frontends = &f,
								 .n_frontends = 1})},
		      1);
	free(state_conflicts(st, &n));
	assert_int_equal(n, 0);
	assert_non_null(state_find_frontend(st, &f.addr, IPPROTO_UDP, 80, NULL));
	assert_null(state_find_frontend(st, &f.addr, IPPROTO_SCTP, 80, NULL));
}

static void conflicts_are_listed_in_order(void **state)
{
	static const struct {
		const char *place, *holder, *waiting;
	} expected[] = {
		{"5.5.5.5:1", "c", "a"},
		{"5.5.5.5:1", "c", "b"},
		{"5.5.5.5:2", "c", "b"},
		{"9.9.9.9:1", "b", "c"},
	};
	_state_ *st = state_new();
	_cleanup_(freep) struct state_conflict *conflicts = NULL;
	size_t n;

	(void)state;
	put(st, "b", "9.9.9.9:1", "");
	put(st, "c", "9.9.9.9:1 5.5.5.5:1 5.5.5.5:2", "");
	put(st, "b", "9.9.9.9:1 5.5.5.5:2 5.5.5.5:1", "");
	put(st, "a", "5.5.5.5:1", "");
	conflicts = state_conflicts(st, &n);
	assert_int_equal(n, N_ELEMENTS(expected));
	for (size_t i = 0; i < n; i++) {
		const struct frontend *f = &conflicts[i].frontend;
		char buf[ADDR_PORT_TEXT_LEN];

		assert_string_equal(addr_port_format(&f->addr, f->port, buf),
				    expected[i].place);
		assert_string_equal(service_name(conflicts[i].holder),
				    expected[i].holder);
		assert_string_equal(service_name(conflicts[i].waiting),
				    expected[i].waiting);
	}
}

static void services_are_listed_in_key_order(void **state)
{
	_state_ *st = state_new();
	_cleanup_(freep) const struct service **sorted = NULL;
	size_t n;

	(void)state;
	put(st, "c", "", "");
	put(st, "a", "", "");
	put(st, "b", "", "");
	sorted = state_sorted(st, &n);
	assert_int_equal(n, 3);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(*service_name(sorted[i]), "abc"[i]);
}

static void a_service_is_found_by_name_family_and_protocol(void **state)
{
	_state_ *st = state_new();
	const struct service *found;
	struct state_taken taken;

	(void)state;
	put(st, "web", "10.96.0.1:80", "10.0.0.1:80");
	put(st, "web2", "10.96.0.2:80", "10.0.0.2:80");
	found = state_find_service(st, "default", "web", FAMILY_IPV4, IPPROTO_TCP);
	assert_non_null(found);
	assert_string_equal(service_name(found), "web");
	assert_null(state_find_service(st, "default", "web", FAMILY_IPV6, IPPROTO_TCP));
	assert_null(state_find_service(st, "default", "web", FAMILY_IPV4, IPPROTO_UDP));
	assert_null(state_find_service(st, "default", "we", FAMILY_IPV4, IPPROTO_TCP));
	taken = state_take(st, false);
	state_taken_fini(&taken);
	drop(st, "web"); /* it is in the table until the next take */
	assert_null(state_find_service(st, "default", "web", FAMILY_IPV4, IPPROTO_TCP));
}

static void thousands_of_claims_may_wait_for_one_frontend(void **state)
{
	_state_ *st = state_new();
	char name[32], expected[48];

	(void)state;
	for (int i = 0; i < 5000; i++) {
		(void)snprintf(name, sizeof(name), "s%d", i);
		put(st, name, "9.9.9.9:80", "");
	}
	for (int i = 0; i < 4999; i++) {
		(void)snprintf(name, sizeof(name), "s%d", i);
		drop(st, name);
		(void)snprintf(expected, sizeof(expected), "default/s%d", i + 1);
		assert_string_equal(holder_of(st, "9.9.9.9:80"), expected);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_state_has_no_changes),
		cmocka_unit_test(a_service_is_added_changed_and_deleted),
		cmocka_unit_test(an_update_without_a_change_is_not_taken),
		cmocka_unit_test(several_changes_are_taken_as_one),
		cmocka_unit_test(a_change_that_is_reverted_is_not_taken),
		cmocka_unit_test(a_deleted_and_added_service_is_taken_as_a_change),
		cmocka_unit_test(ports_of_a_service_are_added_and_deleted_separately),
		cmocka_unit_test(deleting_a_service_keeps_names_that_start_with_its_name),
		cmocka_unit_test(a_full_take_has_all_services_and_empties_the_delta),
		cmocka_unit_test(a_frontend_goes_to_the_first_claim),
		cmocka_unit_test(the_oldest_waiting_claim_takes_over_in_the_same_take),
		cmocka_unit_test(an_update_keeps_the_place_of_a_waiting_claim),
		cmocka_unit_test(a_renamed_port_keeps_its_frontends),
		cmocka_unit_test(ports_of_one_service_may_conflict_with_each_other),
		cmocka_unit_test(one_service_may_claim_an_address_as_two_kinds),
		cmocka_unit_test(equal_ports_of_different_protocols_do_not_conflict),
		cmocka_unit_test(conflicts_are_listed_in_order),
		cmocka_unit_test(services_are_listed_in_key_order),
		cmocka_unit_test(a_service_is_found_by_name_family_and_protocol),
		cmocka_unit_test(thousands_of_claims_may_wait_for_one_frontend),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
