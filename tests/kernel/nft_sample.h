/*
 * Services in a compact notation, and a sink in a network namespace of its
 * own, for tests of the ruleset in the kernel.
 */
#pragma once

#include "core/buf.h"
#include "core/environment.h"
#include "core/service.h"
#include "rules/nft/nft.h"

/* The decision for a frontend that has endpoints; the plan's combinations. */
enum sample_policy {
	SAMPLE_CLUSTER_IP,     /* one pool, masqueraded for all but pods */
	SAMPLE_CLUSTER_LOCAL,  /* a ClusterIP with policy Local */
	SAMPLE_EXTERNAL,       /* one pool, masqueraded for all */
	SAMPLE_EXTERNAL_LOCAL, /* the node's endpoints for those outside */
	SAMPLE_REJECT,
	SAMPLE_DROP,
};

struct sample_frontend {
	const char *at; /* "10.96.0.1:80" or "[fd00::1]:80"; NULL ends the list */
	enum sample_policy policy;
	bool is_limited;
};

#define SAMPLE_FRONTENDS_MAX 4

struct sample {
	const char *name;
	uint8_t proto; /* 0: TCP */
	struct sample_frontend frontends[SAMPLE_FRONTENDS_MAX + 1];
	/* "10.2.0.2:8080 10.2.0.3:8080L": with L, here and in the node-local pool, too */
	const char *endpoints;
	const char *allowed; /* "10.0.0.0/8 …" */
	uint32_t affinity_sec;
};

/* One reference, in the family of its first frontend. */
struct service *sample_service(const struct sample *sample);
/* With more endpoints than one would write down: n of them, from 10.128.0.1 on. */
struct service *sample_large_service(const char *name, const char *at, uint32_t n);

/* Both families, pods known by their network, two service networks. */
struct environment sample_environment(void);

/* The wanted state: an array of services that owns its references. */
struct sample_world {
	struct environment env;
	struct service **services;
	size_t n, cap;
	struct sink *sink;
	size_t n_refused; /* by the last change set */
};

/* In a fresh network namespace. Exits with TEST_SKIPPED where that can't be. */
int sample_setup(void **state);
int sample_teardown(void **state);

void sample_put(struct sample_world *w, const struct sample *samples, size_t n);
void sample_put_service(struct sample_world *w, struct service *taken);
void sample_clear(struct sample_world *w);

/* A full apply of all services there are now. */
int sample_full(struct sample_world *w);
/* Another sink, as after a restart. */
void sample_restart(struct sample_world *w);
/*
 * One delta from the current services to these.  Services are the same when
 * they have the same name and family.
 */
int sample_delta(struct sample_world *w, struct service **taken, size_t n);
/* All lines of the sink's diff, and how many. */
size_t sample_diff(struct sink *sink, const struct changeset *full,
		   struct buf *ret_lines);
size_t sample_n_differences(struct sample_world *w);
/* The last apply must have left nothing to be desired; says what, else. */
void sample_expect_exact(struct sample_world *w);

/* The output of a shell command, which must succeed; the caller frees it. */
__attribute__((format(printf, 1, 2))) char *shell(const char *fmt, ...);
__attribute__((format(printf, 1, 2))) void shell_run(const char *fmt, ...);
uint32_t sample_generation(void);
