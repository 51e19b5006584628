#include "bpf/ebpf_cgroup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/cleanup.h"
#include "core/mem.h"

#define REAL_ROOT_INODE 1

/* Octal escapes of blanks in /proc/self/mountinfo, in place. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		unsigned code;

		if (from[0] == '\\' && sscanf(from + 1, "%3o", &code) == 1) {
			*to = (char)code;
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

char *ebpf_cgroup_find(void)
{
	_cleanup_(fclosep) FILE *mounts = fopen("/proc/self/mountinfo", "re");
	_cleanup_(freep) char *line = NULL;
	size_t cap = 0;

	while (mounts && getline(&line, &cap, mounts) > 0) {
		/* 36 35 98:0 ROOT POINT OPTIONS … - TYPE SOURCE OPTIONS */
		const char *type = strstr(line, " - ");
		char *point = NULL;

		if (!type || strncmp(type + 3, "cgroup2 ", 8) != 0)
			continue;
		if (sscanf(line, "%*s %*s %*s %*s %ms", &point) != 1)
			continue;
		unescape(point);
		return point;
	}
	return NULL;
}

bool ebpf_cgroup_is_real_root(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_ino == REAL_ROOT_INODE;
}
