/*
 * Shared by the files of `sluice get`.
 */
#pragma once

#include "proxy/commands/get_columns.h"
#include "proxy/control/control.h"

struct options;

enum get_format { GET_TABLE, GET_WIDE, GET_JSON, GET_YAML, GET_NAME };

struct get {
	const struct options *options;
	const struct get_resource *resource;
	enum get_format format;
	struct control_request request;
};

/* `get -w`: the rows, then those of each Service that changes; ends by a signal or an error. */
int get_watch(const struct get *get);
