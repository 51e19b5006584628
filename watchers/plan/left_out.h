/*
 * Valid objects that nothing is planned for, Service ports without endpoints
 * because of their names, why, and what to do.
 */
#pragma once

#include <stdbool.h>

struct cluster;
struct object_service;
struct object_service_port;

struct left_out {
	const char *kind, *ns, *name;
	const char *reason;
	bool is_mistake; /* most likely; false: by a rule that users rely on */
};

void left_out_each(const struct cluster *cluster,
		   void (*fn)(void *data, const struct left_out *left), void *data);
/* Of one Service: itself or, if it does not exist, its slices. */
void left_out_of(const struct cluster *cluster, const char *ns, const char *name,
		 void (*fn)(void *data, const struct left_out *left), void *data);

/*
 * Why a port of the Service has no endpoints although the Service has: no slice has
 * a port of its name and protocol. NULL: it has, or there are none. The caller frees it.
 */
char *left_out_port(const struct cluster *cluster, const struct object_service *s,
		    const struct object_service_port *port);

/*
 * A Service without slices, while another namespace has some of its name, but no such
 * Service: slices count in their own namespace only. NULL otherwise. The caller frees
 * it. It looks at all slices.
 */
char *left_out_elsewhere(const struct cluster *cluster, const struct object_service *s);
