/*
 * Each test has a namespace to itself: what it programs ends with the process,
 * or with the next test's namespace.
 */
#include "tests/kernel/nft_sample.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "rules/nft/nft_link.h"
#include "tests/test.h"

static const struct {
	uint8_t kind;
	struct decision from[CLIENT_N];
} policies[] = {
	[SAMPLE_CLUSTER_IP] = {FRONTEND_CLUSTER_IP,
			       {{ACTION_BALANCE, POOL_CLUSTER, 0},
				{ACTION_BALANCE, POOL_CLUSTER, 1},
				{ACTION_BALANCE, POOL_CLUSTER, 1}}},
	[SAMPLE_CLUSTER_LOCAL] = {FRONTEND_CLUSTER_IP,
				  {{ACTION_BALANCE, POOL_LOCAL, 0},
				   {ACTION_BALANCE, POOL_LOCAL, 1},
				   {ACTION_BALANCE, POOL_LOCAL, 1}}},
	[SAMPLE_EXTERNAL] = {FRONTEND_EXTERNAL_IP,
			     {{ACTION_BALANCE, POOL_CLUSTER, 1},
			      {ACTION_BALANCE, POOL_CLUSTER, 1},
			      {ACTION_BALANCE, POOL_CLUSTER, 1}}},
	[SAMPLE_EXTERNAL_LOCAL] = {FRONTEND_LOAD_BALANCER,
				   {{ACTION_BALANCE, POOL_CLUSTER, 0},
				    {ACTION_BALANCE, POOL_CLUSTER, 1},
				    {ACTION_BALANCE, POOL_LOCAL, 0}}},
	[SAMPLE_REJECT] = {FRONTEND_CLUSTER_IP,
			   {{ACTION_REJECT, 0, 0},
			    {ACTION_REJECT, 0, 0},
			    {ACTION_REJECT, 0, 0}}},
	[SAMPLE_DROP] = {FRONTEND_CLUSTER_IP,
			 {{ACTION_DROP, 0, 0}, {ACTION_DROP, 0, 0}, {ACTION_DROP, 0, 0}}},
};

static void parse_frontend(const struct sample_frontend *sample, struct frontend *ret)
{
	*ret = (struct frontend){
		.kind = policies[sample->policy].kind,
		.is_limited = sample->is_limited,
	};
	memcpy(ret->from, policies[sample->policy].from, sizeof(ret->from));
	assert_int_equal(addr_port_parse(sample->at, &ret->addr, &ret->port), 0);
}

static struct endpoint parse_endpoint(char *text)
{
	struct endpoint e = {.flags = ENDPOINT_CLUSTER | ENDPOINT_SERVING};
	size_t len = strlen(text);

	if (text[len - 1] == 'L') {
		text[len - 1] = '\0';
		e.flags |= ENDPOINT_LOCAL | ENDPOINT_HERE;
	}
	assert_int_equal(addr_port_parse(text, &e.addr, &e.port), 0);
	return e;
}

struct service *sample_service(const struct sample *sample)
{
	_cleanup_(freep) char *endpoints =
		xstrdup(sample->endpoints ? sample->endpoints : "");
	_cleanup_(freep) char *allowed = xstrdup(sample->allowed ? sample->allowed : "");
	struct frontend frontends[SAMPLE_FRONTENDS_MAX];
	struct endpoint endpoint[64];
	struct cidr cidr[64];
	struct service_spec spec = {
		.ns = "default",
		.name = sample->name,
		.port_name = "http",
		.proto = sample->proto ? sample->proto : IPPROTO_TCP,
		.affinity_sec = sample->affinity_sec,
		.frontends = frontends,
		.endpoints = endpoint,
		.allowed = cidr,
	};

	for (; sample->frontends[spec.n_frontends].at; spec.n_frontends++)
		parse_frontend(&sample->frontends[spec.n_frontends],
			       &frontends[spec.n_frontends]);
	spec.family = addr_family(&frontends[0].addr);
	for (char *word, *rest = endpoints; (word = strtok_r(rest, " ", &rest));)
		endpoint[spec.n_endpoints++] = parse_endpoint(word);
	for (char *word, *rest = allowed; (word = strtok_r(rest, " ", &rest));)
		assert_int_equal(cidr_parse(word, &cidr[spec.n_allowed++]), 0);
	return service_new(&spec);
}

struct service *sample_large_service(const char *name, const char *at, uint32_t n)
{
	_cleanup_(freep) struct endpoint *endpoints = xcalloc(n, sizeof(*endpoints));
	const struct sample_frontend sample = {at, SAMPLE_CLUSTER_IP, false};
	struct frontend frontend;
	struct service_spec spec = {
		.ns = "default",
		.name = name,
		.port_name = "",
		.proto = IPPROTO_TCP,
		.frontends = &frontend,
		.n_frontends = 1,
		.endpoints = endpoints,
		.n_endpoints = n,
	};

	parse_frontend(&sample, &frontend);
	for (uint32_t i = 0; i < n; i++) {
		const uint32_t bytes = htonl(0x0a800001 + i);

		endpoints[i] = (struct endpoint){
			.addr = addr_from_bytes(FAMILY_IPV4, &bytes),
			.port = 8080,
			.flags = ENDPOINT_CLUSTER | ENDPOINT_SERVING,
		};
	}
	return service_new(&spec);
}

struct environment sample_environment(void)
{
	struct environment env = {
		.detector = POD_DETECTOR_CIDR,
		.has_pod_cidr = {true, true},
		.masquerade_mark = 0x4000,
		.enabled = {true, true},
		.n_service_cidrs = 2,
	};

	assert_int_equal(cidr_parse("10.244.0.0/16", &env.pod_cidr[FAMILY_IPV4]), 0);
	assert_int_equal(cidr_parse("fd00:244::/56", &env.pod_cidr[FAMILY_IPV6]), 0);
	assert_int_equal(cidr_parse("10.96.0.0/12", &env.service_cidrs[0]), 0);
	assert_int_equal(cidr_parse("fd00:96::/108", &env.service_cidrs[1]), 0);
	return env;
}

int sample_setup(void **state)
{
	struct sample_world *w;

	if (unshare(CLONE_NEWNET) == -1) {
		print_message("no network namespace: %s\n", strerror(errno));
		exit(TEST_SKIPPED);
	}
	shell_run("ip link set lo up");
	w = xcalloc(1, sizeof(*w));
	w->env = sample_environment();
	assert_int_equal(nft_sink_new(&w->sink), 0);
	*state = w;
	return 0;
}

void sample_clear(struct sample_world *w)
{
	while (w->n > 0)
		service_unref(w->services[--w->n]);
}

int sample_teardown(void **state)
{
	struct sample_world *w = *state;

	sample_clear(w);
	free(w->services);
	sink_close(w->sink);
	free(w);
	return 0;
}

void sample_put_service(struct sample_world *w, struct service *taken)
{
	w->services = xgrow(w->services, w->n, &w->cap, sizeof(taken));
	w->services[w->n++] = taken;
}

void sample_put(struct sample_world *w, const struct sample *samples, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sample_put_service(w, sample_service(&samples[i]));
}

static struct change *full_changes(const struct sample_world *w)
{
	struct change *changes = xcalloc(w->n + 1, sizeof(*changes));

	for (size_t i = 0; i < w->n; i++)
		changes[i].new = w->services[i];
	return changes;
}

static void count_refused(void *data, const struct service *service, const char *why)
{
	struct sample_world *w = data;

	assert_non_null(service);
	assert_non_null(strstr(why, ": "));
	w->n_refused++;
}

static int apply(struct sample_world *w, struct changeset *cs)
{
	cs->refuse = count_refused;
	cs->data = w;
	w->n_refused = 0;
	return sink_apply(w->sink, cs);
}

int sample_full(struct sample_world *w)
{
	_cleanup_(freep) struct change *changes = full_changes(w);
	struct changeset cs = {
		.full = true,
		.env = &w->env,
		.changes = changes,
		.n = w->n,
	};

	return apply(w, &cs);
}

void sample_restart(struct sample_world *w)
{
	sink_close(w->sink);
	assert_int_equal(nft_sink_new(&w->sink), 0);
}

int sample_delta(struct sample_world *w, struct service **taken, size_t n)
{
	_cleanup_(freep) struct change *changes = xcalloc(w->n + n + 1, sizeof(*changes));
	struct changeset cs = {.env = &w->env, .changes = changes};
	int err;

	for (size_t i = 0; i < w->n; i++)
		changes[cs.n++].old = w->services[i];
	for (size_t i = 0; i < n; i++) {
		size_t at = 0;

		while (at < w->n && !service_same_key(w->services[at], taken[i]))
			at++;
		if (at == w->n)
			at = cs.n++;
		changes[at].new = taken[i];
	}
	err = apply(w, &cs);
	sample_clear(w);
	for (size_t i = 0; i < n; i++)
		sample_put_service(w, taken[i]);
	return err;
}

size_t sample_diff(struct sink *sink, const struct changeset *full, struct buf *ret_lines)
{
	struct sink_diff *d = sink->ops->view->diff(sink, full);
	size_t n;
	int err;

	do {
		err = sink_diff_step(d);
	} while (err == 1);
	assert_int_equal(err, 0);
	buf_add_string(ret_lines, sink_diff_lines(d, &n));
	sink_diff_free(d);
	return n;
}

static size_t differences(struct sample_world *w, struct buf *ret_lines)
{
	_cleanup_(freep) struct change *changes = full_changes(w);
	const struct changeset cs = {
		.full = true,
		.env = &w->env,
		.changes = changes,
		.n = w->n,
	};

	return sample_diff(w->sink, &cs, ret_lines);
}

size_t sample_n_differences(struct sample_world *w)
{
	_cleanup_(buf_fini) struct buf lines = BUF_INIT;

	return differences(w, &lines);
}

void sample_expect_exact(struct sample_world *w)
{
	_cleanup_(buf_fini) struct buf lines = BUF_INIT;

	if (differences(w, &lines) > 0)
		fail_msg("%s", buf_string(&lines));
}

char *shell(const char *fmt, ...)
{
	_cleanup_(buf_fini) struct buf command = BUF_INIT;
	struct buf output = BUF_INIT;
	char bytes[4096];
	va_list ap;
	size_t len;
	FILE *f;

	va_start(ap, fmt);
	buf_vprintf(&command, fmt, ap);
	va_end(ap);
	f = popen(buf_string(&command), "re");
	assert_non_null(f);
	while ((len = fread(bytes, 1, sizeof(bytes), f)) > 0)
		buf_add(&output, bytes, len);
	if (pclose(f) != 0)
		fail_msg("%s", buf_string(&command));
	return buf_take(&output);
}

void shell_run(const char *fmt, ...)
{
	_cleanup_(buf_fini) struct buf command = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&command, fmt, ap);
	va_end(ap);
	free(shell("%s", buf_string(&command)));
}

uint32_t sample_generation(void)
{
	struct nft_link link = NFT_LINK_INIT;
	uint32_t generation = 0;

	assert_int_equal(nft_link_open(&link), 0);
	assert_int_equal(nft_link_generation(&link, &generation), 0);
	nft_link_close(&link);
	return generation;
}
