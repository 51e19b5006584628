/*
 * Session affinity with many bound clients: the time of a change, of a comparison of
 * everything, and of that after a restart.  In a network namespace of its own.
 *
 *   bench_affinity CLIENTS...
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/rows.h"
#include "core/changeset.h"
#include "core/service.h"
#include "rules/nft/nft.h"
#include "tests/kernel/affinity_fill.h"

#define N_ENDPOINTS  5
#define AFFINITY_SEC 10800

static struct addr parse(const char *text)
{
	struct addr addr;
	int err = addr_parse(text, &addr);

	if (err)
		rows_fail(err, "%s", text);
	return addr;
}

static struct service *make_service(uint32_t n_endpoints)
{
	struct endpoint endpoints[N_ENDPOINTS];
	struct frontend frontend = {
		.addr = parse("10.96.0.1"),
		.port = 80,
		.kind = FRONTEND_CLUSTER_IP,
	};

	for (uint32_t i = 0; i < n_endpoints; i++) {
		char text[ADDR_TEXT_LEN];

		(void)snprintf(text, sizeof(text), "10.244.0.%u", i + 1);
		endpoints[i] = (struct endpoint){
			.addr = parse(text),
			.port = 8080,
			.flags = ENDPOINT_CLUSTER | ENDPOINT_SERVING,
		};
	}
	return service_new(&(struct service_spec){
		.ns = "default",
		.name = "web",
		.port_name = "",
		.proto = IPPROTO_TCP,
		.affinity_sec = AFFINITY_SEC,
		.frontends = &frontend,
		.n_frontends = 1,
		.endpoints = endpoints,
		.n_endpoints = n_endpoints,
	});
}

static double apply_ms(struct sink *sink, bool is_full, const struct service *old,
		       const struct service *new)
{
	static const struct environment env = {.enabled = {[FAMILY_IPV4] = true}};
	const struct change change = {old, new};
	const struct changeset cs = {
		.full = is_full,
		.env = &env,
		.changes = &change,
		.n = 1,
	};
	uint64_t start_us = samples_now_us();
	int err = sink_apply(sink, &cs);

	if (err)
		rows_fail(err, "apply");
	return (double)(samples_now_us() - start_us) / 1000;
}

static struct sink *open_sink(void)
{
	struct sink *sink;
	int err = nft_sink_new(&sink);

	if (err)
		rows_fail(err, "nftables");
	return sink;
}

static void measure(uint32_t n)
{
	struct service *all = make_service(N_ENDPOINTS);
	struct service *less = make_service(N_ENDPOINTS - 1);
	double fill_ms, removed_ms, added_ms, full_ms, restart_ms;
	struct sink *sink;
	uint64_t start_us;
	int err;

	if (unshare(CLONE_NEWNET) == -1)
		rows_fail(-errno, "network namespace");
	sink = open_sink();
	(void)apply_ms(sink, true, NULL, all);
	start_us = samples_now_us();
	err = affinity_fill(n);
	if (err)
		rows_fail(err, "fill");
	fill_ms = (double)(samples_now_us() - start_us) / 1000;
	removed_ms = apply_ms(sink, false, all, less);
	added_ms = apply_ms(sink, false, less, all);
	full_ms = apply_ms(sink, true, NULL, all);
	sink_close(sink);
	sink = open_sink();
	restart_ms = apply_ms(sink, true, NULL, all);
	sink_close(sink);
	printf("%10u %12.1f %12.2f %12.2f %12.2f %12.2f\n", n, fill_ms, removed_ms,
	       added_ms, full_ms, restart_ms);
	service_unref(all);
	service_unref(less);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		(void)fputs("usage: bench_affinity CLIENTS...\n", stderr);
		return 2;
	}
	printf("%10s %12s %12s %12s %12s %12s\n", "clients", "filled, ms", "removed, ms",
	       "added, ms", "full, ms", "restart, ms");
	for (int i = 1; i < argc; i++)
		measure((uint32_t)strtoul(argv[i], NULL, 10));
	return 0;
}
