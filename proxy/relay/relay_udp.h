/*
 * UDP of a worker.  A client at a frontend is a flow: it has an endpoint, and a socket
 * that is connected to it, so ICMP errors find their flow and datagrams of other
 * senders never arrive.  Answers leave by the frontend's socket, which is bound to
 * the frontend's address.
 */
#pragma once

#include <stdint.h>

struct relay_ear;
struct relay_transfer;
struct relay_transfer_record;
struct relay_udp;
struct relay_worker;

struct relay_udp *relay_udp_new(struct relay_worker *w);
/* All ears are closed. */
void relay_udp_free(struct relay_udp *u);

/* Prepares a frontend's socket. */
void relay_udp_open_ear(struct relay_udp *u, struct relay_ear *ear);
/* It has another version of its service, which may need the class of clients. */
void relay_udp_retarget(struct relay_ear *ear);
/* Ends its flows; the caller closes the socket. */
void relay_udp_close_ear(struct relay_udp *u, struct relay_ear *ear);
/* Adds its flows, which are not read any more. They stay open until relay_udp_close_ear(). */
void relay_udp_pass(struct relay_ear *ear, struct relay_transfer *t);
/* Continues with a flow of the process before this one; takes its socket. */
void relay_udp_adopt(struct relay_udp *u, struct relay_ear *ear, int fd,
		     const struct relay_transfer_record *record);
/* Ends the flows of removed endpoints. */
void relay_udp_review(struct relay_udp *u, uint64_t now_ms);
/* Ends flows that are idle for too long, and those above the limit. */
void relay_udp_sweep(struct relay_udp *u, uint64_t now_ms);
/* After each batch of events: sends answers, frees ended flows. */
void relay_udp_finish(struct relay_udp *u);
