/*
 * Shared by the programs of bench/program: their size arguments, the rows that
 * they print, and how they fail.
 */
#pragma once

#include <stdint.h>

#include "bench/samples.h"

struct rows_size {
	uint32_t n_services, n_endpoints; /* endpoints of each */
};

/* The last two arguments of n; others are named in usage. Exits with 2 if they are invalid. */
struct rows_size rows_parse_size(int argc, char **argv, int n, const char *usage);

/* Times in microseconds; cells without samples are "-". */
struct row { /* embedded; zeroed is empty */
	struct samples plan, readback, build, kernel, total;
	struct samples cpu; /* of this process, where it is measured */
};

/* Also empties the row. */
void rows_print(struct rows_size size, const char *what, struct row *row);
/* A line about memory. */
__attribute__((format(printf, 2, 3))) void rows_note(struct rows_size size,
						     const char *fmt, ...);

/* Prints why, and exits with 1. */
__attribute__((format(printf, 2, 3))) _Noreturn void rows_fail(int err, const char *fmt,
							       ...);
