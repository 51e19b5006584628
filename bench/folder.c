#include "bench/folder.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bench/workload.h"
#include "core/cleanup.h"
#include "core/mem.h"

static void write_file(const char *folder, const char *name, const struct buf *text)
{
	_cleanup_(freep) char *draft = xasprintf("%s/.draft", folder);
	_cleanup_(freep) char *path = xasprintf("%s/%s", folder, name);
	FILE *f = fopen(draft, "we");

	if (!f || fwrite(text->data, 1, text->len, f) != text->len || fclose(f) != 0 ||
	    rename(draft, path) == -1)
		rows_fail(-errno, "%s", path);
}

void folder_write_rest(const char *folder, struct rows_size size)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	workload_add_list(&text, 0, size.n_services - 1, size.n_endpoints);
	write_file(folder, "all.json", &text);
}

void folder_write_files(const char *folder, struct rows_size size)
{
	for (uint32_t i = 0; i + 1 < size.n_services; i++) {
		_cleanup_(freep) char *name = xasprintf("svc-%u.json", i);
		_cleanup_(buf_fini) struct buf text = BUF_INIT;

		workload_add_list(&text, i, i + 1, size.n_endpoints);
		write_file(folder, name, &text);
	}
}

void folder_write_last(const char *folder, struct rows_size size, uint32_t version)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;

	buf_add_string(&text, "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[\n");
	workload_add_service(&text, size.n_services - 1);
	buf_add_string(&text, ",\n");
	workload_add_slice(&text, size.n_services - 1, size.n_endpoints, version);
	buf_add_string(&text, "\n]}\n");
	write_file(folder, "last.json", &text);
}

void folder_remove_file(const char *folder, const char *name)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", folder, name);

	(void)unlink(path);
}

void folder_remove(const char *folder, struct rows_size size)
{
	static const char *const names[] = {"all.json", "last.json", "sluice.sock",
					    "sluice.sock.lock", "sluice.sock.handover"};

	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		folder_remove_file(folder, names[i]);
	for (uint32_t i = 0; i < size.n_services; i++) {
		_cleanup_(freep) char *name = xasprintf("svc-%u.json", i);

		folder_remove_file(folder, name);
	}
	if (rmdir(folder) == -1)
		(void)fprintf(stderr, "%s: %s is left: %s\n",
			      program_invocation_short_name, folder, strerror(errno));
}

void folder_exec(const char *program, const char *const *argv)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	/* open after exec, too: the program writes to these numbers */
	if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
		_exit(126);
	(void)execv(program, (char *const *)(uintptr_t)argv);
	_exit(127);
}
