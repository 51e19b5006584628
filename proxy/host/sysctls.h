/*
 * The conntrack settings that kube-proxy makes at start: sizes and timeouts.
 * Written only when they differ.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct conntrack_settings {
	int32_t max_per_core; /* 0: leave the maximum alone */
	int32_t min;
	int64_t tcp_established_sec, tcp_close_wait_sec; /* 0: leave alone */
	int64_t udp_sec, udp_stream_sec;
	bool tcp_be_liberal;
};

/* nf_conntrack_max for this many processors; 0: leave it alone. */
int64_t sysctls_conntrack_max(const struct conntrack_settings *settings, unsigned n_cpus);

/*
 * root is "" (or a folder that stands for "/", for tests). Each failure is
 * logged; answers the first, -EROFS and -EACCES being usual in a container
 * whose /proc is read-only.
 */
int sysctls_apply(const struct conntrack_settings *settings, unsigned n_cpus,
		  const char *root);
/* Processors that are online. */
unsigned sysctls_n_cpus(void);
