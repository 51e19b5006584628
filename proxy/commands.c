/*
 * What several commands need, and the two that are a few lines only.
 */
#include "proxy/commands.h"

#include <errno.h>
#include <ev.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"
#include "proxy/config.h"
#include "proxy/config_file.h"
#include "proxy/options.h"
#include "proxy/parts.h"

void command_error(const char *fmt, ...)
{
	va_list ap;

	(void)fputs("sluice: ", stderr);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
}

int command_print(const struct buf *text)
{
	if (fwrite(buf_string(text), 1, text->len, stdout) == text->len &&
	    fflush(stdout) == 0)
		return STATUS_OK;
	command_error("standard output: can't be written");
	return STATUS_FAILED;
}

static bool is_repeated(const struct options *options, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (options->given[i].flag == options->given[index].flag)
			return true;
	return false;
}

static void warn_without_effect(const struct options *options)
{
	for (size_t i = 0; i < options->n_given; i++) {
		const struct flag *flag = options->given[i].flag;

		if (flag->no_effect && !is_repeated(options, i) &&
		    (!*options->config_file || (flag->properties & FLAG_WITH_FILE)))
			log_warn("--%s has no effect: %s", flag->name, flag->no_effect);
	}
}

/* One line for each; the fields are called as the file calls them. */
static void print_errors(struct buf *errors, const char *file)
{
	char *rest = buf_take(errors), *start = rest, *line;

	while ((line = strsep(&rest, "\n")))
		if (*line)
			command_error("%s%s%s", file ? file : "", file ? ": " : "", line);
	free(start);
}

static void set_up_log(const struct config *config)
{
	log_set_verbosity(config->logging.verbosity);
	log_set_json(strcmp(config->logging.format, "json") == 0);
}

/* The file is the configuration then; only some flags count beside it. */
static int read_file(struct options *options)
{
	_cleanup_(freep) char *error = NULL;

	if (!*options->config_file)
		return 0;
	config_fini(&options->config);
	config_init(&options->config);
	options_reapply(options); /* how to log, first of all */
	set_up_log(&options->config);
	if (config_file_read(options->config_file, &options->config, &error) != 0) {
		command_error("%s", error);
		return -EINVAL;
	}
	options_reapply(options);
	for (size_t i = 0; i < options->n_given; i++) {
		const struct flag *flag = options->given[i].flag;

		if (!(flag->properties & FLAG_WITH_FILE) && !is_repeated(options, i))
			log_warn("--%s is ignored beside --config", flag->name);
	}
	return 0;
}

int command_prepare(struct options *options)
{
	bool from_file = *options->config_file;
	struct buf errors = BUF_INIT;

	if (read_file(options) != 0)
		return STATUS_FAILED;
	config_complete(&options->config);
	if (!config_validate(&options->config, &errors)) {
		print_errors(&errors, from_file ? options->config_file : NULL);
		return from_file ? STATUS_FAILED : STATUS_USAGE;
	}
	set_up_log(&options->config);
	warn_without_effect(options);
	return STATUS_OK;
}

int command_cleanup(struct options *options, const struct parts *parts)
{
	set_up_log(&options->config);
	return parts->cleanup() == 0 ? STATUS_OK : STATUS_FAILED;
}

int command_version(struct options *options, const struct parts *parts)
{
	(void)options;
	(void)parts;
	(void)printf("sluice %s (%s)\njansson %s, libyaml %s, libev %d.%d\n",
		     SLUICE_VERSION, SLUICE_COMMIT, jansson_version_str(),
		     yaml_get_version_string(), ev_version_major(), ev_version_minor());
	return fflush(stdout) == 0 ? STATUS_OK : STATUS_FAILED;
}
