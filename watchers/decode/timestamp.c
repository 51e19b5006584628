#include "watchers/decode/timestamp.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

/* n digits at *text, which moves behind them; -1 when they aren't there. */
static int64_t take_digits(const char **text, int n)
{
	int64_t value = 0;

	for (int i = 0; i < n; i++, (*text)++) {
		if (!isdigit((unsigned char)**text))
			return -1;
		value = value * 10 + (**text - '0');
	}
	return value;
}

static bool take_char(const char **text, const char *any_of)
{
	for (; *any_of; any_of++) {
		if (**text == *any_of) {
			(*text)++;
			return true;
		}
	}
	return false;
}

/* Days from 1970-01-01, by the proleptic Gregorian calendar; years start in March. */
static int64_t days_since_epoch(int64_t year, int64_t month, int64_t day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t m = month <= 2 ? month + 9 : month - 3;

	return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719468;
}

static bool take_fraction(const char **text, int64_t *ret_us)
{
	int64_t us = 0, unit = 100000;

	if (!isdigit((unsigned char)**text))
		return false;
	for (; isdigit((unsigned char)**text); (*text)++, unit /= 10)
		us += unit * (**text - '0');
	*ret_us = us;
	return true;
}

/* "Z" or "+hh:mm", to the end of the text. */
static bool take_zone(const char **text, int64_t *ret_sec)
{
	int64_t hours, minutes, sign;

	if (take_char(text, "Zz")) {
		*ret_sec = 0;
		return **text == '\0';
	}
	sign = **text == '-' ? -1 : 1;
	if (!take_char(text, "+-"))
		return false;
	hours = take_digits(text, 2);
	if (hours < 0 || hours > 23 || !take_char(text, ":"))
		return false;
	minutes = take_digits(text, 2);
	if (minutes < 0 || minutes > 59)
		return false;
	*ret_sec = sign * (hours * 3600 + minutes * 60);
	return **text == '\0';
}

struct digits {
	int n;
	int64_t min, max;
	const char *then; /* what must follow; NULL: nothing in particular */
};

int timestamp_parse(const char *text, int64_t *ret_us)
{
	static const struct digits parts[] = {
		{4, 0, 9999, "-"}, {2, 1, 12, "-"}, {2, 1, 31, "Tt "},
		{2, 0, 23, ":"},   {2, 0, 59, ":"}, {2, 0, 60, NULL},
	};
	int64_t v[6], us = 0, zone_sec = 0;

	for (size_t i = 0; i < 6; i++) {
		v[i] = take_digits(&text, parts[i].n);
		if (v[i] < parts[i].min || v[i] > parts[i].max)
			return -EINVAL;
		if (parts[i].then && !take_char(&text, parts[i].then))
			return -EINVAL;
	}
	if (take_char(&text, ".") && !take_fraction(&text, &us))
		return -EINVAL;
	if (!take_zone(&text, &zone_sec))
		return -EINVAL;
	*ret_us = (days_since_epoch(v[0], v[1], v[2]) * 86400 + v[3] * 3600 + v[4] * 60 +
		   v[5] - zone_sec) *
			  1000000 +
		  us;
	return 0;
}
