#include "tests/unit/relay_made.h"

#include <assert.h>
#include <netinet/in.h>

#include "proxy/relay/relay_service.h"

struct relay_service *relay_made_service(uint16_t n_endpoints, uint16_t first_port)
{
	struct frontend frontend = {.port = 80, .kind = FRONTEND_CLUSTER_IP};
	struct endpoint endpoints[RELAY_MADE_MAX];
	const struct relay_classifier classifier = {0};
	struct service *service;
	struct relay_service *made;

	assert(n_endpoints <= RELAY_MADE_MAX);
	(void)addr_parse("10.0.0.1", &frontend.addr);
	for (uint16_t i = 0; i < n_endpoints; i++)
		endpoints[i] =
			(struct endpoint){frontend.addr, (uint16_t)(first_port + i),
					  ENDPOINT_CLUSTER};
	service = service_new(&(struct service_spec){
		.ns = "test",
		.name = "web",
		.port_name = "",
		.proto = IPPROTO_TCP,
		.frontends = &frontend,
		.n_frontends = 1,
		.endpoints = endpoints,
		.n_endpoints = n_endpoints,
	});
	made = relay_service_new(service, &classifier, NULL);
	service_unref(service);
	return made;
}
