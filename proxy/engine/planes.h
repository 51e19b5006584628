/*
 * Which data plane is used: the one that --proxy-mode names, or the first one
 * that works on this host.
 */
#pragma once

struct buf;
struct config;
struct dataplane;
struct ev_loop;
struct parts;
struct plane;

/* 0, or -errno, logged. With auto, adds to why this one and not those before it. */
int planes_open(const struct parts *parts, const struct config *config,
		struct ev_loop *loop, struct dataplane *ret,
		const struct plane **ret_plane, struct buf *why);

/*
 * Removes the rules and maps of other modes: all of them (used is NULL), or what the
 * mode in use does not share. 0, or the first error; each is logged. Adds to removed
 * as the cleanups of a plane do.
 */
int planes_cleanup(const struct parts *parts, const struct config *config,
		   const struct plane *used, struct buf *removed);
