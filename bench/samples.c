#include "bench/samples.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"

void samples_fini(struct samples *s)
{
	free(s->values);
	*s = (struct samples){0};
}

void samples_add(struct samples *s, uint64_t value)
{
	s->values = xgrow(s->values, s->n, &s->cap, sizeof(*s->values));
	s->values[s->n++] = value;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

uint64_t samples_quantile(struct samples *s, double q)
{
	size_t rank;

	if (s->n == 0)
		return 0;
	qsort(s->values, s->n, sizeof(*s->values), compare);
	rank = (size_t)ceil(q * (double)s->n);
	return s->values[rank > 0 ? rank - 1 : 0];
}

uint64_t samples_now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

double samples_memory_mb(int pid, const char *field)
{
	_cleanup_(freep) char *path = xasprintf("/proc/%d/status", pid ? pid : getpid());
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	char line[256];

	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, field, strlen(field)) == 0)
			return strtod(line + strlen(field), NULL) / 1024.0;
	}
	return 0;
}
