#include "tests/kernel/handover.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/kernel/await.h"
#include "tests/kernel/fd_store.h"
#include "tests/test.h"

static const char *const take_over[] = {"--cluster-cidr", WORLD_POD_CIDRS, "--take-over",
					NULL};

unsigned handover_n_connections(struct instance *sluice, const char *name)
{
	struct addr ip = world_addr(name, FAMILY_IPV4);
	char text[ADDR_TEXT_LEN];
	_cleanup_(freep) char *wanted =
		xasprintf("\"address\": \"%s\"", addr_format(&ip, text));
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	const char *at;
	unsigned n = 0;

	await_text(sluice, "get services -o json", 0, wanted);
	(void)instance_command(sluice, "get services -o json", &out);
	at = strstr(buf_string(&out), wanted);
	at = at ? strstr(at, "\"connections\"") : NULL;
	if (!at || sscanf(at, "\"connections\": %u", &n) != 1)
		instance_fail(sluice, "no count: %s", buf_string(&out));
	return n;
}

pid_t handover_start(struct instance *sluice)
{
	pid_t old = sluice->pid;

	sluice->pid = 0;
	instance_launch(sluice, take_over);
	await_log(sluice, "pid %d serves all Services now", (int)sluice->pid);
	return old;
}

struct fd_store *handover_start_store(struct instance *sluice)
{
	_cleanup_(freep) char *path = xasprintf("%s/notify", sluice->world->dir);
	struct fd_store *store;

	(void)instance_end(sluice, SIGTERM);
	store = fd_store_start(path);
	sluice->before_exec = fd_store_pass;
	instance_start(sluice, NULL);
	return store;
}

void handover_end_store(struct instance *sluice, struct fd_store *store)
{
	(void)instance_end(sluice, SIGTERM);
	sluice->before_exec = NULL;
	fd_store_stop(store);
	instance_start(sluice, NULL);
}
