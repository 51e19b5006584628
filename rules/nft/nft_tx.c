/*
 * A message's sequence number is its part and its place in it, so that an
 * answer finds its label without a search.
 */
#include "rules/nft/nft_tx.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>

#include <libmnl/libmnl.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "rules/nft/nft_wire.h"

#define PART_SHIFT 29
#define SEQ_BEGIN  UINT32_MAX /* of the batch itself: no part has that many */

#define MESSAGE_ROOM  (68u * 1024)
#define LIST_LEN_MAX  60000u /* a list's length is 16 bits; one element more fits */
#define PIECE_LEN_MAX (128u * 1024)
#define MINIMUM_CAP   (96u * 1024)

void nft_tx_fini(struct nft_tx *tx)
{
	for (unsigned i = 0; i < PART_N; i++) {
		free(tx->parts[i].data);
		free(tx->parts[i].labels);
	}
	*tx = (struct nft_tx){0};
}

static void clear_part(struct nft_tx *tx, enum nft_part part)
{
	tx->parts[part].len = 0;
	tx->parts[part].n = 0;
	tx->parts[part].list = 0;
}

void nft_tx_clear(struct nft_tx *tx)
{
	for (unsigned i = 0; i < PART_N; i++)
		clear_part(tx, i);
	tx->n_added = 0;
	tx->n_deleted = 0;
}

size_t nft_tx_n_messages(const struct nft_tx *tx)
{
	size_t n = 0;

	for (unsigned i = 0; i < PART_N; i++)
		n += tx->parts[i].n;
	return n;
}

uint64_t nft_tx_n_objects(const struct nft_tx *tx, enum nft_what what)
{
	uint64_t n = what == WHAT_ELEMENT ? tx->n_added + tx->n_deleted : 0;

	for (unsigned i = 0; i < PART_N && what != WHAT_ELEMENT; i++)
		for (size_t k = 0; k < tx->parts[i].n; k++)
			n += tx->parts[i].labels[k].what == what &&
			     tx->parts[i].labels[k].verb != VERB_FLUSH;
	return n;
}

static void reserve(struct nft_messages *part)
{
	if (part->cap - part->len >= MESSAGE_ROOM)
		return;
	part->cap = part->cap ? 2 * part->cap : MINIMUM_CAP;
	part->data = xrealloc(part->data, part->cap);
}

static void add_label(struct nft_messages *part, const struct nft_label *label)
{
	part->labels = xgrow(part->labels, part->n, &part->n_cap, sizeof(*label));
	part->labels[part->n++] = *label;
}

struct nlmsghdr *nft_tx_begin(struct nft_tx *tx, enum nft_part part, uint16_t type,
			      uint16_t flags, const struct nft_label *label)
{
	struct nft_messages *p = &tx->parts[part];
	struct nfgenmsg *general;
	struct nlmsghdr *message;

	reserve(p);
	p->list = 0;
	p->last = p->len;
	message = mnl_nlmsg_put_header(p->data + p->len);
	message->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	message->nlmsg_flags = NLM_F_REQUEST | flags;
	message->nlmsg_seq = (uint32_t)part << PART_SHIFT | (uint32_t)p->n;
	general = mnl_nlmsg_put_extra_header(message, sizeof(*general));
	general->nfgen_family = nft_family_number(label->family);
	general->version = NFNETLINK_V0;
	add_label(p, label);
	return message;
}

void nft_tx_end(struct nft_tx *tx, enum nft_part part, const struct nlmsghdr *message)
{
	tx->parts[part].len += NLMSG_ALIGN(message->nlmsg_len);
}

static struct nlmsghdr *last_message(const struct nft_messages *p)
{
	return (struct nlmsghdr *)(void *)(p->data + p->last);
}

/* Is the last message a list for this element, with room for it? */
static bool has_open_list(const struct nft_messages *p, const struct nft_label *label)
{
	const struct nft_label *last;

	if (!p->list)
		return false;
	last = &p->labels[p->n - 1];
	return last->service == label->service && last->set == label->set &&
	       last->family == label->family && p->len - p->last < LIST_LEN_MAX;
}

static void start_list(struct nft_tx *tx, enum nft_part part,
		       const struct nft_label *label)
{
	struct nft_messages *p = &tx->parts[part];
	bool is_add = label->verb == VERB_ADD;
	struct nlmsghdr *message =
		nft_tx_begin(tx, part, is_add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM,
			     is_add ? NLM_F_CREATE : 0, label);

	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, NFT_TABLE_NAME);
	mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET,
			  nft_set_info(label->set)->name);
	p->list = p->last + message->nlmsg_len;
	(void)mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);
	nft_tx_end(tx, part, message);
}

void nft_tx_element(struct nft_tx *tx, enum nft_verb verb, const struct nft_element *e,
		    const struct service *service)
{
	enum nft_part part = verb == VERB_ADD ? PART_ADD : PART_DELETE;
	struct nft_messages *p = &tx->parts[part];
	const struct nft_label label = {
		.service = service,
		.verb = (uint8_t)verb,
		.what = WHAT_ELEMENT,
		.family = e->family,
		.set = e->set,
	};
	struct nlmsghdr *message;

	if (!has_open_list(p, &label))
		start_list(tx, part, &label);
	reserve(p);
	message = last_message(p);
	nft_wire_put_element(message, e, verb == VERB_ADD);
	mnl_attr_nest_end(message, (struct nlattr *)(void *)(p->data + p->list));
	p->len = p->last + NLMSG_ALIGN(message->nlmsg_len);
	tx->n_added += part == PART_ADD;
	tx->n_deleted += part == PART_DELETE;
}

/* The first and the last message of a batch. */
struct frame {
	struct nlmsghdr begin[4], end[4]; /* room for them, aligned */
};

static struct iovec put_mark(struct nlmsghdr *room, uint16_t type)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(room);
	struct nfgenmsg *general = mnl_nlmsg_put_extra_header(message, sizeof(*general));

	message->nlmsg_type = type;
	message->nlmsg_flags = NLM_F_REQUEST;
	message->nlmsg_seq = SEQ_BEGIN;
	general->version = NFNETLINK_V0;
	general->res_id = htons(NFNL_SUBSYS_NFTABLES);
	return (struct iovec){room, message->nlmsg_len};
}

static struct iovec put_begin(struct nlmsghdr *room, uint32_t generation)
{
	struct nlmsghdr *message = put_mark(room, NFNL_MSG_BATCH_BEGIN).iov_base;

	if (generation)
		mnl_attr_put_u32(message, NFNL_BATCH_GENID, htonl(generation));
	return (struct iovec){room, message->nlmsg_len};
}

/* The result of a batch. */
struct outcome {
	struct nft_tx *tx;
	struct nft_refusals *refusals;
	int err; /* of the batch as a whole */
};

static void take_error(void *data, uint32_t seq, int err)
{
	struct outcome *o = data;
	uint32_t part = seq >> PART_SHIFT, i = seq & ((1u << PART_SHIFT) - 1);
	struct nft_refusals *r = o->refusals;

	if (part >= PART_N || i >= o->tx->parts[part].n) {
		o->err = err;
		return;
	}
	r->items = xgrow(r->items, r->n, &r->cap, sizeof(*r->items));
	r->items[r->n++] = (struct nft_refusal){
		.label = &o->tx->parts[part].labels[i],
		.part = part,
		.err = err,
	};
}

/* The kernel runs the batch inside sendmsg(): the answers are there when it returns. */
static int send_batch(struct nft_tx *tx, struct nft_link *link, struct iovec *parts,
		      size_t n_parts, uint32_t generation, struct nft_refusals *refusals)
{
	struct outcome o = {.tx = tx, .refusals = refusals};
	size_t n_before = refusals->n;
	struct frame frame;
	int err;

	parts[0] = put_begin(frame.begin, generation);
	parts[n_parts - 1] = put_mark(frame.end, NFNL_MSG_BATCH_END);
	err = nft_link_send(link, parts, n_parts);
	if (!err)
		err = nft_link_errors(link, take_error, &o);
	if (o.err)
		return o.err;
	return refusals->n > n_before ? -EREMOTEIO : err;
}

static int send_parts(struct nft_tx *tx, struct nft_link *link, unsigned first,
		      unsigned end, uint32_t generation, struct nft_refusals *refusals)
{
	struct iovec parts[PART_N + 2];
	size_t n = 1;

	for (unsigned i = first; i < end; i++)
		if (tx->parts[i].len)
			parts[n++] = (struct iovec){tx->parts[i].data, tx->parts[i].len};
	if (n == 1)
		return 0;
	return send_batch(tx, link, parts, n + 1, generation, refusals);
}

/* The longest run of whole messages that fits, one at least. */
static size_t piece_len(const char *data, size_t len)
{
	size_t end = 0;

	while (end < len) {
		const struct nlmsghdr *message = (const void *)(data + end);
		size_t next = end + NLMSG_ALIGN(message->nlmsg_len);

		if (end > 0 && next > PIECE_LEN_MAX)
			break;
		end = next;
	}
	return end;
}

/* Are all refusals of this part, and with this error? */
static bool is_only(const struct nft_refusals *refusals, enum nft_part part, int err)
{
	for (size_t i = 0; i < refusals->n; i++)
		if (refusals->items[i].part != part || refusals->items[i].err != err)
			return false;
	return refusals->n > 0;
}

/* In transactions that the socket's limit lets through: no longer all or nothing. */
static int send_part_in_pieces(struct nft_tx *tx, struct nft_link *link,
			       enum nft_part part, uint32_t *generation,
			       struct nft_refusals *refusals)
{
	const struct nft_messages *p = &tx->parts[part];

	for (size_t done = 0; done < p->len;) {
		struct iovec parts[3] = {[1] = {.iov_base = p->data + done}};
		int err;

		parts[1].iov_len = piece_len(p->data + done, p->len - done);
		done += parts[1].iov_len;
		err = send_batch(tx, link, parts, N_ELEMENTS(parts), *generation,
				 refusals);
		if (err)
			return err;
		*generation = nft_link_next_generation(*generation);
	}
	return 0;
}

/* For a process that may not raise the socket's limit. */
static int send_pieces(struct nft_tx *tx, struct nft_link *link, uint32_t generation,
		       struct nft_refusals *refusals)
{
	int err = 0;

	for (unsigned i = 0; i < PART_N && !err; i++)
		err = send_part_in_pieces(tx, link, i, &generation, refusals);
	return err;
}

int nft_tx_commit(struct nft_tx *tx, struct nft_link *link, uint32_t generation,
		  struct nft_refusals *ret_refusals)
{
	int err;

	ret_refusals->n = 0;
	err = send_parts(tx, link, 0, PART_N, generation, ret_refusals);
	if (err == -EMSGSIZE || err == -ENOBUFS || err == -ENOMEM) {
		ret_refusals->n = 0;
		return send_pieces(tx, link, generation, ret_refusals);
	}
	if (err == -EREMOTEIO && is_only(ret_refusals, PART_TAIL, -EBUSY)) {
		ret_refusals->n = 0;
		err = send_parts(tx, link, 0, PART_TAIL, generation, ret_refusals);
		if (!err)
			err = send_parts(tx, link, PART_TAIL, PART_N, 0, ret_refusals);
	}
	return err;
}

void nft_refusals_fini(struct nft_refusals *refusals)
{
	free(refusals->items);
	*refusals = (struct nft_refusals){0};
}

static void print_subject(const struct nft_label *label, struct buf *out)
{
	char name[NFT_CHAIN_NAME_LEN];

	switch ((enum nft_what)label->what) {
	case WHAT_TABLE:
		return buf_add_string(out, "table");
	case WHAT_SET:
		return buf_printf(out, "set %s", nft_set_info(label->set)->name);
	case WHAT_CHAIN:
		return buf_printf(out, "chain %s", nft_chain_name(label->chain, name));
	case WHAT_RULE:
		return buf_printf(out, "rules of %s", nft_chain_name(label->chain, name));
	case WHAT_ELEMENT:
		return buf_printf(out, "element %s %s",
				  label->verb == VERB_ADD ? "to" : "of",
				  nft_set_info(label->set)->name);
	case WHAT_FOREIGN:
		return buf_add_string(out, "a foreign object");
	}
}

void nft_label_print(const struct nft_label *label, struct buf *out)
{
	static const char *const verbs[] = {"add", "delete", "flush"};
	char text[256];

	buf_printf(out, "%s ", verbs[label->verb]);
	print_subject(label, out);
	buf_printf(out, " in %s", nft_family_name(label->family));
	if (label->service)
		buf_printf(out, " for %s",
			   service_label(label->service, text, sizeof(text)));
}
