/*
 * One event, one line, on stderr: who, what, why.  The level and the format
 * are the only globals of the program.  core/ itself never logs.
 */
#pragma once

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* verbosity: kube-proxy's -v; 0..1 shows up to info, 2 and more also debug. */
void log_set_verbosity(int verbosity);
/* json: one JSON object a line {"ts":…,"level":…,"msg":…}, else text. */
void log_set_json(bool json);
/* If stderr is the stream of JOURNAL_STREAM, lines start with their priority: "<4>". */
void log_detect_journal(void);
bool log_is_debug(void);

__attribute__((format(printf, 2, 3))) void log_line(enum log_level level, const char *fmt,
						    ...);

/* Members of a line in JSON, after the message; NULL and 0 are left out. Text has none. */
struct log_fields {
	const char *service; /* "ns/name:port" */
	const char *family;
	const char *reason; /* one word */
	double duration_ms;
};

__attribute__((format(printf, 3, 4))) void log_line_with(enum log_level level,
							 const struct log_fields *fields,
							 const char *fmt, ...);

#define log_err(...) log_line(LOG_LEVEL_ERR, __VA_ARGS__) /* we could not do our job */
#define log_warn(...)                                                                    \
	log_line(LOG_LEVEL_WARN, __VA_ARGS__) /* we will retry, or go without */
#define log_info(...)                                                                    \
	log_line(LOG_LEVEL_INFO, __VA_ARGS__) /* a human would want to know */
#define log_debug(...)                                                                   \
	do {                                                                             \
		if (log_is_debug())                                                      \
			log_line(LOG_LEVEL_DEBUG, __VA_ARGS__);                          \
	} while (0)
