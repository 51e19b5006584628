/*
 * A file is a tree; each leaf is looked up by its path in the table of fields.
 * A missing or null leaf leaves the default.
 */
#include "proxy/config/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/addr.h"
#include "core/buf.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"
#include "proxy/config/config.h"
#include "proxy/config/config_json.h"
#include "watchers/decode/document.h"
#include "watchers/decode/file_text.h"
#include "watchers/decode/json_text.h"
#include "watchers/plan/yaml_print.h"

#define CONFIG_MAX_WARNINGS 10 /* log lines of a kind that one file costs */
#define FILE_MAX_LEN	    (1u << 20)
#define API_VERSION	    "kubeproxy.config.k8s.io/v1alpha1"
#define KIND		    "KubeProxyConfiguration"
#define PATH_MAX_NESTING    8

struct reading {
	const char *name; /* of the file */
	struct config *config;
	char *error; /* NULL: none so far */
	unsigned n_documents;
	size_t n_unknown; /* fields */
};

static void fail(struct reading *r, const char *path, const char *reason)
{
	if (!r->error)
		r->error = xasprintf("%s: %s: %s", r->name, path, reason);
}

static bool is_section(const char *path)
{
	size_t len = strlen(path);

	for (size_t i = 0; i < config_n_fields; i++)
		if (strncmp(config_fields[i].path, path, len) == 0 &&
		    config_fields[i].path[len] == '.')
			return true;
	return false;
}

/* kube-proxy's fields without a meaning here. */
static bool is_useless(const char *path)
{
	static const char *const paths[] = {"apiVersion", "kind", "metadata",
					    "logging.vmodule"};

	for (size_t i = 0; i < N_ELEMENTS(paths); i++)
		if (strcmp(path, paths[i]) == 0)
			return true;
	return false;
}

/* Text as a flag would give it; NULL when the type is wrong. */
static char *scalar_text(enum value_kind kind, const json_t *json)
{
	if (json_is_boolean(json))
		return kind == VALUE_BOOL ? xstrdup(json_is_true(json) ? "true" : "false")
					  : NULL;
	if (json_is_string(json))
		return kind == VALUE_STRING || kind == VALUE_DURATION
			       ? xstrdup(json_string_value(json))
			       : NULL;
	if (json_is_integer(json) && kind != VALUE_BOOL && kind != VALUE_DURATION)
		return xasprintf("%" JSON_INTEGER_FORMAT, json_integer_value(json));
	if (json_is_real(json) && kind == VALUE_FLOAT)
		return xasprintf("%.17g", json_real_value(json));
	return NULL;
}

static bool is_zero(const struct config_field *f, struct config *c)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	value_format(f->kind, config_slot(c, f), &text);
	return strcmp(buf_string(&text), f->kind == VALUE_DURATION ? "0s" : "0") == 0;
}

/* The one duration that may be a bare number, of nanoseconds. */
static bool is_bare_duration(const struct config_field *f, const json_t *json)
{
	return json_is_integer(json) && strcmp(f->path, "logging.flushFrequency") == 0;
}

static void read_scalar(struct reading *r, const struct config_field *f,
			const json_t *json)
{
	_cleanup_(freep) char *text = is_bare_duration(f, json)
					      ? xasprintf("%" JSON_INTEGER_FORMAT "ns",
							  json_integer_value(json))
					      : scalar_text(f->kind, json);

	if (text && !*text)
		return; /* writers put "" for "not set" */
	if (!text || value_parse(f->kind, text, false, config_slot(r->config, f)) != 0)
		fail(r, f->path,
		     f->kind == VALUE_DURATION ? "not a duration like 30s"
		     : f->kind == VALUE_BOOL   ? "not a boolean"
		     : f->kind == VALUE_STRING ? "not a string"
					       : "not a number in range");
	else if (f->zero_is_absent && is_zero(f, r->config))
		(void)value_parse(f->kind, f->default_text, false,
				  config_slot(r->config, f));
}

static void read_list(struct reading *r, const struct config_field *f, const json_t *json)
{
	struct strings *list = config_slot(r->config, f);
	const json_t *item;
	size_t i;

	if (!json_is_array(json)) {
		fail(r, f->path, "not a list");
		return;
	}
	strings_fini(list);
	json_array_foreach((json_t *)json, i, item)
	{
		if (json_is_string(item))
			strings_add(list, json_string_value(item));
		else
			fail(r, f->path, "an item is not a string");
	}
}

static void read_gates(struct reading *r, const struct config_field *f,
		       const json_t *json)
{
	struct strings *list = config_slot(r->config, f);
	const char *name;
	json_t *value;

	if (!json_is_object(json)) {
		fail(r, f->path, "not an object of booleans");
		return;
	}
	strings_fini(list);
	json_object_foreach((json_t *)json, name, value)
	{
		_cleanup_(freep) char *gate = NULL;

		if (!json_is_boolean(value)) {
			fail(r, f->path, "not an object of booleans");
			return;
		}
		gate = xasprintf("%s=%s", name, json_is_true(value) ? "true" : "false");
		strings_add(list, gate);
	}
}

static void read_field(struct reading *r, const struct config_field *f,
		       const json_t *json)
{
	if (json_is_null(json))
		return;
	if (f->kind == VALUE_GATES)
		read_gates(r, f, json);
	else if (f->kind == VALUE_STRINGS || f->kind == VALUE_PATHS)
		read_list(r, f, json);
	else
		read_scalar(r, f, json);
}

static void warn_unknown(struct reading *r, const char *path)
{
	if (r->n_unknown++ < CONFIG_MAX_WARNINGS)
		log_warn("%s: unknown field %s is ignored", r->name, path);
}

static void read_section(struct reading *r, const char *prefix, const json_t *section,
			 int nesting)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)section, name, value)
	{
		_cleanup_(freep) char *path =
			xasprintf("%s%s%s", prefix, *prefix ? "." : "", name);
		const struct config_field *f = config_field_find(path);

		if (f)
			read_field(r, f, value);
		else if (is_section(path) && json_is_object(value) &&
			 nesting < PATH_MAX_NESTING)
			read_section(r, path, value, nesting + 1);
		else if (is_section(path) && !json_is_null(value))
			fail(r, path, "not an object");
		else if (!is_section(path) && !is_useless(path))
			warn_unknown(r, path);
	}
}

static void warn_duplicates(const char *name, const struct document *doc)
{
	for (size_t i = 0; i < doc->n_duplicates && i < DOCUMENT_MAX_DUPLICATES; i++)
		log_warn("%s: line %" PRIu64 ": duplicate field %s; using the last one",
			 name, doc->duplicates[i].line, doc->duplicates[i].key);
	if (doc->n_duplicates > DOCUMENT_MAX_DUPLICATES)
		log_warn("%s: and %zu more duplicate fields", name,
			 doc->n_duplicates - DOCUMENT_MAX_DUPLICATES);
}

static void read_document(void *data, const struct document *doc)
{
	struct reading *r = data;
	json_t *json = doc->json;

	if (json_is_null(json))
		return; /* comments only */
	if (r->n_documents++ > 0) {
		log_warn("%s: document %u is ignored: one configuration is enough",
			 r->name, doc->number);
		return;
	}
	warn_duplicates(r->name, doc);
	if (!json_is_object(json))
		fail(r, "document", "not an object");
	else if (strcmp(json_text(json, "kind"), KIND) != 0)
		fail(r, "kind", "not " KIND);
	else if (strcmp(json_text(json, "apiVersion"), API_VERSION) != 0)
		fail(r, "apiVersion", "not " API_VERSION);
	else
		read_section(r, "", json, 0);
}

static void set_text(char **slot, const char *text)
{
	free(*slot);
	*slot = xstrdup(text);
}

/* The default addresses of the two servers follow bindAddress. */
static void default_servers(struct config *c)
{
	const struct config_field *healthz = config_field_find("healthzBindAddress");
	const struct config_field *metrics = config_field_find("metricsBindAddress");
	struct addr bind;
	bool is_ipv6 = addr_parse(c->bind_address, &bind) == 0 &&
		       addr_family(&bind) == FAMILY_IPV6;

	if (!*c->healthz_bind_address)
		set_text(&c->healthz_bind_address,
			 is_ipv6 ? "[::]:10256" : healthz->default_text);
	if (!*c->metrics_bind_address)
		set_text(&c->metrics_bind_address,
			 is_ipv6 ? "[::1]:10249" : metrics->default_text);
}

int config_file_parse(const char *bytes, size_t len, const char *name, struct config *c,
		      char **ret_error)
{
	struct reading r = {.name = name, .config = c};
	_cleanup_(freep) char *parse_error = NULL;
	int err;

	set_text(&c->healthz_bind_address, "");
	set_text(&c->metrics_bind_address, "");
	err = document_parse(bytes, len, read_document, &r, &parse_error);
	if (err != 0 && !r.error)
		r.error = xasprintf("%s: %s", name,
				    parse_error ? parse_error : strerror(-err));
	if (!r.error && r.n_documents == 0)
		fail(&r, "document", "there is none");
	if (r.error) {
		*ret_error = r.error;
		return -EINVAL;
	}
	if (r.n_unknown > CONFIG_MAX_WARNINGS)
		log_warn("%s: and %zu more unknown fields", name,
			 r.n_unknown - CONFIG_MAX_WARNINGS);
	default_servers(c);
	return 0;
}

int config_file_read(const char *path, struct config *c, char **ret_error)
{
	_cleanup_(buf_fini) struct buf bytes = BUF_INIT;
	int err = file_text_read(path, FILE_TEXT_PIPE, FILE_MAX_LEN, &bytes);

	if (err != 0)
		*ret_error = xasprintf("%s: %s", path, strerror(-err));
	else
		err = config_file_parse(buf_string(&bytes), bytes.len, path, c,
					ret_error);
	return err;
}

static int write_bytes(int fd, const struct buf *text)
{
	size_t done = 0;

	while (done < text->len) {
		ssize_t n = write(fd, text->data + done, text->len - done);

		if (n == -1 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return fsync(fd) == -1 ? -errno : 0;
}

/* Whole or not at all, also when the power fails; a link of this name is not followed. */
static int replace_file(const char *path, const struct buf *text)
{
	_cleanup_(freep) char *temporary = xasprintf("%s.XXXXXX", path);
	_cleanup_(closep) int fd = mkostemp(temporary, O_CLOEXEC);
	int err;

	if (fd == -1)
		return -errno;
	err = fchmod(fd, 0644) == -1 ? -errno : write_bytes(fd, text);
	if (err == 0 && rename(temporary, path) == -1)
		err = -errno;
	if (err != 0)
		(void)unlink(temporary);
	return err;
}

int config_file_write(const char *path, const struct config *c, char **ret_error)
{
	json_auto_t *json = config_to_json(c);
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	int err;

	yaml_print(json, &text);
	err = replace_file(path, &text);
	if (err != 0)
		*ret_error =
			xasprintf("%s: could not write it: %s", path, strerror(-err));
	return err;
}
