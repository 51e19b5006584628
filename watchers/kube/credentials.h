/*
 * Keeps the credentials of a struct http fresh: a token file is read again (at
 * most every 50 s, as client-go does; each second while the server refuses its
 * token), an exec plugin is run when its credential expires.  Secrets are never
 * logged.
 */
#pragma once

#include <stdbool.h>

struct credentials;
struct ev_loop;
struct http;
struct kube_config;

/*
 * ready(data, is_changed) is called on the loop when a refresh that had to wait
 * is over, with or without success; is_changed: a token that was refused has
 * been replaced.
 */
struct credentials *credentials_new(struct ev_loop *loop,
				    const struct kube_config *config, struct http *http,
				    void (*ready)(void *data, bool is_changed),
				    void *data);
void credentials_free(struct credentials *c);

/*
 * Before each call: true if it may start now; false while a plugin runs or waits
 * after a failure: ready() follows.
 */
bool credentials_refresh(struct credentials *c);
/* Of the credentials that a call started now would send. */
unsigned credentials_version(const struct credentials *c);
/*
 * The server answered 401 to a call with this version: those credentials are not
 * used again.  Ignored for an older version.
 */
void credentials_refused(struct credentials *c, unsigned version);
/* The server answered 200. */
void credentials_accepted(struct credentials *c);
