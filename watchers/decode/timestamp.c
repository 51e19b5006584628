#include "watchers/decode/timestamp.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

/* Does the text start like this? '0' stands for any digit, 'T' also for 't' and ' '. */
static bool has_form(const char *text, const char *form)
{
	for (; *form; form++, text++) {
		if (*form == '0'   ? !isdigit((unsigned char)*text)
		    : *form == 'T' ? !*text || !strchr("Tt ", *text)
				   : *text != *form)
			return false;
	}
	return true;
}

/* "Z" or "+hh:mm", to the end of the text. */
static bool parse_zone(const char *text, int64_t *ret_sec)
{
	int64_t hours, minutes;

	*ret_sec = 0;
	if (*text == 'Z' || *text == 'z')
		return text[1] == '\0';
	if ((*text != '+' && *text != '-') || !has_form(text + 1, "00:00") || text[6])
		return false;
	hours = (text[1] - '0') * 10 + text[2] - '0';
	minutes = (text[4] - '0') * 10 + text[5] - '0';
	*ret_sec = (hours * 60 + minutes) * (*text == '-' ? -60 : 60);
	return hours < 24 && minutes < 60;
}

int timestamp_parse(const char *text, int64_t *ret_us)
{
	int64_t us = 0, unit = 100000, zone_sec;
	char seconds[] = "0000-00-00T00:00:00";
	struct tm tm = {0};
	const char *end;

	if (!has_form(text, seconds))
		return -EINVAL;
	memcpy(seconds, text, strlen(seconds));
	seconds[10] = 'T';
	end = strptime(seconds, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!end || *end || tm.tm_sec > 60)
		return -EINVAL;
	text += strlen(seconds);
	if (*text == '.') {
		if (!isdigit((unsigned char)*++text))
			return -EINVAL;
		for (; isdigit((unsigned char)*text); text++, unit /= 10)
			us += unit * (*text - '0');
	}
	if (!parse_zone(text, &zone_sec))
		return -EINVAL;
	*ret_us = (timegm(&tm) - zone_sec) * 1000000 + us;
	return 0;
}
