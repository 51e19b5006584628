/*
 * A machine with one state for each place between values; json_scan skips the
 * values.
 *
 * Invariants: `item` holds the bytes from earlier feeds of the value that is being
 * skipped, and is empty between values; `part` holds the top-level object with
 * everything but blanks and its items, and is empty between top-level values.
 */
#include "watchers/decode/json_split.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define KEEP_BUFFER_LEN (1u << 20) /* a larger one is freed after use */
#define CUT_KEPT_LEN	(4u << 10) /* enough to identify the object */
#define CUT_MAX_LEN	(16u << 20)

enum state {
	STATE_GAP,    /* between top-level values */
	STATE_VALUE,  /* in one that is handed out whole */
	STATE_MEMBER, /* in the object whose items are cut: before a key, or its end */
	STATE_KEY,    /* in a key of it */
	STATE_COLON,  /* after one */
	STATE_BEFORE_VALUE, /* before its value */
	STATE_MEMBER_VALUE, /* in it */
	STATE_FIRST_ITEM,   /* after the '[' of the items */
	STATE_NEXT_ITEM,    /* after a comma */
	STATE_ITEM,
	STATE_AFTER_ITEM,
};

static void fail(struct json_split *s, int err)
{
	if (s->err == 0)
		s->err = err;
}

static void keep(struct json_split *s, struct buf *b, const char *bytes, size_t len)
{
	if (len > s->options.max_len || b->len > s->options.max_len - len)
		fail(s, -E2BIG);
	else
		buf_add(b, bytes, len);
}

static void drop(struct buf *b)
{
	if (b->cap > KEEP_BUFFER_LEN)
		buf_fini(b);
	else
		buf_clear(b);
}

static void hand_out(struct json_split *s, enum json_split_type type, const char *bytes,
		     size_t len)
{
	const struct json_split_part part = {
		.type = type,
		.bytes = bytes,
		.len = len,
		.line = type == JSON_SPLIT_ITEM ? s->item_line : s->part_line,
		.items = s->n_items,
		.is_cut = s->is_cut,
	};

	fail(s, s->fn(s->data, &part));
}

/* The value that is being skipped is beyond a limit. */
static void exceed(struct json_split *s)
{
	bool is_whole = s->state == STATE_VALUE || s->state == STATE_ITEM;

	if (!s->options.cut_oversize || !is_whole)
		fail(s, -E2BIG);
	s->is_cut = true;
	s->scan.depth_limit = UINT_MAX;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Of a value beyond a limit only the start is kept. */
static void keep_start(struct json_split *s, const char *bytes, size_t len)
{
	struct buf head = BUF_INIT;

	buf_add(&head, buf_string(&s->item), smaller(s->item.len, CUT_KEPT_LEN));
	buf_add(&head, bytes, smaller(len, CUT_KEPT_LEN - head.len));
	buf_fini(&s->item);
	s->item = head;
	s->cut_len += len;
	if (s->cut_len > CUT_MAX_LEN)
		fail(s, -E2BIG);
}

/*
 * [start, p) continues the value whose earlier bytes were kept.  A value that is
 * complete in one piece of input is passed on without a copy.
 */
static void take_value(struct json_split *s, enum json_split_type type, enum state then,
		       const char *start, const char *p, bool is_done)
{
	size_t len = (size_t)(p - start);

	if (s->item.len + len > s->options.max_len)
		exceed(s);
	if (s->err != 0)
		return;
	if (s->is_cut)
		keep_start(s, start, len);
	else if (!is_done || s->item.len > 0)
		buf_add(&s->item, start, len);
	if (!is_done || s->err != 0)
		return;
	s->state = (uint8_t)then;
	if (type == JSON_SPLIT_ITEM)
		s->n_items++;
	if (s->item.len > 0)
		hand_out(s, type, s->item.data, s->item.len);
	else
		hand_out(s, type, start, len);
	s->is_cut = false; /* the item was, not the list */
	drop(&s->item);
}

/* Continues a value of which [start, p) has just been skipped. */
static const char *go_on(struct json_split *s, const char *start, const char *p,
			 const char *end)
{
	bool is_done;

	if (json_scan_pass(&s->scan, &p, end, &is_done) != 0)
		exceed(s);
	switch ((enum state)s->state) {
	case STATE_VALUE:
		take_value(s, JSON_SPLIT_VALUE, STATE_GAP, start, p, is_done);
		break;
	case STATE_ITEM:
		take_value(s, JSON_SPLIT_ITEM, STATE_AFTER_ITEM, start, p, is_done);
		break;
	default:
		keep(s, &s->part, start, (size_t)(p - start));
		if (is_done)
			s->state = STATE_MEMBER;
	}
	return p;
}

static const char *in_value(struct json_split *s, const char *p, const char *end)
{
	return go_on(s, p, p, end);
}

/* A value starts at p, inside so many brackets. */
static const char *begin(struct json_split *s, enum state state, unsigned level,
			 const char *p, const char *end)
{
	unsigned max = s->options.max_depth;

	fail(s, json_scan_begin(&s->scan, *p, max > level ? max - level : 0));
	if (s->err != 0)
		return p;
	s->state = (uint8_t)state;
	s->is_cut = false;
	s->cut_len = 0;
	return go_on(s, p, p + 1, end);
}

/* A line of "---" is complete, or none has started. */
static bool ends_separator(struct json_split *s)
{
	bool is_whole = s->dashes == 0 || s->dashes == 3;

	s->dashes = 0;
	return is_whole;
}

static const char *in_gap(struct json_split *s, const char *p, const char *end)
{
	if (json_scan_is_blank(*p)) {
		if (!ends_separator(s))
			fail(s, -EINVAL);
		return json_scan_blanks(&s->scan, p, end);
	}
	if (*p == '-' && s->options.skip_separators && s->dashes < 3) {
		s->dashes++;
		return p + 1;
	}
	if (s->dashes > 0) {
		fail(s, -EINVAL);
		return p;
	}
	s->part_line = s->scan.line;
	s->n_items = 0;
	if (*p != '{' || !s->options.cut_items)
		return begin(s, STATE_VALUE, 0, p, end);
	if (s->options.max_depth == 0)
		fail(s, -E2BIG);
	s->state = STATE_MEMBER;
	keep(s, &s->part, p, 1);
	return p + 1;
}

/* Commas are kept and not checked: the caller's parser does that. */
static const char *in_object(struct json_split *s, const char *p, const char *end)
{
	if (*p != '"' && *p != ',' && *p != '}') {
		fail(s, -EINVAL);
		return p;
	}
	keep(s, &s->part, p, 1);
	if (*p == '"') {
		s->state = STATE_KEY;
		json_scan_begin_string(&s->scan);
		buf_clear(&s->key);
	} else if (*p == '}' && s->err == 0) {
		s->state = STATE_GAP;
		hand_out(s, JSON_SPLIT_VALUE, s->part.data, s->part.len);
		drop(&s->part);
	}
	return p + 1;
}

static const char *in_key(struct json_split *s, const char *p, const char *end)
{
	const char *start = p;

	p = json_scan_pass_string(&s->scan, p, end);
	keep(s, &s->part, start, (size_t)(p - start));
	keep(s, &s->key, start, (size_t)(p - start));
	if (!s->scan.in_string)
		s->state = STATE_COLON;
	return p;
}

static const char *after_key(struct json_split *s, const char *p, const char *end)
{
	if (*p != ':') {
		fail(s, -EINVAL);
		return p;
	}
	keep(s, &s->part, p, 1);
	s->state = STATE_BEFORE_VALUE;
	return p + 1;
}

static const char *before_value(struct json_split *s, const char *p, const char *end)
{
	if (*p != '[' || strcmp(buf_string(&s->key), "items\"") != 0)
		return begin(s, STATE_MEMBER_VALUE, 1, p, end);
	if (s->options.max_depth < 2)
		fail(s, -E2BIG);
	keep(s, &s->part, p, 1);
	s->state = STATE_FIRST_ITEM;
	return p + 1;
}

static const char *before_item(struct json_split *s, const char *p, const char *end)
{
	if (*p == ']' && s->state == STATE_FIRST_ITEM) {
		keep(s, &s->part, p, 1);
		s->state = STATE_MEMBER;
		return p + 1;
	}
	s->item_line = s->scan.line;
	return begin(s, STATE_ITEM, 2, p, end);
}

static const char *after_item(struct json_split *s, const char *p, const char *end)
{
	if (*p == ',') {
		s->state = STATE_NEXT_ITEM;
	} else if (*p == ']') {
		keep(s, &s->part, p, 1);
		s->state = STATE_MEMBER;
	} else {
		fail(s, -EINVAL);
	}
	return p + 1;
}

static const struct {
	/* Takes at least one byte, or changes the state, or fails. */
	const char *(*step)(struct json_split *s, const char *p, const char *end);
	bool skips_blanks; /* before the step */
} states[] = {
	[STATE_GAP] = {in_gap, false},
	[STATE_VALUE] = {in_value, false},
	[STATE_MEMBER] = {in_object, true},
	[STATE_KEY] = {in_key, false},
	[STATE_COLON] = {after_key, true},
	[STATE_BEFORE_VALUE] = {before_value, true},
	[STATE_MEMBER_VALUE] = {in_value, false},
	[STATE_FIRST_ITEM] = {before_item, true},
	[STATE_NEXT_ITEM] = {before_item, true},
	[STATE_ITEM] = {in_value, false},
	[STATE_AFTER_ITEM] = {after_item, true},
};

void json_split_init(struct json_split *s, const struct json_split_options *options,
		     json_split_fn fn, void *data)
{
	*s = (struct json_split){
		.options = *options,
		.fn = fn,
		.data = data,
		.scan = {.line = 1},
	};
}

void json_split_fini(struct json_split *s)
{
	buf_fini(&s->part);
	buf_fini(&s->item);
	buf_fini(&s->key);
}

int json_split_feed(struct json_split *s, const char *bytes, size_t len)
{
	const char *p = bytes, *end = bytes + len;

	while (p < end && s->err == 0) {
		if (states[s->state].skips_blanks)
			p = json_scan_blanks(&s->scan, p, end);
		if (p < end)
			p = states[s->state].step(s, p, end);
	}
	return s->err;
}

int json_split_finish(struct json_split *s)
{
	static const char blank = ' ';

	/* a number or a word at the top has no other end, nor has a separator */
	if (s->state == STATE_VALUE || s->state == STATE_GAP)
		(void)json_split_feed(s, &blank, 1);
	if (json_split_is_inside(s))
		fail(s, -EINVAL);
	return s->err;
}

char *json_split_head(const struct json_split *s)
{
	struct buf head = BUF_INIT;

	buf_add(&head, buf_string(&s->part), s->part.len);
	buf_add_string(&head, "]}");
	return buf_take(&head);
}

bool json_split_is_inside(const struct json_split *s)
{
	return s->state != STATE_GAP || s->dashes > 0;
}

uint64_t json_split_line(const struct json_split *s)
{
	return s->scan.line;
}
