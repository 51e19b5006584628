/*
 * The client's side of the control socket.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

struct control_request;

/*
 * Sends a request to the daemon at path and waits for the answer, whose texts have no
 * control characters. On failure, *ret_error says why. The caller owns what is returned.
 */
int control_try(const char *path, const struct control_request *request,
		json_t **ret_result, char **ret_error);
/* The same; an error is printed. */
int control_ask(const char *path, const struct control_request *request,
		json_t **ret_result);
/* Does a daemon listen there? Also true if that cannot be known. */
bool control_is_served(const char *path);
/* How long to wait without a byte of the answer; 30 s unless set. For tests. */
void control_client_set_timeout(int sec);
