/*
 * One block: the struct, then frontends, endpoints, durations, allowed networks, text
 * ("ns\0name\0port\0", then "health path\0" if there is one).  Everything after
 * `size_len` is the value, padding zeroed, so equality is memcmp().
 */
#include "core/service.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/hash.h"
#include "core/mem.h"

#define SPREAD 0x9e3779b97f4a7c15u /* odd, with bits in all places */

#define VALUE_OFFSET offsetof(struct service, affinity_sec)

static int compare_numbers(unsigned a, unsigned b)
{
	return (a > b) - (a < b);
}

int service_compare_frontend(const struct frontend *a, const struct frontend *b)
{
	int order = compare_numbers(a->kind, b->kind);

	if (!order)
		order = addr_compare(&a->addr, &b->addr);
	return order ? order : compare_numbers(a->port, b->port);
}

static int compare_frontends(const void *a, const void *b)
{
	int order = service_compare_frontend(a, b);

	/* Total, so that the value doesn't depend on the order of the input. */
	return order ? order : memcmp(a, b, sizeof(struct frontend));
}

int service_compare_endpoint(const struct endpoint *a, const struct endpoint *b)
{
	int order = addr_compare(&a->addr, &b->addr);

	return order ? order : compare_numbers(a->port, b->port);
}

static int compare_endpoints(const void *a, const void *b)
{
	return service_compare_endpoint(a, b);
}

uint32_t service_find_endpoint(const struct service *s, const struct addr *addr,
			       uint16_t port)
{
	const struct endpoint key = {.addr = *addr, .port = port};
	const struct endpoint *endpoints = service_endpoints(s);
	const struct endpoint *found = bsearch(&key, endpoints, s->n_endpoints,
					       sizeof(*found), compare_endpoints);

	return found ? (uint32_t)(found - endpoints) : UINT32_MAX;
}

static int compare_cidrs(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct cidr));
}

/* Copies, sorts and removes duplicates; returns how many are left. */
static uint32_t fill_frontends(const struct service_spec *spec, struct frontend *ret)
{
	uint32_t n = 0;

	for (size_t i = 0; i < spec->n_frontends; i++) {
		ret[i] = spec->frontends[i];
		memset(ret[i].zero, 0, sizeof(ret[i].zero));
	}
	if (spec->n_frontends > 1)
		qsort(ret, spec->n_frontends, sizeof(*ret), compare_frontends);
	for (size_t i = 0; i < spec->n_frontends; i++)
		if (n == 0 || service_compare_frontend(&ret[n - 1], &ret[i]) != 0)
			ret[n++] = ret[i];
	return n;
}

/* The same for endpoints; the flags of duplicates are joined. */
static uint32_t fill_endpoints(const struct service_spec *spec, struct endpoint *ret)
{
	uint32_t n = 0;

	if (spec->n_endpoints == 0)
		return 0;
	memcpy(ret, spec->endpoints, spec->n_endpoints * sizeof(*ret));
	qsort(ret, spec->n_endpoints, sizeof(*ret), compare_endpoints);
	for (size_t i = 0; i < spec->n_endpoints; i++)
		if (n > 0 && compare_endpoints(&ret[n - 1], &ret[i]) == 0)
			ret[n - 1].flags |= ret[i].flags;
		else
			ret[n++] = ret[i];
	return n;
}

static uint16_t fill_allowed(const struct service_spec *spec, struct cidr *ret)
{
	uint16_t n = 0;

	assert(spec->n_allowed <= UINT16_MAX);
	if (spec->n_allowed == 0)
		return 0;
	memcpy(ret, spec->allowed, spec->n_allowed * sizeof(*ret));
	qsort(ret, spec->n_allowed, sizeof(*ret), compare_cidrs);
	for (size_t i = 0; i < spec->n_allowed; i++)
		if (n == 0 || !cidr_equal(&ret[n - 1], &ret[i]))
			ret[n++] = ret[i];
	return n;
}

static bool has_times(const struct service_spec *spec)
{
	static const struct service_times none;

	return memcmp(&spec->times, &none, sizeof(none)) != 0;
}

static void count_pools(struct service *s)
{
	const struct endpoint *endpoints = service_endpoints(s);

	for (uint32_t i = 0; i < s->n_endpoints; i++)
		for (unsigned pool = 0; pool < POOL_N; pool++)
			s->n_pool[pool] += endpoints[i].flags >> pool & 1;
}

/* Removing duplicates shortens lists, so each starts where the previous one ended. */
static void *end_of_lists(struct service *s)
{
	return (char *)s->frontends + s->n_frontends * sizeof(struct frontend) +
	       s->n_endpoints * sizeof(struct endpoint) +
	       (s->has_times ? sizeof(struct service_times) : 0) +
	       s->n_allowed * sizeof(struct cidr);
}

static size_t add_text(char *text, size_t offset, const char *s)
{
	size_t len = strlen(s) + 1;

	memcpy(text + offset, s, len);
	return offset + len;
}

static bool has_path(const struct service_spec *spec)
{
	return spec->health_path && *spec->health_path;
}

static void fill_text(struct service *s, const struct service_spec *spec)
{
	char *text = end_of_lists(s);
	size_t offset = add_text(text, 0, spec->ns);

	assert(strlen(spec->ns) + strlen(spec->name) < UINT16_MAX - 1);
	s->name_offset = (uint16_t)offset;
	offset = add_text(text, offset, spec->name);
	s->port_name_offset = (uint16_t)offset;
	offset = add_text(text, offset, spec->port_name);
	if (has_path(spec))
		offset = add_text(text, offset, spec->health_path);
	s->size_len = (uint32_t)(text + offset - (char *)s);
}

/* The exact length without duplicates: malloc() rarely shrinks a block. */
static size_t max_len(const struct service_spec *spec)
{
	return sizeof(struct service) + spec->n_frontends * sizeof(struct frontend) +
	       spec->n_endpoints * sizeof(struct endpoint) +
	       (has_times(spec) ? sizeof(spec->times) : 0) +
	       spec->n_allowed * sizeof(struct cidr) + strlen(spec->ns) +
	       strlen(spec->name) + strlen(spec->port_name) + 3 +
	       (has_path(spec) ? strlen(spec->health_path) + 1 : 0);
}

static bool is_same_target(const struct decision *a, const struct decision *b)
{
	return a->action == b->action && a->pool == b->pool;
}

static bool is_masquerading_known(const struct frontend *f)
{
	bool pod = f->from[CLIENT_POD].masquerade, node = f->from[CLIENT_NODE].masquerade,
	     external = f->from[CLIENT_EXTERNAL].masquerade;

	if (pod)
		return node && external;
	return node || !external;
}

/* The guarantees for sinks, see struct frontend. */
static void check_frontend(const struct frontend *f)
{
	const struct decision *pod = &f->from[CLIENT_POD];

	for (unsigned client = 0; client < CLIENT_N; client++)
		assert(f->from[client].action == ACTION_BALANCE ||
		       (f->from[client].pool == 0 && f->from[client].masquerade == 0));
	assert(is_same_target(pod, &f->from[CLIENT_NODE]) ||
	       memcmp(pod, &f->from[CLIENT_EXTERNAL], sizeof(*pod)) == 0);
	assert(is_masquerading_known(f));
	assert(f->kind == FRONTEND_CLUSTER_IP || f->from[CLIENT_POD].masquerade ||
	       !f->from[CLIENT_EXTERNAL].masquerade);
}

struct service *service_new(const struct service_spec *spec)
{
	size_t len = max_len(spec);
	struct service *s;

	assert(len <= UINT32_MAX);
	assert(proto_name(spec->proto));
	for (size_t i = 0; i < spec->n_frontends; i++)
		check_frontend(&spec->frontends[i]);
	s = xcalloc(1, len);
	s->refs = 1;
	s->family = (uint8_t)spec->family;
	s->proto = spec->proto;
	s->affinity_sec = spec->affinity_sec;
	s->local_ready = spec->local_ready;
	s->health_check_port = spec->health_check_port;
	s->options = spec->options;
	s->n_frontends = fill_frontends(spec, end_of_lists(s));
	s->n_endpoints = fill_endpoints(spec, end_of_lists(s));
	if (has_times(spec))
		memcpy(end_of_lists(s), &spec->times, sizeof(spec->times));
	s->has_times = has_times(spec);
	s->n_allowed = fill_allowed(spec, end_of_lists(s));
	count_pools(s);
	fill_text(s, spec);
	return s->size_len < len ? xrealloc(s, s->size_len) : s;
}

struct service *service_with_frontends(const struct service *s,
				       const struct frontend *frontends, size_t n)
{
	return service_new(&(struct service_spec){
		.ns = service_namespace(s),
		.name = service_name(s),
		.port_name = service_port_name(s),
		.family = s->family,
		.proto = s->proto,
		.affinity_sec = s->affinity_sec,
		.local_ready = s->local_ready,
		.health_check_port = s->health_check_port,
		.options = s->options,
		.times = *service_times(s),
		.health_path = service_health_path(s),
		.frontends = frontends,
		.n_frontends = n,
		.endpoints = service_endpoints(s),
		.n_endpoints = s->n_endpoints,
		.allowed = service_allowed(s),
		.n_allowed = s->n_allowed,
	});
}

const struct frontend *service_frontends(const struct service *s)
{
	return s->frontends;
}

const struct endpoint *service_endpoints(const struct service *s)
{
	return (const struct endpoint *)(const void *)(s->frontends + s->n_frontends);
}

static const char *end_of_endpoints(const struct service *s)
{
	return (const char *)(service_endpoints(s) + s->n_endpoints);
}

const struct service_times *service_times(const struct service *s)
{
	static const struct service_times none;

	return s->has_times ? (const void *)end_of_endpoints(s) : &none;
}

const struct cidr *service_allowed(const struct service *s)
{
	return (const void *)(end_of_endpoints(s) +
			      (s->has_times ? sizeof(struct service_times) : 0));
}

const char *service_namespace(const struct service *s)
{
	return (const char *)(service_allowed(s) + s->n_allowed);
}

const char *service_name(const struct service *s)
{
	return service_namespace(s) + s->name_offset;
}

const char *service_port_name(const struct service *s)
{
	return service_namespace(s) + s->port_name_offset;
}

const char *service_health_path(const struct service *s)
{
	const char *port_name = service_port_name(s);
	const char *path = port_name + strlen(port_name) + 1;

	return path < (const char *)s + s->size_len ? path : "";
}

const char *service_label(const struct service *s, char *buf, size_t len)
{
	const char *port_name = service_port_name(s);

	(void)snprintf(buf, len, "%s/%s%s%s", service_namespace(s), service_name(s),
		       *port_name ? ":" : "", port_name); /* may be truncated */
	return buf;
}

struct service *service_ref(const struct service *s)
{
	struct service *shared = (struct service *)(uintptr_t)s;

	__atomic_add_fetch(&shared->refs, 1, __ATOMIC_RELAXED);
	return shared;
}

void service_unref(struct service *s)
{
	if (s && __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(s);
}

bool service_equal(const struct service *a, const struct service *b)
{
	return a == b ||
	       (a->size_len == b->size_len &&
		memcmp((const char *)a + VALUE_OFFSET, (const char *)b + VALUE_OFFSET,
		       a->size_len - VALUE_OFFSET) == 0);
}

bool service_same_key(const struct service *a, const struct service *b)
{
	return service_compare_key(a, b) == 0;
}

int service_compare_key(const struct service *a, const struct service *b)
{
	int order = strcmp(service_namespace(a), service_namespace(b));

	if (!order)
		order = strcmp(service_name(a), service_name(b));
	if (!order)
		order = strcmp(service_port_name(a), service_port_name(b));
	if (!order)
		order = strcmp(proto_name(a->proto), proto_name(b->proto));
	return order ? order : compare_numbers(a->family, b->family);
}

int service_compare_items(const void *a, const void *b)
{
	const struct service *const *x = a, *const *y = b;

	return service_compare_key(*x, *y);
}

bool frontend_is_everywhere(const struct frontend *f)
{
	return f->kind == FRONTEND_NODE_PORT && addr_is_unspecified(&f->addr);
}

const char *frontend_format_place(const struct frontend *f,
				  char buf[static ADDR_PORT_TEXT_LEN])
{
	if (!frontend_is_everywhere(f))
		return addr_port_format(&f->addr, f->port, buf);
	(void)snprintf(buf, ADDR_PORT_TEXT_LEN, "*:%u", f->port);
	return buf;
}

uint64_t service_hash_key(const struct service *s)
{
	const char *names = service_namespace(s), *last = service_port_name(s);

	/* the three names follow each other */
	return hash_bytes(names, (size_t)(last - names) + strlen(last)) +
	       ((uint64_t)s->proto << 8 | s->family) * SPREAD;
}

bool service_uses_pool(const struct service *s, enum pool pool)
{
	for (uint32_t i = 0; i < s->n_frontends; i++)
		for (unsigned client = 0; client < CLIENT_N; client++) {
			const struct decision *d = &s->frontends[i].from[client];

			if (d->action == ACTION_BALANCE && d->pool == pool)
				return true;
		}
	return false;
}

const char *frontend_kind_name(uint8_t kind)
{
	static const char *const names[] = {
		[FRONTEND_CLUSTER_IP] = "ClusterIP",
		[FRONTEND_EXTERNAL_IP] = "ExternalIP",
		[FRONTEND_LOAD_BALANCER] = "LoadBalancer",
		[FRONTEND_NODE_PORT] = "NodePort",
	};

	return names[kind];
}

const char *action_name(uint8_t action)
{
	static const char *const names[] = {
		[ACTION_BALANCE] = "balance",
		[ACTION_REJECT] = "reject",
		[ACTION_DROP] = "drop",
	};

	return names[action];
}

const char *client_class_name(enum client_class client)
{
	static const char *const names[] = {
		[CLIENT_POD] = "pod",
		[CLIENT_NODE] = "node",
		[CLIENT_EXTERNAL] = "external",
	};

	return names[client];
}
