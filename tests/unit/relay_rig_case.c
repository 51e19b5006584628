#include "tests/unit/relay_rig_case.h"

#include <poll.h>
#include <unistd.h>

#include "tests/test.h"

struct relay_rig *rig;

int rig_set_up(void **state)
{
	rig = rig_new(2, 4);
	return 0;
}

int rig_tear_down(void **state)
{
	rig_free(rig);
	return 0;
}

void rig_await_connections(unsigned n)
{
	for (int i = 0; i < 4000 && rig_stat(rig, "sluice_userspace_connections") != n;
	     i++)
		(void)poll(NULL, 0, 5);
	assert_true(rig_stat(rig, "sluice_userspace_connections") == n);
}

void rig_close_both(int client, int server)
{
	(void)close(client);
	(void)close(server);
}
