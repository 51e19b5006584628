/* The cgroups of Pods in a tree that looks like the kubelet's. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bpf/ebpf_pod_cgroup.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/test.h"

static const struct {
	const char *uid, *path;
} cases[] = {
	{"1a-1", "kubepods/pod1a-1"},
	{"1a-2", "kubepods/burstable/pod1a-2"},
	{"1a-3", "kubepods/besteffort/pod1a-3"},
	{"1a-4", "kubepods.slice/kubepods-pod1a_4.slice"},
	{"1a-5",
	 "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1a_5.slice"},
	{"1a-6",
	 "kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1a_6.slice"},
	{"1a-7", "kubelet/kubepods/burstable/pod1a-7"},
	{"1a-8", "kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/"
		 "kubelet-kubepods-burstable-pod1a_8.slice"},
	{"1a-9", "kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod1a_9.slice"},
};

static void make_folders(char *path)
{
	for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		(void)mkdir(path, 0700); /* it may exist */
		*slash = '/';
	}
	assert_int_equal(mkdir(path, 0700), 0);
}

static void the_cgroup_of_a_pod_is_found_by_its_uid(void **state)
{
	char folder[] = "/tmp/sluice-pods-XXXXXX";
	_cleanup_(freep) char *remove = NULL;
	_cleanup_(closep) int root = -1;

	(void)state;
	assert_non_null(mkdtemp(folder));
	root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		_cleanup_(freep) char *path = xasprintf("%s/%s", folder, cases[i].path);
		struct stat wanted, found;
		int fd;

		assert_int_equal(ebpf_pod_cgroup_open(root, cases[i].uid), -ENOENT);
		make_folders(path);
		fd = ebpf_pod_cgroup_open(root, cases[i].uid);
		assert_true(fd >= 0);
		assert_int_equal(fstat(fd, &found), 0);
		assert_int_equal(stat(path, &wanted), 0);
		assert_int_equal(found.st_ino, wanted.st_ino);
		(void)close(fd);
	}
	remove = xasprintf("rm -r %s", folder);
	assert_int_equal(system(remove), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_cgroup_of_a_pod_is_found_by_its_uid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
