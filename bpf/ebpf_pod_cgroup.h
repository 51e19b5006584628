/*
 * The cgroup of a Pod, as the kubelet names it with either of its drivers:
 *
 *	cgroupfs  kubepods/burstable/podUID
 *	systemd   kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID.slice
 *
 * without the middle part for guaranteed Pods. Below another root of the kubelet
 * (--cgroup-root) the names have that in front.
 */
#pragma once

/* Opens it below the root of cgroup v2. A descriptor, or -errno: -ENOENT if there is none. */
int ebpf_pod_cgroup_open(int root, const char *uid);
