/*
 * The engine's start from the last known objects.  They are put into the cluster
 * before the source starts, whose first lists replace them.  Where nothing serves,
 * they are programmed immediately; where the rules of an earlier run do, once the
 * server has not been read for some seconds.
 */
#pragma once

struct engine;

/*
 * 1: the kernel has rules that serve without us; 0: it has none, as after a restart of
 * the host or a flush; or -errno: not known.
 */
int engine_saved_find_rules(const struct engine *e);
void engine_saved_start(struct engine *e);
void engine_saved_stop(struct engine *e);
/* The source has been read. */
void engine_saved_synced(struct engine *e);
/* The cluster has changed after that. */
void engine_saved_changed(struct engine *e);
