/*
 * Keeps the credentials of a struct http fresh: a token file that rotates is
 * read again (at most every 50 s, as client-go does; each second while the
 * server refuses what was in it), an exec plugin is run when its credential
 * ends.  Secrets are never logged.
 */
#pragma once

#include <stdbool.h>

struct credentials;
struct ev_loop;
struct http;
struct kube_config;

/*
 * ready(data, is_changed) is called on the loop when a refresh that had to wait
 * is over, well or not; is_changed: another token has taken the place of one
 * that was refused.
 */
struct credentials *credentials_new(struct ev_loop *loop,
				    const struct kube_config *config, struct http *http,
				    void (*ready)(void *data, bool is_changed),
				    void *data);
void credentials_free(struct credentials *c);

/*
 * Before each call: true when it may go out now; false when a plugin is running
 * (or waits after a failure): ready() follows.
 */
bool credentials_refresh(struct credentials *c);
/* The server answered 401: what we have is not to be used again. */
void credentials_refused(struct credentials *c);
/* It answered 200. */
void credentials_accepted(struct credentials *c);
