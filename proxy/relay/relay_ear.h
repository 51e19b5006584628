/*
 * The listening sockets of a worker (struct relay_ear), in its thread: watching them,
 * and accepting connections.
 */
#pragma once

#include <stdbool.h>

struct relay_ear;
struct relay_worker;

bool relay_ear_is_udp(const struct relay_ear *ear);
/* It belongs to this worker from now on, until relay_ear_close(). */
void relay_ear_open(struct relay_worker *w, struct relay_ear *ear);
/* Clients are served. If it cannot be watched, it is paused. */
void relay_ear_start(struct relay_ear *ear);
/* Clients wait. */
void relay_ear_stop(struct relay_ear *ear);
/* Starts those again that are paused for want of descriptors or memory. */
void relay_ear_resume_paused(struct relay_worker *w);
/*
 * Clients that were not accepted yet are reset by the kernel, unless another process has
 * the socket, too.
 */
void relay_ear_close(struct relay_worker *w, struct relay_ear *ear);
