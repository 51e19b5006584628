#include "proxy/relay/relay_pipes.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/mem.h"
#include "proxy/relay/relay_calls.h"

#define MAX	 32 /* of a worker; more directions copy */
#define PIPE_LEN (1 << 20)

struct relay_pipe *relay_pipes_get(struct relay_pipes *p, const struct relay_calls *calls)
{
	struct relay_pipe *pipe = p->idle;
	int fds[2];

	if (pipe) {
		p->idle = pipe->next;
		return pipe;
	}
	if (p->n == MAX || calls->pipe2(fds, O_NONBLOCK | O_CLOEXEC) == -1)
		return NULL;
	/* refused to users with many pipes: then it stays smaller */
	(void)fcntl(fds[1], F_SETPIPE_SZ, PIPE_LEN);
	pipe = xcalloc(1, sizeof(*pipe));
	pipe->out = fds[0];
	pipe->in = fds[1];
	p->n++;
	return pipe;
}

static void pipe_free(struct relay_pipes *p, const struct relay_calls *calls,
		      struct relay_pipe *pipe)
{
	(void)calls->close(pipe->in);
	(void)calls->close(pipe->out);
	free(pipe);
	p->n--;
}

void relay_pipes_put(struct relay_pipes *p, const struct relay_calls *calls,
		     struct relay_pipe *pipe)
{
	if (pipe->len) {
		pipe_free(p, calls, pipe);
		return;
	}
	pipe->next = p->idle;
	p->idle = pipe;
}

void relay_pipes_fini(struct relay_pipes *p, const struct relay_calls *calls)
{
	while (p->idle) {
		struct relay_pipe *pipe = p->idle;

		p->idle = pipe->next;
		pipe_free(p, calls, pipe);
	}
}
