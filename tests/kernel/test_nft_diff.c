/*
 * The comparison in pieces: no event waits for all of it, and what changes
 * between two of them is noticed.
 */
#include "tests/test.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "rules/nft/nft_inspect.h"
#include "rules/nft/nft_kernel.h"
#include "tests/kernel/nft_sample.h"

/* So that endpoints are asked for by key, see nft_compare_set.c. */
#define N_ENDPOINTS 3000
#define N_STEPS_MIN 20

/* The wanted state, to be compared. */
struct wanted {
	struct change *changes;
	struct changeset cs;
};

static struct wanted wanted_new(const struct sample_world *w)
{
	struct wanted wanted = {.changes = xcalloc(w->n + 1, sizeof(struct change))};

	for (size_t i = 0; i < w->n; i++)
		wanted.changes[i].new = w->services[i];
	wanted.cs = (struct changeset){
		.full = true,
		.env = &w->env,
		.changes = wanted.changes,
		.n = w->n,
	};
	return wanted;
}

static struct sample_world *with_many_endpoints(void **state)
{
	struct sample_world *w = *state;

	sample_put_service(w, sample_large_service("many", "10.96.0.1:80", N_ENDPOINTS));
	assert_int_equal(sample_full(w), 0);
	return w;
}

static void a_large_set_is_compared_in_many_pieces(void **state)
{
	struct sample_world *w = with_many_endpoints(state);
	struct wanted wanted = wanted_new(w);
	struct sink_diff *d = w->sink->ops->view->diff(w->sink, &wanted.cs);
	unsigned n_steps = 1;
	size_t n;
	int err;

	while ((err = sink_diff_step(d)) == 1)
		n_steps++;
	assert_int_equal(err, 0);
	assert_string_equal(sink_diff_lines(d, &n), "");
	assert_int_equal(n, 0);
	assert_in_range(n_steps, N_STEPS_MIN, N_ENDPOINTS);
	sink_diff_free(d);
	free(wanted.changes);
}

static void a_change_between_two_pieces_ends_the_comparison(void **state)
{
	struct sample_world *w = with_many_endpoints(state);
	struct wanted wanted = wanted_new(w);
	struct sink_diff *d = w->sink->ops->view->diff(w->sink, &wanted.cs);

	assert_int_equal(sink_diff_step(d), 1);
	assert_int_equal(sink_diff_step(d), 1);
	shell_run("nft add table ip others; nft delete table ip others");
	assert_int_equal(sink_diff_step(d), -EINTR);
	sink_diff_free(d);
	free(wanted.changes);
}

static void a_kernel_that_does_not_answer_ends_the_comparison(void **state)
{
	const struct sample_world *w = *state;
	const struct changeset cs = {.full = true, .env = &w->env};
	struct nft_kernel k = {.n_elements = 0};
	struct sink_diff *d;

	assert_int_equal(nft_kernel_init(&k), 0);
	d = nft_diff_new(&k, &cs);
	(void)close(k.link.fd);
	assert_int_equal(sink_diff_step(d), -EBADF);
	k.link.fd = -1;
	sink_diff_free(d);
	nft_kernel_fini(&k);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, sample_setup, sample_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_large_set_is_compared_in_many_pieces),
		TEST(a_change_between_two_pieces_ends_the_comparison),
		TEST(a_kernel_that_does_not_answer_ends_the_comparison),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
