/*
 * The conntrack settings that kube-proxy makes at its start: sizes and timeouts.
 * Sizes are only raised: a smaller table would cut off open connections.
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

/* nf_conntrack_max at least for this many processors; 0: leave it alone. */
int64_t sysctls_conntrack_max(const struct conntrack_settings *settings, unsigned n_cpus);

/*
 * root is "", or in tests a folder in place of "/".  Logs each change and each
 * failure; returns the first error: -EROFS and -EACCES are usual in a container.
 */
int sysctls_apply(const struct conntrack_settings *settings, unsigned n_cpus,
		  const char *root);
/* Processors that are online. */
unsigned sysctls_n_cpus(void);
