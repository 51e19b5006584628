#include "proxy/config/config_load.h"

#include <string.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"
#include "proxy/config/config.h"
#include "proxy/config/config_file.h"
#include "proxy/config/options.h"

int config_load(const struct options *options, struct config *ret, char **ret_error)
{
	struct options fresh;
	int err;

	options_init(&fresh);
	err = config_file_read(options->config_file, &fresh.config, ret_error);
	if (err == 0) {
		options_reapply(options, &fresh);
		config_complete(&fresh.config);
		fresh.config.modes = options->config.modes;
		*ret = fresh.config;
		fresh.config = (struct config){0}; /* it is the caller's now */
	}
	options_fini(&fresh);
	return err;
}

static bool is_logging(const struct config_field *f)
{
	return strncmp(f->path, "logging.", strlen("logging.")) == 0;
}

static char *field_text(struct config *c, const struct config_field *f)
{
	struct buf text = BUF_INIT;

	value_format(f->kind, config_slot(c, f), &text);
	return text.data ? buf_take(&text) : xstrdup("");
}

/* True when the field can't be changed under a running daemon. */
static bool apply_field(struct config *now, struct config *fresh,
			const struct config_field *f)
{
	_cleanup_(freep) char *before = field_text(now, f), *after = field_text(fresh, f);

	if (strcmp(before, after) == 0)
		return false;
	if (!is_logging(f)) {
		log_warn(
			"configuration: %s is \"%s\" now: exiting, to be started with it",
			f->path, after);
		return true;
	}
	log_info("configuration: %s is \"%s\" now", f->path, after);
	(void)value_parse(f->kind, after, false, config_slot(now, f));
	return false;
}

static bool apply(struct config *now, struct config *fresh)
{
	for (size_t i = 0; i < config_n_fields; i++)
		if (apply_field(now, fresh, &config_fields[i]))
			return true;
	config_set_up_log(now);
	return false;
}

bool config_reload(struct options *options)
{
	_cleanup_(freep) char *error = NULL;
	_cleanup_(buf_fini) struct buf errors = BUF_INIT;
	struct config fresh;
	bool must_restart = false;

	if (config_load(options, &fresh, &error) != 0) {
		log_err("configuration stays as it was: %s", error);
		return false;
	}
	if (config_validate(&fresh, &errors))
		must_restart = apply(&options->config, &fresh);
	else
		log_err("configuration stays as it was: %s: %.*s", options->config_file,
			(int)strcspn(buf_string(&errors), "\n"), buf_string(&errors));
	config_fini(&fresh);
	return must_restart;
}
