#include "bpf/ebpf_grace.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/cleanup.h"

/* After an update of a map of maps the kernel waits until no program uses the old value (5.0). */
static int wait_by_map(void)
{
	_cleanup_(closep) int inner =
		bpf_map_create(BPF_MAP_TYPE_ARRAY, "grace_inner", 4, 4, 1, NULL);
	LIBBPF_OPTS(bpf_map_create_opts, opts, .inner_map_fd = (uint32_t)inner);
	_cleanup_(closep) int outer = -1;
	const uint32_t key = 0;

	if (inner < 0)
		return -errno;
	outer = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "grace", 4, 4, 1, &opts);
	if (outer < 0 || bpf_map_update_elem(outer, &key, &inner, BPF_ANY) != 0)
		return -errno;
	return 0;
}

int ebpf_grace_wait(void)
{
	/* refused where some processors have no timer tick (nohz_full) */
	return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0 ? 0
									 : wait_by_map();
}
