/*
 * A line is built whole and leaves with one write(2), so that lines of several
 * threads, or of a parent and its child, don't mix.
 */
#include "core/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cleanup.h"

#define MESSAGE_MAX_LEN 8192

static atomic_int log_max_level = LOG_LEVEL_INFO;
static atomic_bool log_is_json;

static const char *const level_names[] = {
	[LOG_LEVEL_ERR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

/* "2026-11-22T10:11:12.345Z" */
static void add_time(struct buf *b)
{
	struct timespec now;
	struct tm tm;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &tm);
	buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", tm.tm_year + 1900,
		   tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		   now.tv_nsec / 1000000);
}

/* How long the UTF-8 character at s is; 0 when the bytes there are none. */
static size_t utf8_len(const unsigned char *s)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (n == 1)
		return 1;
	/* continuation bytes, overlong forms, surrogates, beyond U+10FFFF */
	if (s[0] < 0xc2 || s[0] > 0xf4 || (s[0] == 0xe0 && s[1] < 0xa0) ||
	    (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* Foreign bytes end up in messages: nothing may end the line or fake another one. */
static void add_escaped(struct buf *b, const char *text, bool json)
{
	const unsigned char *s = (const unsigned char *)text;

	for (size_t n; *s; s += n ? n : 1) {
		n = utf8_len(s);
		if (n == 0)
			buf_add_string(b, json ? "\\ufffd" : "\xef\xbf\xbd");
		else if (*s == '\n')
			buf_add_string(b, "\\n");
		else if (*s < 0x20 || *s == 0x7f)
			buf_printf(b, json ? "\\u%04x" : "\\x%02x", *s);
		else if (json && (*s == '"' || *s == '\\'))
			buf_printf(b, "\\%c", *s);
		else
			buf_add(b, s, n);
	}
}

static void build_line(struct buf *line, enum log_level level, const char *message)
{
	if (atomic_load_explicit(&log_is_json, memory_order_relaxed)) {
		buf_add_string(line, "{\"ts\":\"");
		add_time(line);
		buf_printf(line, "\",\"level\":\"%s\",\"msg\":\"", level_names[level]);
		add_escaped(line, message, true);
		buf_add_string(line, "\"}\n");
		return;
	}
	add_time(line);
	buf_printf(line, " %-5s ", level_names[level]);
	add_escaped(line, message, false);
	buf_add_char(line, '\n');
}

static void write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* nobody reads our log: nowhere to say so */
		bytes += n;
		len -= (size_t)n;
	}
}

void log_set_verbosity(int verbosity)
{
	atomic_store(&log_max_level, verbosity >= 2 ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
}

void log_set_json(bool json)
{
	atomic_store(&log_is_json, json);
}

bool log_is_debug(void)
{
	return atomic_load_explicit(&log_max_level, memory_order_relaxed) >=
	       LOG_LEVEL_DEBUG;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	_cleanup_(buf_fini) struct buf line = BUF_INIT;
	char message[MESSAGE_MAX_LEN];
	int saved_errno = errno;
	va_list ap;

	if ((int)level > atomic_load_explicit(&log_max_level, memory_order_relaxed))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(message, sizeof(message), fmt, ap); /* longer ones are cut */
	va_end(ap);
	build_line(&line, level, message);
	write_all(STDERR_FILENO, line.data, line.len);
	errno = saved_errno;
}
