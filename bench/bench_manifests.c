/*
 * Writes manifests to measure with: one List to standard output, or a folder
 * of files that each hold one Service and its EndpointSlice.
 *
 *   bench_manifests SERVICES ENDPOINTS [FOLDER]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bench/workload.h"
#include "core/cleanup.h"
#include "core/mem.h"

static int write_all(FILE *f, const struct buf *text)
{
	return fwrite(text->data, 1, text->len, f) == text->len && fflush(f) == 0 ? 0
										  : -EIO;
}

static int write_list(uint32_t n_services, uint32_t n_endpoints)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	workload_add_list(&text, 0, n_services, n_endpoints);
	return write_all(stdout, &text);
}

static int write_file(const char *folder, uint32_t service, uint32_t n_endpoints)
{
	_cleanup_(freep) char *path = xasprintf("%s/svc-%u.json", folder, service);
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	_cleanup_(fclosep) FILE *f = fopen(path, "we");

	if (!f)
		return -errno;
	workload_add_list(&text, service, service + 1, n_endpoints);
	return write_all(f, &text);
}

static int write_folder(const char *folder, uint32_t n_services, uint32_t n_endpoints)
{
	int err = 0;

	if (mkdir(folder, 0755) == -1 && errno != EEXIST)
		return -errno;
	for (uint32_t i = 0; i < n_services && err == 0; i++)
		err = write_file(folder, i, n_endpoints);
	return err;
}

int main(int argc, char **argv)
{
	unsigned long n_services = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	unsigned long n_endpoints = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	int err;

	if (argc < 3 || argc > 4 || n_services == 0 ||
	    n_services > WORKLOAD_MAX_SERVICES ||
	    n_endpoints > WORKLOAD_MAX_ENDPOINTS / n_services) {
		(void)fprintf(stderr, "usage: %s SERVICES ENDPOINTS [FOLDER]\n", argv[0]);
		return 2;
	}
	err = argc == 4
		      ? write_folder(argv[3], (uint32_t)n_services, (uint32_t)n_endpoints)
		      : write_list((uint32_t)n_services, (uint32_t)n_endpoints);
	if (err < 0)
		(void)fprintf(stderr, "%s: %s\n", argv[0], strerror(-err));
	return err < 0 ? 1 : 0;
}
