/*
 * The API client with a scripted server, and the state that tests look at
 * afterwards.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tests/unit/fake_server.h"
#include "watchers/reject.h"

struct cluster;
struct events;
struct identity;
struct kube;
struct tls_front;

#define END                                                                              \
	"{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"X\",\"metadata\":{"               \
	"\"resourceVersion\":\"50\","                                                    \
	"\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n"
#define MARK(version)                                                                    \
	"{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"X\",\"metadata\":"                \
	"{\"resourceVersion\":\"" version "\"}}}\n"
#define SERVICE(name, ip)                                                                \
	"{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"namespace\":"       \
	"\"ns\","                                                                        \
	"\"name\":\"" name                                                               \
	"\",\"resourceVersion\":\"60\"},\"spec\":{\"clusterIP\":\"" ip "\","             \
	"\"clusterIPs\":[\"" ip "\"],\"ipFamilies\":[\"IPv4\"],"                         \
	"\"ports\":[{\"port\":80,\"protocol\":\"TCP\"}]}}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define STATUS(code, reason)                                                             \
	"{\"kind\":\"Status\",\"code\":" #code ",\"reason\":\"" reason                   \
	"\",\"message\":\"as the test wants\"}"

#define HEADER "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"

/* Where nothing else is said, a kind is empty and its watch stays open. */
#define QUIET(path)                                                                      \
	{                                                                                \
		.request = path, .bytes = END, .is_body = true, .end = FAKE_STALL        \
	}
#define OTHERS QUIET("/endpointslices"), QUIET("/nodes"), QUIET("/servicecidrs")

struct run {
	/* set before run_open(), all may be left out */
	const char *kubeconfig; /* a path; only the user in it counts */
	uint32_t stall_sec;
	const struct identity
		*identity;	     /* the server speaks TLS, with this certificate */
	const char *service_account; /* the Pod's folder of it */
	const struct reject *reject;
	struct events *events; /* gets one when synced */

	struct ev_loop *loop;
	struct fake_server *server;
	struct tls_front *front; /* NULL without identity */
	struct cluster *cluster;
	struct kube *kube;
	bool has_synced;
	unsigned n_changes;
};

#define SEC 10.0 /* more than anything takes */

void run_open(struct run *r, const struct fake_answer *answers, size_t n);
void run_close(struct run *r);

/* Runs the loop until holds() or the time is over; answers which. */
bool wait_for(struct run *r, bool (*holds)(const struct run *r), double max_sec);

/* For wait_for(): synced, and ns/web is there. */
bool has_web(const struct run *r);
bool never(const struct run *r);
