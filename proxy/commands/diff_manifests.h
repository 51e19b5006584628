/*
 * `sluice diff --manifests`.
 */
#pragma once

struct options;
struct parts;

/* Returns a status: 1 if something would change. */
int diff_manifests(struct options *options, const struct parts *parts);
