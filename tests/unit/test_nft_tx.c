/*
 * Messages of a transaction: which elements share one, their length, their
 * labels, that they read back the same, and that a small socket gets them in
 * pieces.
 */
#include "tests/test.h"

#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "core/cleanup.h"
#include "core/netlink.h"
#include "rules/nft/nft_tx.h"
#include "rules/nft/nft_wire.h"

static struct nft_element endpoint(uint32_t slot)
{
	struct nft_element e = {
		.set = SET_ENDPOINTS,
		.key_len = 16,
		.value_len = 8,
		.key = {10, 96, 0, 1, IPPROTO_TCP, 0, 0, 0, 0, 80},
		.value = {10, 2, 0, 2, 31, 144},
	};

	memcpy(e.key + 12, &slot, sizeof(slot));
	return e;
}

static struct service *service_named(const char *name)
{
	const struct service_spec spec = {
		.ns = "default",
		.name = name,
		.port_name = "http",
		.proto = IPPROTO_TCP,
	};

	return service_new(&spec);
}

static void elements_of_one_service_and_set_share_a_message(void **state)
{
	struct nft_tx tx = {0};
	struct service *a = service_named("a"), *b = service_named("b");
	struct nft_element e = endpoint(0), other = endpoint(1);

	(void)state;
	nft_tx_element(&tx, VERB_ADD, &e, a);
	nft_tx_element(&tx, VERB_ADD, &other, a);
	assert_int_equal(nft_tx_n_messages(&tx), 1);
	nft_tx_element(&tx, VERB_ADD, &e, b);
	assert_int_equal(nft_tx_n_messages(&tx), 2);
	nft_tx_element(&tx, VERB_DELETE, &e, b);
	assert_int_equal(nft_tx_n_messages(&tx), 3);
	assert_int_equal(tx.n_added, 3);
	assert_int_equal(tx.n_deleted, 1);
	nft_tx_clear(&tx);
	assert_int_equal(nft_tx_n_messages(&tx), 0);
	nft_tx_fini(&tx);
	service_unref(a);
	service_unref(b);
}

struct seen {
	uint32_t n;
	size_t max_len;
};

static void take(void *data, const struct nft_read_element *read)
{
	struct seen *seen = data;
	const struct nft_element e = endpoint(seen->n++);

	assert_int_equal(read->e.key_len, e.key_len);
	assert_memory_equal(read->e.key, e.key, e.key_len);
	assert_int_equal(read->e.value_len, e.value_len);
	assert_memory_equal(read->e.value, e.value, e.value_len);
}

/* A list's length is 16 bits: a large service takes several messages. */
static void long_element_lists_are_split_and_read_back_whole(void **state)
{
	struct nft_tx tx = {0};
	struct seen seen = {0};
	const struct nlmsghdr *message;
	int left;

	(void)state;
	for (uint32_t i = 0; i < 20000; i++) {
		struct nft_element e = endpoint(i);

		nft_tx_element(&tx, VERB_ADD, &e, NULL);
	}
	message = (const void *)tx.parts[PART_ADD].data;
	left = (int)tx.parts[PART_ADD].len;
	for (; netlink_is_message(message, left);
	     message = mnl_nlmsg_next(message, &left)) {
		assert_int_equal(nft_wire_parse_elements(message, SET_ENDPOINTS,
							 FAMILY_IPV4, take, &seen),
				 0);
		if (seen.max_len < message->nlmsg_len)
			seen.max_len = message->nlmsg_len;
	}
	assert_int_equal(left, 0);
	assert_int_equal(seen.n, 20000);
	assert_in_range(seen.max_len, 50000, 65535);
	nft_tx_fini(&tx);
}

static void take_one(void *data, const struct nft_read_element *read)
{
	*(struct nft_read_element *)data = *read;
}

static void expect_reads_back(const struct nft_element *e)
{
	struct nft_tx tx = {0};
	struct nft_read_element read = {0};

	nft_tx_element(&tx, VERB_ADD, e, NULL);
	assert_int_equal(nft_wire_parse_elements((const void *)tx.parts[PART_ADD].data,
						 e->set, e->family, take_one, &read),
			 0);
	assert_memory_equal(&read.e, e, sizeof(*e));
	nft_tx_fini(&tx);
}

static void verdicts_ranges_and_counters_are_read_back(void **state)
{
	static const struct nft_verdict verdicts[] = {
		{VERDICT_GOTO, {CHAIN_PICK, 12}},
		{VERDICT_ACCEPT, {0, 0}},
		{VERDICT_DROP, {0, 0}},
	};
	struct nft_element e = {
		.set = SET_SOURCE_RANGES,
		.family = FAMILY_IPV6,
		.key_len = 80,
	};

	(void)state;
	for (size_t i = 0; i < e.key_len; i++)
		e.key[i] = (uint8_t)i;
	expect_reads_back(&e);
	e = (struct nft_element){.set = SET_FRONTENDS, .key_len = 12, .key = {10, 96}};
	for (size_t i = 0; i < N_ELEMENTS(verdicts); i++) {
		nft_element_set_verdict(&e, verdicts[i]);
		expect_reads_back(&e);
	}
	e.n_packets = 42;
	e.n_bytes = UINT64_MAX;
	expect_reads_back(&e);
}

static const struct {
	struct nft_label label;
	bool has_service;
	const char *text;
} label_cases[] = {
	{{.verb = VERB_ADD, .what = WHAT_ELEMENT, .set = SET_ENDPOINTS},
	 true,
	 "add element to endpoints in ip for default/web:http"},
	{{.verb = VERB_DELETE,
	  .what = WHAT_ELEMENT,
	  .set = SET_FRONTENDS,
	  .family = FAMILY_IPV6},
	 false,
	 "delete element of frontends in ip6"},
	{{.verb = VERB_ADD, .what = WHAT_CHAIN, .chain = {CHAIN_PICK, 3}},
	 false,
	 "add chain pick-3 in ip"},
	{{.verb = VERB_FLUSH, .what = WHAT_RULE, .chain = {CHAIN_CHECK_SOURCE, 0}},
	 false,
	 "flush rules of check-source in ip"},
	{{.verb = VERB_ADD, .what = WHAT_SET, .set = SET_AFFINITY_CLIENTS},
	 false,
	 "add set affinity-clients in ip"},
	{{.verb = VERB_DELETE, .what = WHAT_TABLE}, false, "delete table in ip"},
	{{.verb = VERB_DELETE, .what = WHAT_FOREIGN},
	 false,
	 "delete a foreign object in ip"},
};

static void labels_name_the_element_and_its_service(void **state)
{
	struct service *web = service_named("web");

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(label_cases); i++) {
		_cleanup_(buf_fini) struct buf text = BUF_INIT;
		struct nft_label label = label_cases[i].label;

		label.service = label_cases[i].has_service ? web : NULL;
		nft_label_print(&label, &text);
		assert_string_equal(buf_string(&text), label_cases[i].text);
	}
	service_unref(web);
}

/* A link whose kernel is the other end of a socket pair, with a small buffer. */
static struct nft_link small_link(int *ret_kernel)
{
	int fds[2], len = 100000; /* the kernel doubles it */

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &len, sizeof(len)), 0);
	*ret_kernel = fds[1];
	return (struct nft_link){.fd = fds[0], .buffer = malloc(NFT_LINK_BUFFER_LEN)};
}

static uint32_t generation_of(const void *batch)
{
	uint32_t generation = 0;

	(void)netlink_u32(netlink_attr(batch, sizeof(struct nfgenmsg), NFNL_BATCH_GENID),
			  &generation);
	return generation;
}

/* In a child: prints the generation of each batch until the link is closed. */
static pid_t start_kernel(int kernel, int link, int out)
{
	pid_t child = fork();
	_Alignas(struct nlmsghdr) static char batch[256 * 1024];

	assert_true(child >= 0);
	if (child)
		return child;
	(void)close(link);
	while (recv(kernel, batch, sizeof(batch), 0) > 0)
		(void)dprintf(out, "%u ", generation_of(batch));
	_exit(0);
}

static void commit_in_pieces(struct nft_tx *tx, char *ret_text, size_t len)
{
	_cleanup_(nft_refusals_fini) struct nft_refusals refusals = {0};
	int kernel, out[2], result;
	struct nft_link link = small_link(&kernel);
	pid_t child;
	ssize_t n;

	assert_int_equal(pipe(out), 0);
	child = start_kernel(kernel, link.fd, out[1]);
	result = nft_tx_commit(tx, &link, 7, &refusals);
	(void)close(kernel);
	nft_link_close(&link);
	assert_int_equal(waitpid(child, NULL, 0), child);
	n = read(out[0], ret_text, len - 1);
	assert_true(n >= 0);
	ret_text[n] = '\0';
	(void)close(out[0]);
	(void)close(out[1]);
	assert_int_equal(result, 0);
}

static void every_piece_names_the_generation_that_it_expects(void **state)
{
	struct nft_tx tx = {0};
	char generations[64];

	(void)state;
	for (uint32_t i = 0; i < 6000; i++) {
		struct nft_element e = endpoint(i);

		nft_tx_element(&tx, VERB_ADD, &e, NULL);
	}
	commit_in_pieces(&tx, generations, sizeof(generations));
	assert_string_equal(generations, "7 8 9 ");
	nft_tx_fini(&tx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements_of_one_service_and_set_share_a_message),
		cmocka_unit_test(long_element_lists_are_split_and_read_back_whole),
		cmocka_unit_test(verdicts_ranges_and_counters_are_read_back),
		cmocka_unit_test(labels_name_the_element_and_its_service),
		cmocka_unit_test(every_piece_names_the_generation_that_it_expects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
