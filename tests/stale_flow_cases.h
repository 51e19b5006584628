/*
 * A change of one Service, and which flows it makes stale.  Two programs run
 * these rows: unit/test_flow_match.c asks the matcher, and
 * kernel/test_stale_flows.c makes the flows in the kernel and looks at what is
 * left after the change.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>

#include "core/service.h"
#include "tests/short_service.h"

#define DNS_FRONTENDS "10.96.0.10:53 192.168.0.2:30053 1.2.3.4:53 5.6.7.8:53"
#define DNS_ENDPOINTS "10.0.0.5:53 10.0.0.6:53"

/* Of a UDP service; without frontends: there is no Service. "!" marks an endpoint that isn't serving. */
struct stale_flow_service {
	const char *frontends, *endpoints;
};

struct stale_flow {
	uint8_t proto; /* 0: the end of the list */
	const char *dst, *reply_src;
	bool is_stale;
};

struct stale_flow_case {
	const char *name;
	struct stale_flow_service before, after;
	struct stale_flow flows[20];
};

static const struct stale_flow_case stale_flow_cases[] = {
	{
		.name = "flows that no serving endpoint answers are stale",
		.after = {DNS_FRONTENDS, DNS_ENDPOINTS " 10.0.0.7:53!"},
		.flows =
			{
				{IPPROTO_UDP, "10.96.0.10:53", "10.0.0.5:53", false},
				{IPPROTO_UDP, "10.96.0.10:53", "10.0.0.6:53", false},
				/* an endpoint that was removed */
				{IPPROTO_UDP, "10.96.0.10:53", "10.0.0.9:53", true},
				/* never translated */
				{IPPROTO_UDP, "10.96.0.10:53", "10.96.0.10:53", true},
				/* its port changed */
				{IPPROTO_UDP, "10.96.0.10:53", "10.0.0.5:5353", true},
				/* an endpoint that isn't serving */
				{IPPROTO_UDP, "10.96.0.10:53", "10.0.0.7:53", true},
				{IPPROTO_UDP, "1.2.3.4:53", "10.0.0.5:53", false},
				{IPPROTO_UDP, "1.2.3.4:53", "10.0.0.9:53", true},
				{IPPROTO_UDP, "5.6.7.8:53", "10.0.0.6:53", false},
				{IPPROTO_UDP, "5.6.7.8:53", "5.6.7.8:53", true},
				{IPPROTO_UDP, "192.168.0.2:30053", "10.0.0.5:53", false},
				{IPPROTO_UDP, "192.168.0.2:30053", "10.0.0.9:53", true},
				{IPPROTO_TCP, "10.96.0.10:53", "10.0.0.9:53", false},
				{IPPROTO_SCTP, "10.96.0.10:53", "10.0.0.9:53", false},
				/* not addresses of ours */
				{IPPROTO_UDP, "10.96.0.10:54", "10.0.0.9:53", false},
				{IPPROTO_UDP, "10.96.0.11:53", "10.0.0.9:53", false},
				{IPPROTO_UDP, "192.168.0.2:53", "10.0.0.9:53", false},
				{IPPROTO_UDP, "8.8.8.8:53", "8.8.8.8:53", false},
			},
	},
	{
		.name = "IPv6 is no different",
		.after = {"[fd00::a]:53", "[2001:db8::5]:53"},
		.flows =
			{
				{IPPROTO_UDP, "[fd00::a]:53", "[2001:db8::5]:53", false},
				{IPPROTO_UDP, "[fd00::a]:53", "[2001:db8::9]:53", true},
				{IPPROTO_UDP, "[fd00::a]:53", "[fd00::a]:53", true},
				{IPPROTO_UDP, "[fd00::b]:53", "[2001:db8::9]:53", false},
				{IPPROTO_UDP, "10.96.0.10:53", "10.0.0.9:53", false},
			},
	},
	{
		.name = "without serving endpoints all flows of the Service are stale",
		.before = {DNS_FRONTENDS, DNS_ENDPOINTS},
		.after = {DNS_FRONTENDS, ""},
		.flows =
			{
				{IPPROTO_UDP, "10.96.0.10:53", "10.0.0.5:53", true},
				{IPPROTO_UDP, "192.168.0.2:30053", "10.0.0.5:53", true},
				{IPPROTO_TCP, "10.96.0.10:53", "10.0.0.5:53", false},
				{IPPROTO_UDP, "10.96.0.11:53", "10.0.0.5:53", false},
			},
	},
	{
		.name = "all flows of a deleted Service are stale",
		.before = {DNS_FRONTENDS, DNS_ENDPOINTS},
		.flows =
			{
				{IPPROTO_UDP, "10.96.0.10:53", "10.0.0.5:53", true},
				{IPPROTO_UDP, "5.6.7.8:53", "10.0.0.6:53", true},
				{IPPROTO_UDP, "192.168.0.2:30053", "10.0.0.5:53", true},
				{IPPROTO_TCP, "10.96.0.10:53", "10.0.0.5:53", false},
				{IPPROTO_UDP, "10.96.0.11:53", "10.0.0.5:53", false},
			},
	},
	{
		.name = "only the flows of a removed frontend are stale",
		.before = {DNS_FRONTENDS, DNS_ENDPOINTS},
		.after = {"10.96.0.10:53", DNS_ENDPOINTS},
		.flows =
			{
				{IPPROTO_UDP, "192.168.0.2:30053", "10.0.0.5:53", true},
				{IPPROTO_UDP, "192.168.0.2:30054", "10.0.0.5:53", false},
				{IPPROTO_UDP, "10.96.0.10:53", "10.0.0.5:53", false},
			},
	},
};

/* NULL: there is none. */
static inline struct service *stale_flow_service_new(const struct stale_flow_service *s)
{
	return s->frontends
		       ? short_service("dns", IPPROTO_UDP, s->frontends, s->endpoints)
		       : NULL;
}
