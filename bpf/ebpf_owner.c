#include "bpf/ebpf_owner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/ebpf_netns.h"

#define PREFIX	 "netns_"
#define NAME_LEN 32

/* Removes all marks but that of this cookie; returns one of the others, or 0. */
static uint64_t look(int pins_fd, uint64_t cookie, bool removes)
{
	int fd = openat(pins_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	uint64_t other = 0;

	if (!dir) {
		if (fd >= 0)
			(void)close(fd);
		return 0;
	}
	while ((entry = readdir(dir)) != NULL) {
		unsigned long long found;

		if (sscanf(entry->d_name, PREFIX "%llu", &found) != 1 || found == cookie)
			continue;
		other = found;
		if (removes)
			(void)unlinkat(pins_fd, entry->d_name, AT_REMOVEDIR);
	}
	(void)closedir(dir);
	return other;
}

int ebpf_owner_claim(int pins_fd, uint64_t cookie)
{
	char name[NAME_LEN];

	(void)look(pins_fd, cookie, true);
	(void)snprintf(name, sizeof(name), PREFIX "%llu", (unsigned long long)cookie);
	return mkdirat(pins_fd, name, 0700) == 0 || errno == EEXIST ? 0 : -errno;
}

bool ebpf_owner_is_self(int pins_fd)
{
	uint64_t cookie;

	return ebpf_netns_cookie(&cookie) != 0 || !look(pins_fd, cookie, false);
}

void ebpf_owner_release(int pins_fd)
{
	(void)look(pins_fd, 0, true);
}
