/*
 * Everything that a run makes outside of its own process: a cgroup below the
 * one of cgroup v2's root, and a folder that a bpffs is mounted on in a mount
 * namespace. A parent process removes both when the run has ended, however
 * it ended.
 */
#pragma once

/*
 * Returns in a child of the caller, which may use the rest of this file. The
 * parent does not return: it exits with the child's status.
 */
void home_enter(void);

/* Folder in our bpffs; made if need be. Points into memory of home. */
const char *home_bpffs(void);
/* Makes a cgroup of this name below ours; its path, for the caller to free. */
char *home_cgroup(const char *name);
/* This process into that cgroup. */
void home_move(const char *cgroup);
