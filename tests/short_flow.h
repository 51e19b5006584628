/*
 * Flows for tests out of short text: who sent to whom, and who answers.
 */
#pragma once

#include "tests/test.h"

#include "core/addr.h"
#include "rules/conntrack/flow_match.h"

static inline struct flow short_flow(uint8_t proto, const char *src, const char *dst,
				     const char *reply_src)
{
	struct flow flow = {.proto = proto};
	struct flow_ends *original = &flow.original, *reply = &flow.reply;

	assert_int_equal(addr_port_parse(src, &original->src, &original->src_port), 0);
	assert_int_equal(addr_port_parse(dst, &original->dst, &original->dst_port), 0);
	assert_int_equal(addr_port_parse(reply_src, &reply->src, &reply->src_port), 0);
	reply->dst = original->src;
	reply->dst_port = original->src_port;
	return flow;
}
