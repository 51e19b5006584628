/*
 * What the daemon sets on its host before it starts: its own OOM score and
 * conntrack's sizes and timeouts.  Best effort: what the rights don't allow is
 * told and left.
 */
#pragma once

struct config;

void host_setup_oom_score(const struct config *config);
void host_setup_conntrack(const struct config *config);
