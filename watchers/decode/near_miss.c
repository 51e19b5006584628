#include "watchers/decode/near_miss.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define MAX_LEN 48

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t difference(size_t a, size_t b)
{
	return a < b ? b - a : a - b;
}

/* Letters to insert, delete or replace, whatever their case. */
static size_t distance(const char *a, const char *b)
{
	size_t row[MAX_LEN + 1], n = strlen(b);

	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			bool differs = tolower((unsigned char)a[i - 1]) !=
				       tolower((unsigned char)b[j - 1]);
			size_t above = row[j];

			row[j] = smaller(diagonal + differs,
					 smaller(above, row[j - 1]) + 1);
			diagonal = above;
		}
	}
	return row[n];
}

const char *near_miss_find(const char *text, const char *const *names)
{
	size_t len = strlen(text), best = 1 + (len > 4) + (len > 16);
	const char *nearest = NULL;

	for (size_t i = 0; names[i]; i++)
		if (strcmp(names[i], text) == 0)
			return NULL;
	for (size_t i = 0; names[i] && len <= MAX_LEN; i++) {
		size_t name_len = strlen(names[i]), d;

		/* each letter too many is one of the distance: most names end here */
		if (difference(len, name_len) > best || name_len > MAX_LEN)
			continue;
		d = distance(text, names[i]);
		if (d < best || (d == best && !nearest)) {
			best = d;
			nearest = names[i];
		}
	}
	return nearest;
}
