/*
 * A control socket that a child process serves, with the answers of a daemon about
 * some objects.
 */
#pragma once

#include <sys/types.h>

#include "tests/unit/inspect_world.h"
#include "tests/unit/world.h"

struct served {
	struct world world;
	struct inspect_world inspect;
	struct control *control;
	char *path; /* of the socket */
	pid_t pid;  /* serves it */
};

/* manifests: where the daemon says that it has the objects from; NULL: an API server. */
struct served *served_new(const char *objects, const char *manifests);
void served_free(struct served *s);
