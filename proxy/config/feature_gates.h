/*
 * Which names of feature gates a command line or a configuration file may use.
 * What two of them mean here is asked with config_gate().
 */
#pragma once

#include <stdbool.h>

bool feature_gate_is_known(const char *name);
