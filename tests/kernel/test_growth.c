/*
 * The ruleset does not grow with the number of services: chains and rules are
 * as many for a hundred as for a hundred thousand of the same shape.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <netinet/in.h> /* before the kernel's own */
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "core/service.h"
#include "rules/nft/nft.h"
#include "tests/test.h"

#define N_FEW	    100
#define N_MANY	    100000
#define N_ENDPOINTS 2
#define N_STICKY    16 /* one in so many has affinity */

static const struct environment env = {
	.detector = POD_DETECTOR_NONE,
	.masquerade_mark = 0x4000,
	.enabled = {true, true},
};

/* 10.x.y.z, or fd00::x:y:z; numbers are spread over the last three bytes. */
static struct addr make_addr(enum family family, uint8_t net, uint32_t number)
{
	uint8_t bytes[16] = {0xfd};
	size_t end = family == FAMILY_IPV4 ? 4 : 16;

	if (family == FAMILY_IPV4)
		bytes[0] = 10;
	else
		bytes[1] = net;
	bytes[end - 3] = (uint8_t)((number >> 16) | (uint32_t)net << 4);
	bytes[end - 2] = (uint8_t)(number >> 8);
	bytes[end - 1] = (uint8_t)number;
	return addr_from_bytes(family, bytes);
}

static struct service *make_service(uint32_t number)
{
	enum family family = (enum family)(number % FAMILY_N);
	struct decision balance = {ACTION_BALANCE, POOL_CLUSTER, 0};
	struct frontend frontend = {
		.addr = make_addr(family, 1, number),
		.port = 80,
		.kind = FRONTEND_CLUSTER_IP,
		.from = {balance, balance, balance},
	};
	struct endpoint endpoints[N_ENDPOINTS];
	char name[16];
	struct service_spec spec = {
		.ns = "test",
		.name = name,
		.port_name = "",
		.family = family,
		.proto = IPPROTO_TCP,
		.affinity_sec = number % N_STICKY == 0 ? 60 : 0,
		.frontends = &frontend,
		.n_frontends = 1,
		.endpoints = endpoints,
		.n_endpoints = 1 + number / 2 % N_ENDPOINTS,
	};

	(void)snprintf(name, sizeof(name), "s%u", number);
	for (uint32_t i = 0; i < spec.n_endpoints; i++)
		endpoints[i] = (struct endpoint){
			.addr = make_addr(family, 2, number * N_ENDPOINTS + i),
			.port = 8080,
			.flags = ENDPOINT_CLUSTER | ENDPOINT_SERVING,
		};
	return service_new(&spec);
}

static void program(struct sink *sink, uint32_t n)
{
	struct change *changes = xcalloc(n, sizeof(*changes));
	const struct changeset cs = {.full = true,
				     .env = &env,
				     .changes = changes,
				     .n = n};

	for (uint32_t i = 0; i < n; i++)
		changes[i].new = make_service(i);
	assert_int_equal(sink_apply(sink, &cs), 0);
	for (uint32_t i = 0; i < n; i++)
		service_unref((struct service *)(uintptr_t)changes[i].new);
	free(changes);
}

static int count_one(const struct nlmsghdr *message, void *data)
{
	(void)message;
	++*(unsigned *)data;
	return MNL_CB_OK;
}

/*
 * How many of these there are in this namespace, both families, where no other process
 * has any.  Not by nft, which reads all elements before it lists anything.
 */
static unsigned count(uint16_t message_type)
{
	char buf[1 << 16];
	struct mnl_socket *socket = mnl_socket_open(NETLINK_NETFILTER);
	struct nlmsghdr *request = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nf;
	unsigned n = 0;
	ssize_t len;

	assert_non_null(socket);
	assert_int_equal(mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID), 0);
	request->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | message_type);
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nf = mnl_nlmsg_put_extra_header(request, sizeof(*nf));
	*nf = (struct nfgenmsg){.nfgen_family = NFPROTO_UNSPEC};
	assert_true(mnl_socket_sendto(socket, request, request->nlmsg_len) > 0);
	do {
		len = mnl_socket_recvfrom(socket, buf, sizeof(buf));
		assert_true(len > 0);
	} while (mnl_cb_run(buf, (size_t)len, 0, 0, count_one, &n) > MNL_CB_STOP);
	(void)mnl_socket_close(socket);
	assert_true(n > 0);
	return n;
}

static void the_number_of_chains_and_rules_does_not_depend_on_the_services(void **state)
{
	unsigned n_chains, n_rules, n_sets;
	struct sink *sink;

	(void)state;
	assert_int_equal(nft_sink_new(&sink), 0);
	program(sink, N_FEW);
	n_chains = count(NFT_MSG_GETCHAIN);
	n_rules = count(NFT_MSG_GETRULE);
	n_sets = count(NFT_MSG_GETSET);
	program(sink, N_MANY);
	assert_int_equal(count(NFT_MSG_GETCHAIN), n_chains);
	assert_int_equal(count(NFT_MSG_GETRULE), n_rules);
	assert_int_equal(count(NFT_MSG_GETSET), n_sets);
	print_message(
		"%u chains, %u rules, %u sets and maps for %u services and for %u\n",
		n_chains, n_rules, n_sets, N_FEW, N_MANY);
	sink_close(sink);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			the_number_of_chains_and_rules_does_not_depend_on_the_services),
	};

	if (unshare(CLONE_NEWNET) == -1) {
		(void)fprintf(stderr, "skipped: %s\n", strerror(errno));
		return TEST_SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
