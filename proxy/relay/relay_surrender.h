/*
 * UDP flows, and clients that wait for an endpoint: a worker that stops listening passes
 * them to the next process, and a worker of that process continues with them.
 */
#pragma once

struct relay_ear;
struct relay_transfer_record;
struct relay_worker;

/* Takes the connection to the next process. No listener is read afterwards. */
void relay_surrender(struct relay_worker *w, int fd);
/* Takes the socket, which arrived at this ear; it is closed if it cannot be served. */
void relay_surrender_adopt(struct relay_worker *w, struct relay_ear *ear, int fd,
			   const struct relay_transfer_record *record);
/* The transfer is over: frontends of UDP that waited for its flows are read. */
void relay_surrender_resume(struct relay_worker *w);
