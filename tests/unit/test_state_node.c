/*
 * Frontends at all node addresses in a state: one claim and one frontend, and yet each
 * place has one holder, the service that claimed it first.
 */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/state.h"
#include "tests/unit/core_samples.h"

DEFINE_CLEANUP(struct state *, state_free);

#define N_NAMES	    5
#define N_ADDRESSES 6 /* 10.0.0.0 to 10.0.0.5 */
#define PORT	    30080

/* The claims of a service: its port everywhere, at single addresses, or both. */
struct wish {
	bool is_everywhere, at[N_ADDRESSES];
};

static const char *const names[N_NAMES] = {"a", "b", "c", "d", "e"};

static struct addr address(unsigned i)
{
	return addr_from_bytes(FAMILY_IPV4,
			       (const uint8_t[]){10, 0, 0, (uint8_t)(i + 1)});
}

static void put(struct state *st, const char *name, const struct wish *w)
{
	struct frontend f[N_ADDRESSES + 1];
	struct service *s;
	size_t n = 0;

	for (unsigned i = 0; i < N_ADDRESSES; i++)
		if (w->at[i])
			f[n++] = (struct frontend){.addr = address(i),
						   .port = PORT,
						   .kind = FRONTEND_EXTERNAL_IP};
	if (w->is_everywhere)
		f[n++] = (struct frontend){.addr = addr_unspecified(FAMILY_IPV4),
					   .port = PORT,
					   .kind = FRONTEND_NODE_PORT};
	s = service_new(&(struct service_spec){.ns = "default",
					       .name = name,
					       .port_name = "",
					       .proto = IPPROTO_TCP,
					       .frontends = f,
					       .n_frontends = n});
	state_replace(st, "default", name, &s, n > 0);
	if (n == 0)
		service_unref(s);
}

/* nodes: a digit for each address. */
static void set_nodes(struct state *st, const char *nodes)
{
	struct addr list[N_ADDRESSES];
	size_t n = strlen(nodes);

	for (size_t i = 0; i < n; i++)
		list[i] = address((unsigned)(nodes[i] - '0'));
	state_set_node_addresses(st, FAMILY_IPV4, list, n);
}

static const char *holder(const struct state *st, unsigned i)
{
	struct addr a = address(i);
	const struct service *s = state_find_frontend(st, &a, IPPROTO_TCP, PORT, NULL);

	return s ? service_name(s) : "-";
}

/* The holders of all addresses, a letter each. */
static void expect_holders(const struct state *st, const char *expected)
{
	char seen[N_ADDRESSES + 1] = "";

	for (unsigned i = 0; i < N_ADDRESSES; i++)
		seen[i] = *holder(st, i);
	assert_string_equal(seen, expected);
}

static const struct service *find(const struct state *st, const char *name)
{
	const struct service *s;

	for (size_t i = 0; (s = state_next(st, &i));)
		if (strcmp(service_name(s), name) == 0)
			return s;
	return NULL;
}

static size_t n_taken(struct state *st)
{
	_cleanup_(state_taken_fini) struct state_taken taken = state_take(st, false);

	return taken.n;
}

static const struct wish everywhere = {.is_everywhere = true};
static const struct wish at_1 = {.at = {[1] = true}};
static const struct wish nothing;

static void a_frontend_everywhere_is_one_frontend(void **state)
{
	_cleanup_(state_freep) struct state *st = state_new();

	(void)state;
	set_nodes(st, "0123");
	put(st, "a", &everywhere);
	expect_holders(st, "aaaa--");
	assert_int_equal(find(st, "a")->n_frontends, 1);
	put(st, "b", &everywhere); /* waits at one place, not at four */
	assert_int_equal(state_n_conflicts(st), 1);
	put(st, "a", &nothing);
	expect_holders(st, "bbbb--");
	assert_int_equal(state_n_conflicts(st), 0);
}

static void an_address_that_comes_or_goes_changes_no_service(void **state)
{
	_cleanup_(state_freep) struct state *st = state_new();

	(void)state;
	set_nodes(st, "012");
	put(st, "a", &everywhere);
	put(st, "b", &(struct wish){.at = {[5] = true}});
	(void)n_taken(st);
	set_nodes(st, "014");
	assert_true(state_has_changes(st));
	{
		_cleanup_(state_taken_fini) struct state_taken taken =
			state_take(st, false);
		struct addr gone = address(2), new = address(4);

		assert_int_equal(taken.n, 0);
		assert_int_equal(taken.n_node_changes, 2);
		assert_true(addr_equal(&taken.node_changes[0].addr, &gone));
		assert_false(taken.node_changes[0].is_added);
		assert_true(addr_equal(&taken.node_changes[1].addr, &new));
		assert_true(taken.node_changes[1].is_added);
	}
	expect_holders(st, "aa--ab");
	assert_false(state_has_changes(st));
	set_nodes(st, "014");
	assert_false(state_has_changes(st));
}

static void the_first_claim_holds_the_place(void **state)
{
	_cleanup_(state_freep) struct state *st = state_new();

	(void)state;
	set_nodes(st, "012");
	put(st, "b", &at_1);
	put(st, "a", &everywhere); /* has the other two */
	expect_holders(st, "aba---");
	assert_int_equal(find(st, "a")->n_frontends, 2);
	assert_int_equal(state_n_conflicts(st), 1);
	put(st, "b", &nothing);
	expect_holders(st, "aaa---");
	assert_int_equal(find(st, "a")->n_frontends, 1);
	put(st, "b", &at_1); /* now it is the later one */
	expect_holders(st, "aaa---");
	assert_int_equal(find(st, "b")->n_frontends, 0);
	assert_int_equal(state_n_conflicts(st), 1);
	put(st, "a", &nothing);
	expect_holders(st, "-b----");
}

/* An address that comes was claimed everywhere when it came, not before. */
static void a_new_address_is_left_to_the_service_that_has_it(void **state)
{
	_cleanup_(state_freep) struct state *st = state_new();

	(void)state;
	set_nodes(st, "02");
	put(st, "a", &everywhere);
	put(st, "b", &at_1);
	put(st, "c", &at_1);
	expect_holders(st, "aba---");
	(void)n_taken(st);
	set_nodes(st, "012");
	expect_holders(st, "aba---");
	assert_int_equal(n_taken(st),
			 1); /* a, at each of the others instead of everywhere */
	assert_int_equal(state_n_conflicts(st), 2);
	put(st, "b", &nothing);
	expect_holders(st, "aca---"); /* c was there before the address, too */
	set_nodes(st, "0123");
	expect_holders(st, "acaa--");
	set_nodes(st, "23");
	expect_holders(st, "-caa--");
	assert_int_equal(find(st, "a")->n_frontends, 1);
}

static void a_service_does_not_compete_with_itself(void **state)
{
	_cleanup_(state_freep) struct state *st = state_new();
	const struct wish both = {.is_everywhere = true, .at = {[1] = true}};

	(void)state;
	set_nodes(st, "012");
	put(st, "a", &everywhere);
	put(st, "a", &both);
	expect_holders(st, "aaa---");
	assert_int_equal(state_n_conflicts(st), 0);
	assert_int_equal(find(st, "a")->n_frontends, 3); /* no place is there twice */
}

/*
 * A service loses a place only if it no longer wants it, the address goes, or its claim is
 * another one: changed, the service whose wish was changed from that (NULL: none).
 */
static void check_step(const struct state *st, const char before[N_ADDRESSES],
		       struct wish wishes[N_NAMES], const bool is_node[N_ADDRESSES],
		       const struct wish *changed, bool was_everywhere)
{
	size_t n;

	for (unsigned i = 0; i < N_ADDRESSES; i++) {
		char now = *holder(st, i);
		unsigned n_holders = 0, n_wishes = 0;
		const struct service *s;

		for (unsigned k = 0; k < N_NAMES; k++) {
			bool wants = wishes[k].at[i] ||
				     (wishes[k].is_everywhere && is_node[i]);

			n_wishes += wants;
			if (wants && *names[k] == before[i] &&
			    (&wishes[k] != changed ||
			     wishes[k].is_everywhere == was_everywhere))
				assert_int_equal(now, before[i]);
			if (*names[k] == now)
				assert_true(wants);
		}
		assert_int_equal(now != '-', n_wishes > 0);
		for (size_t at = 0; (s = state_next(st, &at));)
			for (uint32_t k = 0; k < s->n_frontends; k++) {
				struct addr a = address(i);
				const struct frontend *f = &service_frontends(s)[k];

				n_holders += addr_equal(&f->addr, &a) ||
					     (frontend_is_everywhere(f) && is_node[i]);
			}
		assert_int_equal(n_holders, now != '-');
	}
	free(state_conflicts(st, &n));
	assert_int_equal(n, state_n_conflicts(st));
}

static void every_place_has_one_holder_after_random_changes(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 200; seed++) {
		_cleanup_(state_freep) struct state *st = state_new();
		struct wish wishes[N_NAMES] = {0};
		bool is_node[N_ADDRESSES] = {0};

		srand(seed);
		for (unsigned step = 0; step < 100; step++) {
			char before[N_ADDRESSES], nodes[N_ADDRESSES + 1] = "";
			unsigned k = (unsigned)rand() % N_NAMES;
			struct wish *w = &wishes[k], old = *w;

			for (unsigned i = 0; i < N_ADDRESSES; i++)
				before[i] = *holder(st, i);
			if (rand() % 3 == 0) {
				for (unsigned i = 0, n = 0; i < N_ADDRESSES; i++) {
					is_node[i] = rand() % 2;
					if (is_node[i])
						nodes[n++] = (char)('0' + i);
				}
				set_nodes(st, nodes);
			} else {
				memset(w, 0, sizeof(*w));
				w->is_everywhere = rand() % 3 == 0;
				for (unsigned i = 0; i < N_ADDRESSES; i++)
					w->at[i] = !w->is_everywhere && rand() % 4 == 0;
				put(st, names[k], w);
			}
			check_step(st, before, wishes, is_node, w, old.is_everywhere);
			if (rand() % 4 == 0)
				(void)n_taken(st);
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frontend_everywhere_is_one_frontend),
		cmocka_unit_test(an_address_that_comes_or_goes_changes_no_service),
		cmocka_unit_test(the_first_claim_holds_the_place),
		cmocka_unit_test(a_new_address_is_left_to_the_service_that_has_it),
		cmocka_unit_test(a_service_does_not_compete_with_itself),
		cmocka_unit_test(every_place_has_one_holder_after_random_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
