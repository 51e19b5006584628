/*
 * The asking side of the control socket.
 */
#pragma once

#include <jansson.h>

struct control_request;

/* Asks the daemon at path and waits; told when it fails. The caller owns *ret_result. */
int control_ask(const char *path, const struct control_request *request,
		json_t **ret_result);
