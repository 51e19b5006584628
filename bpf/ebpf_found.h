/*
 * The content of the maps, read back. Nothing of it is trusted: every number is
 * checked before it is used as an index.
 */
#pragma once

#include "bpf/ebpf_kernel.h"
#include "core/hash.h"

enum ebpf_found_flag {
	EBPF_FOUND_RETIRED =
		1 << 0, /* its service passes everything: as good as deleted */
	EBPF_FOUND_WANTED = 1 << 1, /* for the caller */
};

struct ebpf_found { /* embedded; the frontends, in no order */
	struct ebpf_frontend_key *keys;
	struct ebpf_frontend *values;
	uint8_t *flags; /* enum ebpf_found_flag */
	size_t n;
	struct hash index;
};

#define EBPF_FOUND_NONE SIZE_MAX

/* 0 or -errno. ebpf_found_fini() follows in any case. */
int ebpf_found_read(struct ebpf_found *f, const struct ebpf_kernel *k);
void ebpf_found_fini(struct ebpf_found *f);
/* Its number, or EBPF_FOUND_NONE. */
size_t ebpf_found_find(const struct ebpf_found *f, const struct ebpf_frontend_key *key);

/* Records that are in use, by their service. */
struct ebpf_found_endpoints { /* embedded */
	/* those of one service follow each other, in order; last those of no service */
	uint32_t *ids;
	uint32_t *first; /* where those of a service start, and those of no service */
	uint32_t n_services, n;
	uint32_t generation; /* the highest of all records */
};

void ebpf_found_read_endpoints(struct ebpf_found_endpoints *f,
			       const struct ebpf_arrays *arrays,
			       const struct ebpf_sizes *sizes);
void ebpf_found_endpoints_fini(struct ebpf_found_endpoints *f);
