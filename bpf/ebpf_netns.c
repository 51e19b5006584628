#include "bpf/ebpf_netns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* 5.14 */
#endif

/* <linux/nsfs.h> and <linux/fcntl.h> of 6.18 */
#define NSFS_ROOT     (-10003)
#define HANDLE_NSFS   0xf1
#define NSFS_HANDLE_N 16

static int open_by_number(uint64_t cookie, uint32_t inode)
{
	union {
		struct file_handle head;
		unsigned char bytes[sizeof(struct file_handle) + NSFS_HANDLE_N];
	} handle = {.head = {.handle_bytes = NSFS_HANDLE_N, .handle_type = HANDLE_NSFS}};
	const uint32_t words[2] = {CLONE_NEWNET, inode};
	int fd;

	memcpy(handle.head.f_handle, &cookie, sizeof(cookie));
	memcpy(handle.head.f_handle + sizeof(cookie), words, sizeof(words));
	fd = open_by_handle_at(NSFS_ROOT, &handle.head, O_RDONLY | O_CLOEXEC);
	return fd >= 0 ? fd : -errno;
}

static int open_if(int folder, const char *name, uint32_t inode)
{
	_cleanup_(closep) int fd = -1;
	struct stat st;

	if (fstatat(folder, name, &st, 0) != 0 || st.st_ino != inode)
		return -ENOENT;
	fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
	return fd >= 0 ? take_fd(fd) : -errno;
}

/* The first of FOLDER/NAME/below with this inode. */
static int search(const char *folder, const char *below, uint32_t inode)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	int fd = -ENOENT;

	if (!dir)
		return -ENOENT;
	while (fd == -ENOENT && (entry = readdir(dir)) != NULL) {
		char path[sizeof(entry->d_name) + 16];

		(void)snprintf(path, sizeof(path), "%s%s", entry->d_name, below);
		fd = open_if(dirfd(dir), path, inode);
	}
	(void)closedir(dir);
	return fd;
}

int ebpf_netns_open(uint64_t cookie, uint32_t inode)
{
	int fd = open_by_number(cookie, inode);

	if (fd < 0)
		fd = search("/run/netns", "", inode);
	if (fd < 0)
		fd = search("/proc", "/ns/net", inode);
	return fd;
}

int ebpf_netns_cookie(uint64_t *ret)
{
	_cleanup_(closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*ret);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, ret, &len) != 0)
		return -errno;
	return 0;
}
