/*
 * A line is built whole and written in one piece, so that lines of several threads, or
 * of a parent and its child, don't mix.  A reader that stands still must not stop us:
 * lines that its pipe has no room for are counted and dropped.
 */
#include "core/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/utf8.h"

#define MESSAGE_MAX_LEN 8192
#define STUCK_MS	200 /* without a reader for so long: stuck */

static atomic_int log_max_level = LOG_LEVEL_INFO;
static atomic_bool log_is_json, log_is_journal;
static atomic_uint n_lost; /* lines since the last one that was written */

static const struct log_fields no_fields;

static const char *const level_names[] = {
	[LOG_LEVEL_ERR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

/* Of syslog, as the journal reads them. */
static const int priorities[] = {
	[LOG_LEVEL_ERR] = 3,
	[LOG_LEVEL_WARN] = 4,
	[LOG_LEVEL_INFO] = 6,
	[LOG_LEVEL_DEBUG] = 7,
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

/* Foreign bytes in a message must not end the line, fake another one, or move text. */
static void add_escaped(struct buf *b, const char *text, bool json)
{
	uint32_t c = 0;

	for (size_t n; *text; text += n ? n : 1) {
		n = utf8_read(text, &c);
		if (n == 0)
			buf_add_string(b, json ? "\\ufffd" : UTF8_REPLACEMENT);
		else if (c == '\n')
			buf_add_string(b, "\\n");
		else if (utf8_is_control(c))
			buf_printf(b, json || c > 0x7f ? "\\u%04x" : "\\x%02x", c);
		else if (json && (c == '"' || c == '\\'))
			buf_printf(b, "\\%c", (int)c);
		else
			buf_add(b, text, n);
	}
}

static void add_field(struct buf *line, const char *key, const char *value)
{
	if (!value)
		return;
	buf_printf(line, ",\"%s\":\"", key);
	add_escaped(line, value, true);
	buf_add_char(line, '"');
}

static void add_json(struct buf *line, enum log_level level,
		     const struct log_fields *fields, const char *message)
{
	buf_add_string(line, "{\"ts\":\"");
	add_time(line);
	buf_printf(line, "\",\"level\":\"%s\",\"msg\":\"", level_names[level]);
	add_escaped(line, message, true);
	buf_add_char(line, '"');
	add_field(line, "service", fields->service);
	add_field(line, "family", fields->family);
	add_field(line, "reason", fields->reason);
	if (fields->duration_ms > 0)
		buf_printf(line, ",\"duration_ms\":%.3f", fields->duration_ms);
	buf_add_string(line, "}\n");
}

static void build_line(struct buf *line, enum log_level level,
		       const struct log_fields *fields, const char *message)
{
	if (atomic_load_explicit(&log_is_journal, memory_order_relaxed))
		buf_printf(line, "<%d>", priorities[level]);
	if (atomic_load_explicit(&log_is_json, memory_order_relaxed)) {
		add_json(line, level, fields, message);
		return;
	}
	add_time(line);
	buf_printf(line, " %-5s ", level_names[level]);
	add_escaped(line, message, false);
	buf_add_char(line, '\n');
}

/* Room for PIPE_BUF bytes; the first time that there is none it waits for a moment. */
static bool is_writable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int n = poll(&p, 1, atomic_load(&n_lost) ? 0 : STUCK_MS);

	return n > 0 && (p.revents & POLLOUT);
}

/* False when not all of it could be written. */
static bool write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n;

		if (!is_writable(fd))
			return false;
		n = write(fd, bytes, len < PIPE_BUF ? len : PIPE_BUF);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

static void write_line(const struct buf *line)
{
	_cleanup_(buf_fini) struct buf note = BUF_INIT;
	char message[64];
	unsigned lost = atomic_load(&n_lost);

	if (lost) {
		(void)snprintf(message, sizeof(message),
			       "log: %u lines were lost, nothing read them", lost);
		build_line(&note, LOG_LEVEL_WARN, &no_fields, message);
		if (!write_all(STDERR_FILENO, note.data, note.len)) {
			atomic_fetch_add(&n_lost, 1);
			return;
		}
		atomic_fetch_sub(&n_lost, lost);
	}
	if (!write_all(STDERR_FILENO, line->data, line->len))
		atomic_fetch_add(&n_lost, 1);
}

void log_set_verbosity(int verbosity)
{
	atomic_store(&log_max_level, verbosity >= 2 ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
}

void log_set_json(bool json)
{
	atomic_store(&log_is_json, json);
}

void log_detect_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	atomic_store(&log_is_journal,
		     stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
			     fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device &&
			     st.st_ino == inode);
}

bool log_is_debug(void)
{
	return atomic_load_explicit(&log_max_level, memory_order_relaxed) >=
	       LOG_LEVEL_DEBUG;
}

static void log_message(enum log_level level, const struct log_fields *fields,
			const char *fmt, va_list ap)
{
	_cleanup_(buf_fini) struct buf line = BUF_INIT;
	char message[MESSAGE_MAX_LEN];
	int saved_errno = errno;

	if ((int)level > atomic_load_explicit(&log_max_level, memory_order_relaxed))
		return;
	(void)vsnprintf(message, sizeof(message), fmt, ap); /* longer ones are cut */
	build_line(&line, level, fields, message);
	write_line(&line);
	errno = saved_errno;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_message(level, &no_fields, fmt, ap);
	va_end(ap);
}

void log_line_with(enum log_level level, const struct log_fields *fields, const char *fmt,
		   ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_message(level, fields, fmt, ap);
	va_end(ap);
}
