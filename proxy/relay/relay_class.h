/*
 * Class of a client that has connected.  Pods are known by the detector: by
 * their address, or by the interface that the connection came in by.  The node
 * is known by the loopback interface and by its addresses.
 */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

#include "core/addr.h"
#include "core/environment.h"
#include "core/service.h"

struct relay_classifier { /* a plain value; compared as bytes */
	enum pod_detector detector;
	enum family family;
	struct cidr pod_cidr; /* with POD_DETECTOR_CIDR */
	char ifname[ENVIRONMENT_IFNAME_LEN];
	unsigned loopback_index;
};

struct relay_classifier relay_classifier_of(const struct environment *env,
					    enum family family);
bool relay_classifier_equal(const struct relay_classifier *a,
			    const struct relay_classifier *b);
/* The interface by which a connected TCP socket's client came in; 0: unknown. */
unsigned relay_class_ifindex(int fd, enum family family);
/* The same, from the control messages of a datagram. */
unsigned relay_class_ifindex_of(struct msghdr *m);
/* A client at this address, whose packets come in by this interface. */
enum client_class relay_classify(const struct relay_classifier *c, unsigned ifindex,
				 const struct addr *peer);
