/*
 * The checksum is for a write that a SIGKILL interrupted.  The tables are checked
 * all the same: a reader follows offsets.
 */
#include "proxy/relay/relay_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"

#define VERSION 1
#define MAX_LEN (64u << 20)

static const char magic[8] = "sluiceST";

struct header {
	char magic[8];
	uint32_t version, n_counters;
	uint64_t checksum; /* of everything after it */
	uint64_t n[RELAY_STATE_TABLE_N];
	uint64_t totals[RELAY_COUNTER_N];
};

#define CHECKED_FROM offsetof(struct header, n)

struct relay_state {
	struct header *header; /* the whole block */
	char *tables[RELAY_STATE_TABLE_N];
};

static const size_t record_len[RELAY_STATE_TABLE_N] = {
	[RELAY_STATE_SERVICES] = sizeof(struct relay_state_service),
	[RELAY_STATE_ENDPOINTS] = sizeof(struct relay_state_endpoint),
	[RELAY_STATE_FRONTENDS] = sizeof(struct relay_state_frontend),
	[RELAY_STATE_BINDINGS] = sizeof(struct relay_state_binding),
	[RELAY_STATE_ASIDE] = sizeof(struct relay_state_aside),
	[RELAY_STATE_NAMES] = 1,
};

_Static_assert(sizeof(struct relay_state_service) % 8 == 0, "tables are aligned");
_Static_assert(sizeof(struct relay_state_endpoint) % 8 == 0, "tables are aligned");
_Static_assert(sizeof(struct relay_state_frontend) % 8 == 0, "tables are aligned");
_Static_assert(sizeof(struct relay_state_binding) % 8 == 0, "tables are aligned");
_Static_assert(sizeof(struct relay_state_aside) % 8 == 0, "tables are aligned");

/* FNV-1a over words: another process computes the same. */
static uint64_t checksum(const char *bytes, size_t len)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i += 8) {
		uint64_t word = 0;

		memcpy(&word, bytes + i, len - i < 8 ? len - i : 8);
		sum = (sum ^ word) * UINT64_C(0x100000001b3);
		sum ^= sum >> 32;
	}
	return sum;
}

/* ---- writing ---- */

void relay_state_add(struct relay_state_writer *w, enum relay_state_table table,
		     const void *record)
{
	buf_add(&w->tables[table], record, record_len[table]);
}

struct relay_state_service relay_state_describe(struct relay_state_writer *w,
						const struct service *service)
{
	struct buf *names = &w->tables[RELAY_STATE_NAMES];
	const char *parts[] = {service_namespace(service), service_name(service),
			       service_port_name(service)};
	struct relay_state_service record = {
		.name_at = (uint32_t)names->len,
		.first_endpoint = (uint32_t)(w->tables[RELAY_STATE_ENDPOINTS].len /
					     record_len[RELAY_STATE_ENDPOINTS]),
		.n_endpoints = service->n_endpoints,
		.proto = service->proto,
		.family = service->family,
	};

	for (size_t i = 0; i < N_ELEMENTS(parts); i++)
		buf_add(names, parts[i], strlen(parts[i]) + 1);
	return record;
}

static int write_all(int fd, const struct buf *b)
{
	if (ftruncate(fd, (off_t)b->len) == -1)
		return -errno;
	for (size_t at = 0; at < b->len;) {
		ssize_t n = pwrite(fd, b->data + at, b->len - at, (off_t)at);

		if (n == -1)
			return -errno;
		at += (size_t)n;
	}
	return 0;
}

int relay_state_write(struct relay_state_writer *w, int fd)
{
	_cleanup_(buf_fini) struct buf all = BUF_INIT;
	struct header header = {.version = VERSION, .n_counters = RELAY_COUNTER_N};

	memcpy(header.magic, magic, sizeof(magic));
	memcpy(header.totals, w->totals, sizeof(header.totals));
	for (int i = 0; i < RELAY_STATE_TABLE_N; i++)
		header.n[i] = w->tables[i].len / record_len[i];
	buf_add(&all, &header, sizeof(header));
	for (int i = 0; i < RELAY_STATE_TABLE_N; i++) {
		buf_add(&all, w->tables[i].data, w->tables[i].len);
		buf_fini(&w->tables[i]);
	}
	header.checksum = checksum(all.data + CHECKED_FROM, all.len - CHECKED_FROM);
	memcpy(all.data, &header, sizeof(header));
	return write_all(fd, &all);
}

/* ---- reading ---- */

static bool has_strings(const struct relay_state *s, uint32_t at, int n)
{
	uint64_t len = s->header->n[RELAY_STATE_NAMES];

	while (n--) {
		const char *end =
			at < len ? memchr(s->tables[RELAY_STATE_NAMES] + at, 0, len - at)
				 : NULL;

		if (!end)
			return false;
		at = (uint32_t)(end + 1 - s->tables[RELAY_STATE_NAMES]);
	}
	return true;
}

static bool is_valid_service(const struct relay_state *s,
			     const struct relay_state_service *record)
{
	uint64_t n = s->header->n[RELAY_STATE_ENDPOINTS];

	return record->family < FAMILY_N && record->first_endpoint <= n &&
	       record->n_endpoints <= n - record->first_endpoint &&
	       has_strings(s, record->name_at, 3);
}

/* Finds the tables in the block, which they fill exactly. */
static bool find_tables(struct relay_state *s, size_t len)
{
	size_t at = sizeof(struct header);

	for (int i = 0; i < RELAY_STATE_TABLE_N; i++) {
		if (s->header->n[i] > (len - at) / record_len[i])
			return false;
		s->tables[i] = (char *)s->header + at;
		at += s->header->n[i] * record_len[i];
	}
	return at == len;
}

static int compare_names(const char *a, const char *b)
{
	for (int i = 0; i < 3; i++) {
		int order = strcmp(a, b);

		if (order)
			return order;
		a += strlen(a) + 1;
		b += strlen(b) + 1;
	}
	return 0;
}

static int compare_service(const void *a, const void *b, void *names)
{
	const struct relay_state_service *x = a, *y = b;
	int order = compare_names((const char *)names + x->name_at,
				  (const char *)names + y->name_at);

	if (!order)
		order = (int)x->proto - (int)y->proto;
	return order ? order : (int)x->family - (int)y->family;
}

static int compare_binding(const void *a, const void *b)
{
	uint32_t x = ((const struct relay_state_binding *)a)->service;
	uint32_t y = ((const struct relay_state_binding *)b)->service;

	return (x > y) - (x < y);
}

static int compare_key(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct relay_listener_key));
}

static int check(struct relay_state *s, size_t len)
{
	const struct relay_state_service *services;

	if (len < sizeof(struct header) ||
	    memcmp(s->header->magic, magic, sizeof(magic)) != 0)
		return -EBADMSG;
	if (s->header->version != VERSION || s->header->n_counters != RELAY_COUNTER_N)
		return -EPROTONOSUPPORT;
	if (!find_tables(s, len))
		return -EBADMSG;
	services = (const void *)s->tables[RELAY_STATE_SERVICES];
	for (uint64_t i = 0; i < s->header->n[RELAY_STATE_SERVICES]; i++)
		if (!is_valid_service(s, &services[i]))
			return -EBADMSG;
	return 0;
}

static void sort(struct relay_state *s)
{
	qsort_r(s->tables[RELAY_STATE_SERVICES], s->header->n[RELAY_STATE_SERVICES],
		record_len[RELAY_STATE_SERVICES], compare_service,
		s->tables[RELAY_STATE_NAMES]);
	qsort(s->tables[RELAY_STATE_FRONTENDS], s->header->n[RELAY_STATE_FRONTENDS],
	      record_len[RELAY_STATE_FRONTENDS], compare_key);
	qsort(s->tables[RELAY_STATE_BINDINGS], s->header->n[RELAY_STATE_BINDINGS],
	      record_len[RELAY_STATE_BINDINGS], compare_binding);
}

/* Takes the block. */
static int take(char *bytes, size_t len, struct relay_state **ret, const char **ret_why)
{
	struct relay_state *s = xcalloc(1, sizeof(*s));
	int err;

	s->header = (void *)bytes; /* aligned, as allocated */
	err = check(s, len);
	if (err) {
		*ret_why = err == -EBADMSG ? "it is damaged" : "it has another version";
		relay_state_free(s);
		return err;
	}
	sort(s);
	*ret = s;
	return 0;
}

int relay_state_parse(const void *bytes, size_t len, struct relay_state **ret,
		      const char **ret_why)
{
	char *copy = xmalloc(len + 1);

	memcpy(copy, bytes, len);
	return take(copy, len, ret, ret_why);
}

static bool is_complete(const char *bytes, size_t len)
{
	struct header header;

	if (len < sizeof(header))
		return false;
	memcpy(&header, bytes, sizeof(header));
	return header.checksum == checksum(bytes + CHECKED_FROM, len - CHECKED_FROM);
}

int relay_state_read(int fd, struct relay_state **ret, const char **ret_why)
{
	_cleanup_(freep) char *bytes = NULL;
	struct stat st;
	size_t at = 0, len;
	ssize_t n = 0;

	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) || st.st_size > MAX_LEN) {
		*ret_why = "it is not a file of a usable size";
		return -EBADMSG;
	}
	len = (size_t)st.st_size;
	bytes = xmalloc(len + 1);
	while (at < len && (n = pread(fd, bytes + at, len - at, (off_t)at)) > 0)
		at += (size_t)n;
	if (n == -1) {
		*ret_why = strerror(errno);
		return -EBADMSG;
	}
	if (!is_complete(bytes, at)) {
		*ret_why = "it is damaged";
		return -EBADMSG;
	}
	return take(take_ptr(bytes), at, ret, ret_why);
}

void relay_state_free(struct relay_state *s)
{
	if (!s)
		return;
	free(s->header);
	free(s);
}

const void *relay_state_table(const struct relay_state *s, enum relay_state_table table,
			      size_t *ret_n)
{
	*ret_n = s->header->n[table];
	return s->tables[table];
}

const uint64_t *relay_state_totals(const struct relay_state *s)
{
	return s->header->totals;
}

static int compare_with(const struct relay_state *s,
			const struct relay_state_service *record,
			const struct service *service)
{
	const char *name = s->tables[RELAY_STATE_NAMES] + record->name_at;
	const char *parts[] = {service_namespace(service), service_name(service),
			       service_port_name(service)};
	int order = 0;

	for (size_t i = 0; i < N_ELEMENTS(parts) && !order; i++) {
		order = strcmp(parts[i], name);
		name += strlen(name) + 1;
	}
	if (!order)
		order = (int)service->proto - (int)record->proto;
	return order ? order : (int)service->family - (int)record->family;
}

const struct relay_state_service *relay_state_find(const struct relay_state *s,
						   const struct service *service)
{
	const struct relay_state_service *list =
		(const void *)s->tables[RELAY_STATE_SERVICES];
	size_t from = 0, to = s->header->n[RELAY_STATE_SERVICES];

	while (from < to) {
		size_t middle = from + (to - from) / 2;
		int order = compare_with(s, &list[middle], service);

		if (!order)
			return &list[middle];
		if (order < 0)
			to = middle;
		else
			from = middle + 1;
	}
	return NULL;
}

const struct relay_state_endpoint *
relay_state_endpoints(const struct relay_state *s, const struct relay_state_service *of)
{
	const struct relay_state_endpoint *list =
		(const void *)s->tables[RELAY_STATE_ENDPOINTS];

	return list + of->first_endpoint;
}

const struct relay_state_binding *
relay_state_bindings(const struct relay_state *s, const struct relay_state_service *of,
		     size_t *ret_n)
{
	const struct relay_state_binding key = {.service = of->id}, *list, *found;
	size_t n, i;

	list = relay_state_table(s, RELAY_STATE_BINDINGS, &n);
	found = bsearch(&key, list, n, sizeof(*list), compare_binding);
	*ret_n = 0;
	if (!found)
		return NULL;
	while (found > list && found[-1].service == of->id)
		found--;
	for (i = 0; i < n - (size_t)(found - list) && found[i].service == of->id; i++)
		;
	*ret_n = i;
	return found;
}

uint64_t relay_state_frontend_n(const struct relay_state *s,
				const struct relay_listener_key *key)
{
	size_t n;
	const void *list = relay_state_table(s, RELAY_STATE_FRONTENDS, &n);
	const struct relay_state_frontend *found =
		bsearch(key, list, n, sizeof(*found), compare_key);

	return found ? found->n_connections : 0;
}
