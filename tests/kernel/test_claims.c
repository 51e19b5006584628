/*
 * Two Services that claim the same address and port: one holds it, the other
 * takes over when that one goes.  And one Service with very many endpoints.
 */

#include "core/cleanup.h"
#include "tests/kernel/instance.h"
#include "tests/kernel/probe.h"
#include "tests/test.h"

#define N_MANY	5000
#define N_SLICE 1000 /* the API's limit */
#define N_TRIES 400
#define N_EXPECTED                                                                       \
	300 /* of 400 tries over 5000, 384 distinct ones are the mean, and 5 the deviation */
#define MANY_NET_4 "10.190"
#define MANY_NET_6 "fd00:10:190:"

static const struct manifest_service one = {
	.name = "one",
	.ip = "svc1",
	.ports = "p 80>80",
	.external = "ext12",
	.endpoints = "pod1R",
};
static const struct manifest_service two = {
	.name = "two",
	.ip = "svc2",
	.ports = "p 80>80",
	.external = "ext12",
	.endpoints = "pod2R",
};

static void a_frontend_goes_to_the_first_claim_and_then_to_the_next(void **state)
{
	struct instance *sluice = *state;
	const struct manifest_service both[] = {one, two};
	static const struct traffic_row held_by_one[] = {
		{"client", "ext12:80", "pod1:80 +m", NULL},
		{"pod3", "svc1:80", "pod1:80", NULL},
		{"pod3", "svc2:80", "pod2:80", NULL},
	};
	static const struct traffic_row held_by_two[] = {
		{"client", "ext12:80", "pod2:80 +m", NULL},
		{"pod3", "svc2:80", "pod2:80", NULL},
	};

	instance_put(sluice, &one, 1);
	instance_check(sluice, SCENARIO(both, held_by_one));
	instance_put(sluice, &two, 1);
	traffic_check(sluice->world, held_by_two, N_ELEMENTS(held_by_two));
	/* a service that claims it again has to wait */
	instance_check(sluice, SCENARIO(both, held_by_two));
}

static void a_claim_moves_when_only_its_address_is_given_up(void **state)
{
	struct instance *sluice = *state;
	struct manifest_service both[] = {one, two};
	static const struct traffic_row moved[] = {
		{"client", "ext12:80", "pod2:80 +m", NULL},
		{"client", "ext13:80", "pod1:80 +m", NULL},
		{"pod3", "svc1:80", "pod1:80", NULL},
	};

	instance_put(sluice, NULL, 0);
	instance_put(sluice, &one, 1);
	instance_put(sluice, both, 2);
	both[0].external = "ext13";
	instance_check(sluice, SCENARIO(both, moved));
}

static void services_may_swap_their_addresses(void **state)
{
	struct manifest_service both[] = {one, two};
	static const struct traffic_row before[] = {
		{"client", "ext12:80", "pod1:80 +m", NULL},
		{"client", "ext13:80", "pod2:80 +m", NULL},
	};
	static const struct traffic_row after[] = {
		{"client", "ext13:80", "pod1:80 +m", NULL},
		{"client", "ext12:80", "pod2:80 +m", NULL},
	};

	instance_put(*state, NULL, 0);
	both[1].external = "ext13";
	instance_check(*state, SCENARIO(both, before));
	both[0].external = "ext13";
	both[1].external = "ext12";
	instance_check(*state, SCENARIO(both, after));
}

static void add_many_slice(struct buf *yaml, unsigned number, enum family family)
{
	buf_printf(yaml,
		   "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
		   "metadata: { namespace: test, name: many-%s-%u, labels: "
		   "{ kubernetes.io/service-name: many } }\naddressType: %s\n"
		   "ports: [{ name: p, port: 80, protocol: TCP }, "
		   "{ name: p-u, port: 80, protocol: UDP }]\nendpoints:\n",
		   family == FAMILY_IPV4 ? "4" : "6", number, family_name(family));
	for (unsigned i = number * N_SLICE; i < (number + 1) * N_SLICE; i++)
		if (family == FAMILY_IPV4)
			buf_printf(yaml, "- { addresses: [" MANY_NET_4 ".%u.%u] }\n",
				   i / 250, 1 + i % 250);
		else
			buf_printf(yaml, "- { addresses: ['" MANY_NET_6 ":%x'] }\n",
				   i + 1);
}

static size_t count_distinct(struct addr *addrs, size_t n)
{
	size_t distinct = 0;

	for (size_t i = 0; i < n; i++) {
		size_t k = 0;

		while (k < distinct && !addr_equal(&addrs[k], &addrs[i]))
			k++;
		addrs[k] = addrs[i];
		distinct += k == distinct;
	}
	return distinct;
}

static void a_service_of_5000_endpoints_uses_them_all_alike(void **state)
{
	struct instance *sluice = *state;
	static const struct manifest_service many = {.name = "many",
						     .ip = "svc5",
						     .ports = "p 80>80",
						     .no_slices = true};
	_cleanup_(buf_fini) struct buf yaml = BUF_INIT;
	static struct addr seen[N_TRIES];

	/* far answers for every address of those networks */
	world_must(sluice->world, PLACE_FAR,
		   "ip route add local " MANY_NET_4 ".0.0/16 dev lo && "
		   "ip route add local " MANY_NET_6 ":/64 dev lo");
	world_must(sluice->world, PLACE_NODE,
		   "ip route add " MANY_NET_4 ".0.0/16 via 192.168.1.1 && "
		   "ip route add " MANY_NET_6 ":/64 via fd00:192:168:1::1");
	manifest_add_service(&yaml, &many);
	for (unsigned i = 0; i < 2 * N_MANY / N_SLICE; i++)
		add_many_slice(&yaml, i / 2, (enum family)(i % 2));
	instance_put_yaml(sluice, buf_string(&yaml));

	for (int kind = 0; kind < 4; kind++) {
		struct target t = target_named("pod3", "svc5:80",
					       kind & 1 ? IPPROTO_UDP : IPPROTO_TCP,
					       kind & 2 ? FAMILY_IPV6 : FAMILY_IPV4);

		for (int i = 0; i < N_TRIES; i++) {
			struct answer a = probe(sluice->world, &t, PROBE_PATIENCE_MS);

			assert_int_equal(a.outcome, PROBE_ANSWERED);
			seen[i] = a.backend;
		}
		assert_in_range(count_distinct(seen, N_TRIES), N_EXPECTED, N_TRIES);
	}
	instance_put(sluice, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frontend_goes_to_the_first_claim_and_then_to_the_next),
		cmocka_unit_test(a_claim_moves_when_only_its_address_is_given_up),
		cmocka_unit_test(services_may_swap_their_addresses),
		cmocka_unit_test(a_service_of_5000_endpoints_uses_them_all_alike),
	};

	return cmocka_run_group_tests(tests, instance_setup, instance_teardown);
}
