#include "tests/unit/core_samples.h"

#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"

#define MAX_WORDS 64

struct addr sample_addr(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static void parse_place(const char *word, struct addr *ret_addr, uint16_t *ret_port)
{
	assert_int_equal(addr_port_parse(word, ret_addr, ret_port), 0);
}

static size_t parse_frontends(char *words, struct frontend *ret)
{
	char *rest = NULL;
	size_t n = 0;

	for (char *w = strtok_r(words, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
		assert_true(n < MAX_WORDS);
		ret[n] = (struct frontend){.kind = FRONTEND_CLUSTER_IP};
		parse_place(w, &ret[n].addr, &ret[n].port);
		n++;
	}
	return n;
}

static size_t parse_endpoints(char *words, struct endpoint *ret)
{
	char *rest = NULL;
	size_t n = 0;

	for (char *w = strtok_r(words, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
		char *star = strchr(w, '*');

		assert_true(n < MAX_WORDS);
		if (star)
			*star = '\0';
		ret[n] = (struct endpoint){
			.flags = (uint16_t)(ENDPOINT_CLUSTER | ENDPOINT_SERVING |
					    (star ? ENDPOINT_LOCAL : 0))};
		parse_place(w, &ret[n].addr, &ret[n].port);
		n++;
	}
	return n;
}

struct service *sample_service(const char *name, const char *port_name,
			       const char *frontends, const char *endpoints)
{
	_cleanup_(freep) char *frontend_words = xstrdup(frontends);
	_cleanup_(freep) char *endpoint_words = xstrdup(endpoints);
	struct frontend f[MAX_WORDS];
	struct endpoint e[MAX_WORDS];

	return service_new(&(struct service_spec){
		.ns = "default",
		.name = name,
		.port_name = port_name,
		.proto = IPPROTO_TCP,
		.frontends = f,
		.n_frontends = parse_frontends(frontend_words, f),
		.endpoints = e,
		.n_endpoints = parse_endpoints(endpoint_words, e),
	});
}
