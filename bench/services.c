#include "bench/services.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/workload.h"
#include "core/cleanup.h"
#include "core/mem.h"

struct environment services_environment(void)
{
	struct environment env = {
		.detector = POD_DETECTOR_CIDR,
		.has_pod_cidr = {[FAMILY_IPV4] = true},
		.masquerade_mark = 0x4000,
		.enabled = {true, true},
		.n_service_cidrs = 1,
	};

	(void)cidr_parse(WORKLOAD_POD_CIDR, &env.pod_cidr[FAMILY_IPV4]);
	(void)cidr_parse(WORKLOAD_SERVICE_CIDR, &env.service_cidrs[0]);
	return env;
}

struct service *services_make(const struct services *s, uint32_t number, uint32_t version)
{
	_cleanup_(freep) struct endpoint *endpoints =
		xcalloc(s->n_endpoints, sizeof(*endpoints));
	const struct frontend frontend = {
		.addr = workload_cluster_ip(number),
		.port = WORKLOAD_PORT,
		.kind = FRONTEND_CLUSTER_IP,
		.from = {{ACTION_BALANCE, POOL_CLUSTER, 0},
			 {ACTION_BALANCE, POOL_CLUSTER, 1},
			 {ACTION_BALANCE, POOL_CLUSTER, 1}},
	};
	char name[24];
	const struct service_spec spec = {
		.ns = "bench",
		.name = name,
		.port_name = "http",
		.family = FAMILY_IPV4,
		.proto = s->has_udp && number % 2 ? IPPROTO_UDP : IPPROTO_TCP,
		.frontends = &frontend,
		.n_frontends = 1,
		.endpoints = endpoints,
		.n_endpoints = s->n_endpoints,
	};

	(void)snprintf(name, sizeof(name), "svc-%u", number);
	for (uint32_t i = 0; i < s->n_endpoints; i++)
		endpoints[i] = (struct endpoint){
			.addr = workload_endpoint(number, i, s->n_endpoints, version),
			.port = WORKLOAD_TARGET_PORT,
			.flags = ENDPOINT_CLUSTER | ENDPOINT_SERVING,
		};
	return service_new(&spec);
}

void services_init(struct services *s, uint32_t n, uint32_t n_endpoints, bool has_udp)
{
	*s = (struct services){.n = n, .n_endpoints = n_endpoints, .has_udp = has_udp};
	s->env = services_environment();
	s->changes = xcalloc(n, sizeof(*s->changes));
	for (uint32_t i = 0; i < n; i++)
		s->changes[i].new = services_make(s, i, 0);
}

void services_fini(struct services *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		service_unref((struct service *)s->changes[i].new);
	free(s->changes);
	*s = (struct services){0};
}

struct changeset services_all(const struct services *s)
{
	return (struct changeset){.full = true,
				  .env = &s->env,
				  .changes = s->changes,
				  .n = s->n};
}
