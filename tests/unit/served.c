#include "tests/unit/served.h"

#include "tests/test.h"

#include <ev.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/mem.h"

struct served *served_new(const char *objects, const char *manifests)
{
	struct served *s = xcalloc(1, sizeof(*s));

	world_open(&s->world);
	inspect_world_open(&s->inspect, objects);
	if (manifests)
		strings_add(&s->inspect.config.manifests, manifests);
	s->path = world_path(&s->world, "s.sock");
	assert_int_equal(control_new(s->world.loop, s->path, inspect_answer,
				     &s->inspect.in, &s->control),
			 0);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves it */
		ev_loop_fork(s->world.loop);
		ev_run(s->world.loop, 0);
		_exit(0);
	}
	return s;
}

void served_free(struct served *s)
{
	assert_int_equal(kill(s->pid, SIGKILL), 0);
	assert_int_equal(waitpid(s->pid, NULL, 0), s->pid);
	control_free(s->control);
	world_remove(&s->world, "s.sock.lock");
	inspect_world_close(&s->inspect);
	world_close(&s->world);
	free(s->path);
	free(s);
}
