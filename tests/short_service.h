/*
 * Services for tests out of short text: lists of "address:port" with blanks
 * between; an endpoint that ends in '!' is not serving any more.  Cluster IPs
 * that everybody reaches over all endpoints, and node ports, which have no address
 * (0.0.0.0); where more matters, tests use service_new() themselves.
 */
#pragma once

#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#include "core/addr.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "core/service.h"

#define SHORT_SERVICE_MAX 16

static inline void short_service_unrefp(struct service **s)
{
	if (*s)
		service_unref(*s);
}

static inline size_t short_list(const char *text, char **ret_copy, char **ret)
{
	size_t n = 0;
	char *save = NULL;

	*ret_copy = xstrdup(text);
	for (char *item = strtok_r(*ret_copy, " ", &save); item;
	     item = strtok_r(NULL, " ", &save)) {
		assert_true(n < SHORT_SERVICE_MAX);
		ret[n++] = item;
	}
	return n;
}

static inline struct endpoint short_endpoint(char *text)
{
	struct endpoint e = {0};
	size_t len = strlen(text);

	if (text[len - 1] == '!')
		text[len - 1] = '\0';
	else
		e.flags = ENDPOINT_SERVING | ENDPOINT_CLUSTER;
	assert_int_equal(addr_port_parse(text, &e.addr, &e.port), 0);
	return e;
}

static inline struct service *short_service(const char *name, uint8_t proto,
					    const char *frontends, const char *endpoints)
{
	_cleanup_(freep) char *frontend_copy = NULL;
	_cleanup_(freep) char *endpoint_copy = NULL;
	char *items[SHORT_SERVICE_MAX];
	struct frontend fs[SHORT_SERVICE_MAX] = {0};
	struct endpoint es[SHORT_SERVICE_MAX];
	struct service_spec spec = {
		.ns = "test",
		.name = name,
		.port_name = "",
		.proto = proto,
		.frontends = fs,
		.endpoints = es,
	};

	spec.n_frontends = short_list(frontends, &frontend_copy, items);
	for (size_t i = 0; i < spec.n_frontends; i++) {
		assert_int_equal(addr_port_parse(items[i], &fs[i].addr, &fs[i].port), 0);
		if (addr_is_unspecified(&fs[i].addr))
			fs[i].kind = FRONTEND_NODE_PORT;
	}
	spec.n_endpoints = short_list(endpoints, &endpoint_copy, items);
	for (size_t i = 0; i < spec.n_endpoints; i++)
		es[i] = short_endpoint(items[i]);
	for (size_t i = 0; i < spec.n_frontends * CLIENT_N && spec.n_endpoints == 0; i++)
		fs[i / CLIENT_N].from[i % CLIENT_N].action = ACTION_REJECT;
	if (spec.n_frontends > 0)
		spec.family = addr_family(&fs[0].addr);
	return service_new(&spec);
}
