/*
 * The requests of a Service by "sluice.io/..." annotations.  All zero is the
 * default behaviour.  Decoded and checked by watchers/decode; each data plane
 * acts on the options that it supports.
 */
#pragma once

#include <stdint.h>

/* The treatment of open connections when their endpoint is removed. */
enum endpoint_removal {
	ENDPOINT_REMOVAL_KEEP,	/* nothing: they last as long as the backend does */
	ENDPOINT_REMOVAL_RESET, /* they are closed immediately */
	ENDPOINT_REMOVAL_DRAIN, /* they are closed after drain_ms */
};

enum health_check {
	HEALTH_CHECK_NONE,
	HEALTH_CHECK_TCP,  /* a connection can be opened */
	HEALTH_CHECK_HTTP, /* GET of a path returns 200 to 399 */
};

struct service_options {	     /* part of compared blocks: no padding */
	uint8_t on_endpoint_removed; /* enum endpoint_removal */
	uint8_t proxy_protocol;	     /* version; 0: none */
	uint8_t health_check;	     /* enum health_check */
	uint8_t health_rise;	     /* successes until healthy; 0: default */
	uint8_t health_fall;	     /* failures until unhealthy; 0: default */
};

/* The durations, apart: nearly no service has any. */
struct service_times {
	uint32_t drain_ms;	     /* with ENDPOINT_REMOVAL_DRAIN */
	uint32_t hold_ms;	     /* how long a new connection waits for an endpoint */
	uint32_t connect_timeout_ms; /* to one endpoint */
	uint32_t set_aside_ms;	     /* how long a failed endpoint is avoided */
	uint32_t health_interval_ms; /* between two checks */
	uint32_t health_timeout_ms;  /* of one check */
};

_Static_assert(sizeof(struct service_options) == 5, "service_options has padding");
_Static_assert(sizeof(struct service_times) == 24, "service_times has padding");

/* Where they are 0; the time-out is at most half of the interval. */
#define HEALTH_INTERVAL_MS 2000u
#define HEALTH_TIMEOUT_MS  1000u
#define HEALTH_RISE	   2u
#define HEALTH_FALL	   3u
