/*
 * The classic socket filter of a listener.  It sees the SYN, so a client whose
 * packet it drops meets silence, as from a packet filter.
 */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>

#include "proxy/relay/relay_service.h"

struct relay_filter { /* zeroed: empty, everything passes */
	struct sock_filter *code;
	size_t n, cap;
};

/*
 * From the frontend's decisions and source ranges. False: it is longer
 * than the kernel allows.
 */
bool relay_filter_build(struct relay_filter *f, const struct relay_service *s,
			const struct frontend *frontend);
void relay_filter_fini(struct relay_filter *f);
/* Attaches it, or removes what is attached if it is empty. 0, or -errno. */
int relay_filter_attach(const struct relay_filter *f, int fd);
