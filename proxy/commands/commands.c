/*
 * Shared by several commands, and `sluice version`.
 */
#include "proxy/commands/commands.h"

#include <errno.h>
#include <ev.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <curl/curl.h>
#include <microhttpd.h>
#include <yaml.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"
#include "proxy/config/commit.h"
#include "proxy/config/config.h"
#include "proxy/config/config_load.h"
#include "proxy/config/options.h"
#include "proxy/engine/parts.h"

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
	command_error("could not write to standard output");
	return STATUS_FAILED;
}

int command_wrong_value(const struct options *options, const void *member,
			const char *value, const char *allowed)
{
	command_error("%s: \"%s\" is not %s", options_typed(options, member), value,
		      allowed);
	return STATUS_USAGE;
}

int command_check_manifests(const struct options *options)
{
	for (size_t i = 0; i < options->n_given && !options->config.manifests.n; i++) {
		unsigned users = options->given[i].flag->commands;

		if ((users & 1u << COMMAND_PLAN) && !(users & 1u << COMMAND_GET)) {
			command_error("%s: only with --manifests",
				      options->given[i].typed);
			return STATUS_USAGE;
		}
	}
	return STATUS_OK;
}

int command_find_word(const char *word, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(word, words[i]) == 0)
			return (int)i;
	return -1;
}

void command_add_json(const json_t *json, struct buf *out)
{
	_cleanup_(freep) char *text = json_dumps(json, JSON_INDENT(2));

	buf_printf(out, "%s\n", text ? text : "");
}

void command_add_age(struct buf *out, long long sec)
{
	static const struct {
		char unit;
		long long sec;
	} units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
	size_t i = 0;

	sec = sec > 0 ? sec : 0;
	while (i + 1 < N_ELEMENTS(units) && sec < units[i].sec)
		i++;
	buf_printf(out, "%lld%c", sec / units[i].sec, units[i].unit);
}

bool command_lacks_bytes(const json_t *rows)
{
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		if (json_integer_value(json_object_get(row, "current")) > 0)
			return json_is_null(json_object_get(row, "bytesIn"));
	}
	return false;
}

const char *command_pools(const json_t *endpoint)
{
	static const char *const names[] = {"", "cluster", "local", "cluster,local"};

	return names[json_is_true(json_object_get(endpoint, "inClusterPool")) |
		     json_is_true(json_object_get(endpoint, "inLocalPool")) << 1];
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
			log_warn("%s has no effect: %s", options->given[i].typed,
				 flag->no_effect);
	}
}

/* The path of a field, or the name of a flag that no file has. */
static bool sets(const struct flag *flag, const char *path)
{
	const struct config_field *field = config_field_find(path);
	size_t offset;

	if (!field)
		return strcmp(flag->name, path) == 0;
	offset = offsetof(struct options, config) + field->offset;
	return flag->offset == offset || flag->also == offset;
}

/* The flag that sets it, as it was typed or may be; NULL: none does. */
static char *flag_of(const struct options *options, const char *path)
{
	for (size_t i = options->n_given; i-- > 0;)
		if (sets(options->given[i].flag, path))
			return xstrdup(options->given[i].typed);
	for (size_t i = 0; i < n_flags; i++)
		if (sets(&flags[i], path))
			return xasprintf("--%s", flags[i].name);
	return NULL;
}

/* A line "field: reason" as its user knows it: by the file and field, or by the flag. */
static void print_error(const struct options *options, const char *line, const char *file)
{
	size_t len = strcspn(line, ":");
	_cleanup_(freep) char *path = xasprintf("%.*s", (int)len, line);
	_cleanup_(freep) char *flag =
		file && config_field_find(path) ? NULL : flag_of(options, path);

	if (flag)
		command_error("%s%s", flag, line + len);
	else
		command_error("%s%s%s", file ? file : "", file ? ": " : "", line);
}

static void print_errors(const struct options *options, struct buf *errors,
			 const char *file)
{
	char *rest = buf_take(errors), *start = rest, *line;

	while ((line = strsep(&rest, "\n")))
		if (*line)
			print_error(options, line, file);
	free(start);
}

/* With a file, only some flags count. */
static int read_file(struct options *options)
{
	_cleanup_(freep) char *error = NULL;
	struct config config;

	if (config_load(options, &config, &error) != 0) {
		command_error("%s", error);
		return -EINVAL;
	}
	config_fini(&options->config);
	options->config = config;
	for (size_t i = 0; i < options->n_given; i++) {
		const struct flag *flag = options->given[i].flag;

		if (!(flag->properties & FLAG_WITH_FILE) && !is_repeated(options, i))
			log_warn("%s is ignored beside --config",
				 options->given[i].typed);
	}
	return 0;
}

int command_prepare(struct options *options)
{
	bool from_file = *options->config_file;
	struct buf errors = BUF_INIT;

	config_set_up_log(&options->config); /* by the flags, until the file is read */
	if (from_file && read_file(options) != 0)
		return STATUS_FAILED;
	config_complete(&options->config);
	if (!config_validate(&options->config, &errors)) {
		print_errors(options, &errors, from_file ? options->config_file : NULL);
		return from_file ? STATUS_FAILED : STATUS_USAGE;
	}
	config_set_up_log(&options->config);
	warn_without_effect(options);
	return STATUS_OK;
}

int command_version(struct options *options, const struct parts *parts)
{
	(void)printf("sluice %s (%s)\njansson %s, libyaml %s, libev %d.%d, libcurl %s, "
		     "libmicrohttpd %s\n",
		     SLUICE_VERSION, sluice_commit, jansson_version_str(),
		     yaml_get_version_string(), ev_version_major(), ev_version_minor(),
		     curl_version_info(CURLVERSION_NOW)->version, MHD_get_version());
	return fflush(stdout) == 0 ? STATUS_OK : STATUS_FAILED;
}
