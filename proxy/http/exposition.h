/*
 * Writes metrics in Prometheus' text format (version 0.0.4): a family's HELP
 * and TYPE once, then its samples.
 */
#pragma once

#include <stddef.h>

#include "core/buf.h"
#include "core/histogram.h"

struct label {
	const char *name, *value; /* the value is escaped here */
};

/* At most this many labels on a sample. */
#define EXPOSITION_MAX_LABELS 8

/* type: "counter", "gauge", "histogram", "untyped" */
void exposition_family(struct buf *out, const char *name, const char *type,
		       const char *help);
void exposition_sample(struct buf *out, const char *name, const struct label *labels,
		       size_t n_labels, double value);
/* A family with one sample that has no labels. */
void exposition_value(struct buf *out, const char *name, const char *type,
		      const char *help, double value);
void exposition_histogram(struct buf *out, const char *name, const struct label *labels,
			  size_t n_labels, const struct histogram_bounds *bounds,
			  const struct histogram *h);

/* Names need no escaping: there are none but letters, digits and underscores. */
#define EXPOSITION_CONTENT_TYPE                                                          \
	"text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
