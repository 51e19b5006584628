/*
 * The userspace plane in this process: one Service at a port of 127.0.0.1 in a
 * network namespace of the test's own, whose endpoints are sockets of the test: of TCP,
 * or of UDP.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/service.h"

#define RIG_MAX_ENDPOINTS 8
#define RIG_TIMEOUT_MS	  20000

struct relay_params;

struct relay_rig {
	struct sink *sink;
	uint8_t proto;
	uint16_t port;		 /* of the Service */
	struct service *service; /* NULL: there is none */
	char refusal[256];	 /* of the last rig_put(); empty: none */
	/* Of the next rig_put(): */
	struct service_options options;
	struct service_times times;
	uint32_t affinity_sec;
	int listeners
		[RIG_MAX_ENDPOINTS]; /* an endpoint each; -1: nothing listens there */
	uint16_t ports[RIG_MAX_ENDPOINTS];
	size_t n_listeners;
};

/* A group's set-up: a namespace of its own. */
int rig_enter(void **state);
struct relay_rig *rig_new(unsigned n_workers, size_t n_endpoints);
struct relay_rig *rig_new_tcp(const struct relay_params *params, size_t n_endpoints);
struct relay_rig *rig_new_udp(const struct relay_params *params, size_t n_endpoints);
void rig_free(struct relay_rig *rig);
/* The Service has these endpoints now (a bit each), or is removed. */
void rig_put(struct relay_rig *rig, unsigned endpoints);
void rig_remove(struct relay_rig *rig);
/* Nothing listens at this endpoint any more. */
void rig_close_endpoint(struct relay_rig *rig, size_t i);
/* Its queue is full: connections to it wait for an answer. The fillers are to be closed. */
void rig_fill_queue(const struct relay_rig *rig, size_t i, int *fillers, size_t n);
/* Value of a metric. */
double rig_stat(const struct relay_rig *rig, const char *name);

/* The numbers of the Service in `get`. */
struct rig_counts {
	uint64_t n_refused, n_current, n_current_of[RIG_MAX_ENDPOINTS];
	uint64_t n_bytes[2], n_endpoint_bytes[2]; /* of current ones; in, out */
};
struct rig_counts rig_counts(const struct relay_rig *rig);

/* A client's socket with timeouts; -errno. */
int rig_connect(const struct relay_rig *rig);
/* The connection that an endpoint gets; fails the test when none comes. */
int rig_accept(const struct relay_rig *rig, size_t i);
/* Is a connection for this endpoint waiting, within the time? */
bool rig_has_connection(const struct relay_rig *rig, size_t i, int timeout_ms);
/* Both ends of a connection through the relay, to endpoint 0. */
void rig_pair(const struct relay_rig *rig, int *ret_client, int *ret_server);

void rig_send(int fd, const char *text);
void rig_expect(int fd, const char *text);
/* The end of the stream; the other way a reset. */
void rig_expect_end(int fd);
void rig_expect_reset(int fd);
void rig_reset(int fd);
/* Sends the pattern of rig_pump() until no more is taken; returns how much was. */
size_t rig_stuff(int fd);
/* Receives n bytes of it, and compares them. */
void rig_take(int fd, size_t n);
/* Sends n bytes of a pattern from one to the other, and compares them. */
void rig_pump(int from, int to, size_t n);
