#include "core/clock.h"

#include <stdio.h>

#define US_PER_SEC 1000000

char *clock_format(int64_t wall_us, char text[CLOCK_TEXT_LEN])
{
	time_t sec = (time_t)(wall_us / US_PER_SEC);
	struct tm tm;
	size_t n;

	(void)gmtime_r(&sec, &tm);
	/* %Y of strftime() has fewer digits before the year 1000 */
	n = (size_t)snprintf(text, CLOCK_TEXT_LEN, "%04d", tm.tm_year + 1900);
	n += strftime(text + n, CLOCK_TEXT_LEN - n, "-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(text + n, CLOCK_TEXT_LEN - n, ".%06dZ",
		       (int)(wall_us % US_PER_SEC));
	return text;
}
