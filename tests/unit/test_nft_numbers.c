/*
 * Numbers of service ports with affinity, and of their endpoints.
 */
#include "tests/test.h"

#include "core/service.h"
#include "rules/nft/nft_numbers.h"
#include "tests/short_service.h"

#define FRONTEND "10.96.0.1:80"

static int set_up(void **state)
{
	static struct nft_numbers numbers;

	nft_numbers_init(&numbers);
	*state = &numbers;
	return 0;
}

static int tear_down(void **state)
{
	nft_numbers_fini(*state);
	return 0;
}

static struct service *service(const char *name, const char *frontends,
			       const char *endpoints)
{
	struct service *s = short_service(name, IPPROTO_TCP, frontends, endpoints);

	s->affinity_sec = 60;
	return s;
}

static uint32_t number_of(struct nft_numbers *n, const struct service *s, unsigned i)
{
	return nft_numbers_endpoint(n, s, &service_endpoints(s)[i]);
}

static void services_and_endpoints_have_numbers_of_their_own(void **state)
{
	struct service *a = service("a", FRONTEND, "10.2.0.1:80 10.2.0.2:80");
	struct service *b = service("b", "10.96.0.2:80", "10.2.0.1:80");
	uint32_t of_a = nft_numbers_service(*state, a);

	assert_int_not_equal(of_a, 0);
	assert_int_equal(of_a & ~NFT_NUMBER_MASK, 0);
	assert_int_not_equal(of_a, nft_numbers_service(*state, b));
	assert_int_equal(number_of(*state, a, 0), of_a | 1);
	assert_int_equal(number_of(*state, a, 1), of_a | 2);
	assert_int_equal(number_of(*state, b, 0), nft_numbers_service(*state, b) | 1);
	assert_int_equal(nft_numbers_service(*state, a), of_a);
	assert_int_equal(number_of(*state, a, 0), of_a | 1);
	service_unref(a);
	service_unref(b);
}

static void another_frontend_changes_no_number(void **state)
{
	struct service *one = service("a", FRONTEND, "10.2.0.1:80 10.2.0.2:80");
	struct service *two = service("a", FRONTEND " 192.0.2.1:80", "10.2.0.2:80");
	uint32_t number = number_of(*state, one, 1);

	nft_numbers_settle(*state, one, two);
	assert_int_equal(number_of(*state, two, 0), number);
	service_unref(one);
	service_unref(two);
}

static struct nft_element element(enum nft_set set, uint32_t value)
{
	struct nft_element e = {.set = (uint8_t)set, .value_len = sizeof(value)};

	memcpy(e.value, &value, sizeof(value));
	return e;
}

static void numbers_of_the_kernel_are_adopted(void **state)
{
	struct service *other = service("other", "10.96.0.9:80", "10.2.0.1:80");
	struct service *a = service("a", FRONTEND, "10.2.0.1:80 10.2.0.2:80");
	struct nft_element e = element(SET_AFFINITY_SERVICES, 0x70000);
	struct addr addr;

	assert_int_equal(addr_parse("10.96.0.1", &addr), 0);
	e.key_len = (uint8_t)nft_key_frontend(e.key, &addr, IPPROTO_TCP, 80);
	nft_numbers_adopt(*state, &e);
	e = element(SET_AFFINITY_NUMBERS, 0x70005);
	assert_int_equal(addr_parse("10.2.0.2", &addr), 0);
	e.key_len = (uint8_t)nft_key_numbered(e.key, 0x70000, &addr, 80);
	nft_numbers_adopt(*state, &e);

	assert_int_not_equal(nft_numbers_service(*state, other), 0x70000);
	assert_int_equal(nft_numbers_service(*state, a), 0x70000);
	assert_int_equal(number_of(*state, a, 1), 0x70005);
	assert_int_not_equal(number_of(*state, a, 0), 0x70005);
	nft_numbers_end_adoption(*state);
	assert_int_equal(number_of(*state, a, 1), 0x70005);
	service_unref(a);
	service_unref(other);
}

static void unused_numbers_are_assigned_again(void **state)
{
	struct service *a = service("a", FRONTEND, "10.2.0.1:80");
	uint32_t number = nft_numbers_service(*state, a);

	nft_numbers_start_sweep(*state);
	nft_numbers_end_sweep(*state);
	assert_int_equal(nft_numbers_service(*state, a), number);
	nft_numbers_settle(*state, a, NULL);
	assert_int_equal(nft_numbers_service(*state, a), number);
	service_unref(a);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(services_and_endpoints_have_numbers_of_their_own),
		TEST(another_frontend_changes_no_number),
		TEST(numbers_of_the_kernel_are_adopted),
		TEST(unused_numbers_are_assigned_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
