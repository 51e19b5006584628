/*
 * Any bytes to the health and the metrics server, over a real connection:
 * the answer is HTTP or empty, and afterwards a plain request is still
 * answered.  The first byte selects one of the two servers.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/mem.h"
#include "proxy/config/config.h"
#include "proxy/engine/dataplane.h"
#include "proxy/host/node_info.h"
#include "proxy/http/servers.h"
#include "proxy/engine/source.h"
#include "proxy/engine/sync.h"
#include "watchers/cluster.h"

#define N_TURNS 4 /* of the loop; a sent request arrives immediately */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct world {
	struct ev_loop *loop;
	struct config config;
	struct cluster *cluster;
	struct node_info node_info;
	struct dataplane dataplane;
	struct object_source source;
	struct sync *sync;
	struct servers *servers;
	uint16_t ports[2];
} * world;

static struct source_api source_api(const struct object_source *source)
{
	(void)source;
	return (struct source_api){.host = "https://fuzz:6443", .silent_since_us = 1};
}

static const struct source_ops source_ops = {.name = "fuzz", .api = source_api};

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

/* One that was free a moment ago. */
static uint16_t find_port(void)
{
	struct sockaddr_in sa = loopback(0);
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert(bind(fd, (struct sockaddr *)&sa, len) == 0);
	assert(getsockname(fd, (struct sockaddr *)&sa, &len) == 0);
	(void)close(fd);
	return ntohs(sa.sin_port);
}

static void set_address(char **where, uint16_t port)
{
	free(*where);
	*where = xasprintf("127.0.0.1:%u", port);
}

static bool has_read(void *data)
{
	(void)data;
	return true;
}

static void world_init(struct world *w)
{
	(void)signal(SIGPIPE, SIG_IGN);
	w->loop = ev_loop_new(0);
	config_init(&w->config);
	config_complete(&w->config);
	w->ports[0] = find_port();
	w->ports[1] = find_port();
	set_address(&w->config.healthz_bind_address, w->ports[0]);
	set_address(&w->config.metrics_bind_address, w->ports[1]);
	w->config.bind_address_hard_fail = true;
	w->cluster = cluster_new("node-0");
	node_info_init(&w->node_info, &w->config, "node-0");
	w->dataplane.mode = "nftables";
	w->source.ops = &source_ops;
	w->sync = sync_new(&(struct sync_params){
		.loop = w->loop,
		.config = &w->config,
		.cluster = w->cluster,
		.node_info = &w->node_info,
		.dataplane = &w->dataplane,
	});
	w->servers = servers_new(&(struct servers_params){
		.loop = w->loop,
		.config = &w->config,
		.cluster = w->cluster,
		.node_info = &w->node_info,
		.dataplane = &w->dataplane,
		.source = &w->source,
		.sync = w->sync,
		.has_read = has_read,
	});
	assert(servers_start(w->servers) == 0);
}

/* libFuzzer's own timer may interrupt us. */
static int open_connection(uint16_t port)
{
	struct linger linger = {.l_onoff = 1}; /* thousands a second, no TIME_WAIT */
	struct sockaddr_in sa = loopback(port);

	for (;;) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		assert(fd != -1);
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
			return fd;
		assert(errno == EINTR);
		(void)close(fd);
	}
}

static size_t ask(struct world *w, uint16_t port, const void *bytes, size_t len,
		  char start[static 16])
{
	int fd = open_connection(port);
	ssize_t n;

	(void)send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	for (int i = 0; i < N_TURNS; i++)
		ev_run(w->loop, EVRUN_NOWAIT);
	n = recv(fd, start, 16, MSG_DONTWAIT);
	(void)close(fd);
	for (int i = 0; i < N_TURNS; i++)
		ev_run(w->loop, EVRUN_NOWAIT);
	return n > 0 ? (size_t)n : 0;
}

static bool is_http(const char *start)
{
	return !memcmp(start, "HTTP/1.1 ", 9) || !memcmp(start, "HTTP/1.0 ", 9);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const char question[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
	char start[16];
	uint16_t port;

	if (len < 1)
		return 0;
	if (!world) {
		world = xcalloc(1, sizeof(*world));
		world_init(world);
	}
	port = world->ports[bytes[0] & 1];
	if (ask(world, port, bytes + 1, len - 1, start) >= 9)
		assert(is_http(start));
	assert(ask(world, port, question, sizeof(question) - 1, start) == 16);
	assert(is_http(start));
	return 0;
}
