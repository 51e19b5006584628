/*
 * Threads beside the event loop.
 */
#pragma once

#include <pthread.h>

/*
 * A thread that gets no signals: they are handled by the loop's thread. 0, or -errno
 * (-EAGAIN: too many threads).
 */
int thread_start(pthread_t *ret, void *(*run)(void *data), void *data);
