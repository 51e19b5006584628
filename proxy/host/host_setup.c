#include "proxy/host/host_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "proxy/config/config.h"
#include "proxy/host/sysctls.h"

#define NS_PER_SEC	INT64_C(1000000000)
#define MAX_DESCRIPTORS (1u << 20) /* what the kernel allows by default (fs.nr_open) */

void host_setup_oom_score(const struct config *config)
{
	_cleanup_(closep) int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	char text[16];
	int len = snprintf(text, sizeof(text), "%" PRId32, config->oom_score_adj);

	if (fd == -1 || write(fd, text, (size_t)len) != len)
		log_debug("oom score stays: %s", strerror(errno));
}

void host_setup_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return;
	limit.rlim_cur =
		limit.rlim_max < MAX_DESCRIPTORS ? limit.rlim_max : MAX_DESCRIPTORS;
	if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
		log_warn("limit of open files: could not raise it: %s", strerror(errno));
}

void host_setup_conntrack(const struct config *config)
{
	const struct config_conntrack *c = &config->conntrack;
	const struct conntrack_settings settings = {
		.max_per_core = c->max_per_core,
		.min = c->min,
		.tcp_established_sec = c->tcp_established_ns / NS_PER_SEC,
		.tcp_close_wait_sec = c->tcp_close_wait_ns / NS_PER_SEC,
		.udp_sec = c->udp_ns / NS_PER_SEC,
		.udp_stream_sec = c->udp_stream_ns / NS_PER_SEC,
		.tcp_be_liberal = c->tcp_be_liberal,
	};

	(void)sysctls_apply(&settings, sysctls_n_cpus(), ""); /* logs its failures */
}
