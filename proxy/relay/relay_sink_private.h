/*
 * The sink's own structures, for relay_sink*.c and relay_view.c.
 */
#pragma once

#include <ev.h>

#include "core/hash.h"
#include "core/node_list.h"
#include "core/sink.h"
#include "proxy/relay/relay.h"
#include "proxy/relay/relay_handover.h"
#include "proxy/relay/relay_inheritance.h"
#include "proxy/relay/relay_listener.h"
#include "proxy/relay/relay_routes.h"
#include "proxy/relay/relay_state.h"

struct relay_entry { /* a service port */
	struct relay_service *current;
	struct relay_listener **listeners;
	size_t n_listeners, cap;
	bool is_seen;	     /* in this full change set */
	bool has_routes;     /* of its current version */
	uint16_t local_port; /* that it has or had last; 0: none */
};

struct relay_sink {
	struct sink sink;
	struct relay_shared shared;
	struct relay_limit limit;
	struct relay_routes *routes;
	/* Where node ports at the unspecified address are served; those of the environment. */
	struct node_list node_addresses[FAMILY_N];
	bool has_moved;		   /* they changed in this change set, which is full */
	bool can_route;		   /* else only node ports, and local ports, are served */
	bool has_logged[FAMILY_N]; /* that it has no local ports */
	struct hash entries;	   /* by service key */
	struct hash listeners;	   /* of all entries, and those without an owner */
	struct relay_listener **orphans; /* lost their owner in this change set */
	size_t n_orphans, cap_orphans;
	struct relay_outbox outbox;
	struct relay_classifier classifier[FAMILY_N];
	struct cidr networks
		[ENVIRONMENT_MAX_SERVICE_CIDRS]; /* service networks with a route */
	size_t n_networks;
	bool has_reviews; /* endpoints were removed whose connections must end */
	/* relay_sink_handover.c: */
	struct relay_params params;
	char *handover_path;		      /* NULL: none */
	struct relay_inheritance inheritance; /* until all Services are served */
	struct relay_state *state;	      /* as long; NULL: none */
	int predecessor_fd;		      /* the process that hands over; -1: none */
	struct relay_handover *handover;
	ev_timer snapshot;
	int state_fd;
	uint64_t n_counted; /* by the workers, at the last snapshot that was due */
	unsigned n_quiet;   /* snapshots that were due since that or a change set */
	bool has_adopted, is_handed_over;
	/* relay_sink_transfer.c: */
	ev_io transfer; /* runs until the process before this one has sent all */
	ev_timer transfer_limit;
	size_t n_transferred;
};

extern const struct sink_view relay_view;

/* Whether this process can accept packets to it. */
bool relay_sink_serves(const struct relay_sink *r, const struct frontend *f);
/* The addresses of a frontend: its own, or those of the node. */
const struct addr *relay_sink_addresses(const struct relay_sink *r,
					const struct service *s, const struct frontend *f,
					size_t *ret_n);

/* relay_sink_routes.c. Service networks have one route each. */
int relay_sink_restart_routes(struct relay_sink *r, const struct environment *env);
/* Those of all frontends, or none; put gives back those of the first n frontends. */
int relay_sink_get_routes(struct relay_sink *r, const struct service *s);
void relay_sink_put_routes(struct relay_sink *r, const struct service *s, uint32_t n);

/* relay_sink_listen.c. Takes the owner from all (new is NULL), or those that new does not need. */
void relay_sink_orphan(struct relay_sink *r, struct relay_entry *e,
		       const struct service *new);
void relay_sink_close_orphans(struct relay_sink *r);
/* Takes a listener, or opens one. -errno, and why in a static text. */
int relay_sink_listen(struct relay_sink *r, struct relay_entry *e,
		      const struct frontend *f, const struct addr *addr,
		      const char **ret_why);

/* relay_sink_handover.c. Takes what the process before this one left. */
void relay_sink_inherit(struct relay_sink *r);
void relay_sink_restore_workers(struct relay_sink *r);
void relay_sink_restore_service(struct relay_sink *r, struct relay_service *s);
/* All Services are served: the rest is closed, and the next process may come. */
void relay_sink_adopted(struct relay_sink *r);
/* Before the workers end; after a hand-over connections end first. */
void relay_sink_leave(struct relay_sink *r);
/* For a listener that was opened, and before it is closed. */
void relay_sink_store(const struct relay_sink *r, const struct relay_listener *l);
void relay_sink_unstore(const struct relay_sink *r, const struct relay_listener_key *key);

/*
 * relay_sink_transfer.c. The listeners are the next process's, and UDP flows and waiting
 * clients go to it; takes the connection.
 */
void relay_sink_pass(struct relay_sink *r, int fd);
/* The same by way of the service manager. False: it does not take them, and they stay. */
bool relay_sink_store_transfer(struct relay_sink *r);
/* Receives them; takes the connection. -1: there is none. */
void relay_sink_start_transfer(struct relay_sink *r, int fd);
void relay_sink_stop_transfer(struct relay_sink *r);

/* The same with a key of its own. */
int relay_sink_listen_at(struct relay_sink *r, struct relay_entry *e,
			 const struct frontend *f, const struct relay_listener_key *key,
			 const char **ret_why);

/* relay_sink_local.c. Is this the entry's local port? */
bool relay_sink_is_local(const struct relay_sink *r, const struct relay_entry *e,
			 const struct relay_listener_key *key);
/* Listens at a local port, if there is to be one. */
int relay_sink_listen_local(struct relay_sink *r, struct relay_entry *e,
			    const char **ret_why);
void relay_sink_place(const struct sink *sink, const struct service *s,
		      const struct frontend *f, struct sink_place *ret);

/* relay_census.c */
struct sink_census *relay_census_new(struct sink *sink, const struct changeset *of);

struct relay_entry *relay_sink_find(const struct relay_sink *r, const struct service *s);
