/*
 * Kubernetes' feature gates: all names are accepted, since tools pass the same
 * ones to all components; two of them have an effect here.
 */
#pragma once

#define GATE_EXTERNAL_IPS "AllowServiceExternalIPs"
#define GATE_SAME_TRAFFIC "PreferSameTrafficDistribution"

struct config;

/* The gates that are set and have no effect, "A, B"; "" for none. The caller frees it. */
char *feature_gates_unused(const struct config *c);
