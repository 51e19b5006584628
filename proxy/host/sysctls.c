/*
 * Files under /proc/sys are read first and written only if they differ: a user
 * namespace or a container may refuse writes.
 */
#include "proxy/host/sysctls.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/mem.h"

#define NETFILTER    "/proc/sys/net/netfilter/"
#define HASH_SIZE    "/sys/module/nf_conntrack/parameters/hashsize"
#define BUCKET_SHARE 4 /* connections for each hash bucket, as kube-proxy has it */
#define SCALED_MAX   (1 << 20) /* for any number of processors, as kube-proxy has it */

static int read_number(const char *path, int64_t *ret)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	long long n;

	if (!f)
		return -errno;
	if (fscanf(f, "%lld", &n) != 1)
		return -EINVAL;
	*ret = n;
	return 0;
}

static int write_number(const char *path, int64_t value)
{
	_cleanup_(closep) int fd = open(path, O_WRONLY | O_CLOEXEC);
	char text[24];
	int len = snprintf(text, sizeof(text), "%" PRId64 "\n", value);

	if (fd == -1 || write(fd, text, (size_t)len) == -1)
		return -errno;
	return 0;
}

/* at_least: a larger number in the kernel stays. */
static int ensure(const char *root, const char *file, int64_t value, bool at_least)
{
	_cleanup_(freep) char *path = xasprintf("%s%s", root, file);
	int64_t before = 0;
	int err = read_number(path, &before);

	if (!err && before == value)
		return 0;
	if (!err && at_least && before > value) {
		/* more buckets than needed are nothing to know about */
		if (strcmp(file, HASH_SIZE) != 0)
			log_info("conntrack: %s stays %" PRId64
				 ", which is more than %" PRId64,
				 file, before, value);
		return 0;
	}
	if (!err)
		err = write_number(path, value);
	if (err)
		log_warn("conntrack: could not set %s to %" PRId64
			 ": %s; it stays as it is",
			 file, value, strerror(-err));
	else
		log_info("conntrack: %s is now %" PRId64 ", was %" PRId64, file, value,
			 before);
	return err;
}

int64_t sysctls_conntrack_max(const struct conntrack_settings *settings, unsigned n_cpus)
{
	int64_t max = (int64_t)settings->max_per_core * n_cpus;

	if (settings->max_per_core <= 0)
		return 0;
	if (max > SCALED_MAX)
		return SCALED_MAX;
	return max > settings->min ? max : settings->min;
}

int sysctls_apply(const struct conntrack_settings *settings, unsigned n_cpus,
		  const char *root)
{
	const struct {
		const char *file;
		int64_t value;
	} timeouts[] = {
		{NETFILTER "nf_conntrack_tcp_timeout_established",
		 settings->tcp_established_sec},
		{NETFILTER "nf_conntrack_tcp_timeout_close_wait",
		 settings->tcp_close_wait_sec},
		{NETFILTER "nf_conntrack_udp_timeout", settings->udp_sec},
		{NETFILTER "nf_conntrack_udp_timeout_stream", settings->udp_stream_sec},
		{NETFILTER "nf_conntrack_tcp_be_liberal", settings->tcp_be_liberal},
	};
	int64_t max = sysctls_conntrack_max(settings, n_cpus);
	int first = 0, err;

	if (max > 0) {
		first = ensure(root, HASH_SIZE, max / BUCKET_SHARE, true);
		/* unlike kube-proxy: lowering it would cut off open connections */
		err = ensure(root, NETFILTER "nf_conntrack_max", max, true);
		first = first ? first : err;
	}
	for (size_t i = 0; i < N_ELEMENTS(timeouts); i++) {
		if (timeouts[i].value <= 0)
			continue;
		err = ensure(root, timeouts[i].file, timeouts[i].value, false);
		first = first ? first : err;
	}
	return first;
}

unsigned sysctls_n_cpus(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n > 0 ? (unsigned)n : 1;
}
