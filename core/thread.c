#include "core/thread.h"

#include <signal.h>

int thread_start(pthread_t *ret, void *(*run)(void *data), void *data)
{
	sigset_t all, before;
	int err;

	/* a new thread has the mask of the one that makes it */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(ret, NULL, run, data);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}
