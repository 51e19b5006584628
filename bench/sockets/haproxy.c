#include "bench/sockets/haproxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/rows.h"
#include "bench/workload.h"
#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"

#define FIRST_ADDRESS 0xc0000201u /* 192.0.2.1 */

static void add_listener(struct buf *config, const struct services *services,
			 uint32_t number, const struct sockaddr_in *at)
{
	char text[ADDR_TEXT_LEN];

	buf_printf(config, "listen svc-%u\n bind %s:%u\n mode tcp\n balance roundrobin\n",
		   number, inet_ntop(AF_INET, &at->sin_addr, text, sizeof(text)),
		   WORKLOAD_PORT);
	for (uint32_t i = 0; i < services->n_endpoints; i++) {
		struct addr a = workload_endpoint(number, i, services->n_endpoints, 0);

		buf_printf(config, " server e%u %s:%u\n", i, addr_format(&a, text),
			   WORKLOAD_TARGET_PORT);
	}
}

static void add_address(const struct node *node, const struct sockaddr_in *at)
{
	char text[INET_ADDRSTRLEN];
	_cleanup_(freep) char *script =
		xasprintf("addr add %s/32 dev lo\n",
			  inet_ntop(AF_INET, &at->sin_addr, text, sizeof(text)));

	node_configure(node, NODE_HOST, script);
}

static _Noreturn void run(const struct buf *config)
{
	int fd = memfd_create("haproxy.cfg", 0);
	char path[32];

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd < 0 || write(fd, config->data, config->len) != (ssize_t)config->len)
		_exit(1);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	(void)execlp("haproxy", "haproxy", "-q", "-db", "-f", path, (char *)NULL);
	_exit(127);
}

static bool answers(const struct sockaddr_in *at)
{
	_cleanup_(closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return connect(fd, (const struct sockaddr *)at, sizeof(*at)) == 0;
}

/* The first connections only see whether it listens; the server accepts and drops them. */
static void wait_for(const struct node *node, const struct sockaddr_in *at, pid_t pid)
{
	int fd;

	while (!answers(at)) {
		if (waitpid(pid, NULL, WNOHANG) != 0)
			rows_fail(-ECHILD, "haproxy does not start");
		(void)usleep(10000);
	}
	fd = accept4(node->listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		rows_fail(-errno, "haproxy does not connect to the server");
	(void)close(fd);
}

pid_t haproxy_start(const struct node *node, const struct services *services,
		    const uint32_t *numbers, unsigned n, struct sockaddr_in *ret)
{
	_cleanup_(buf_fini) struct buf config = BUF_INIT;
	pid_t pid;

	if (system("command -v haproxy >/dev/null") != 0)
		return 0;
	buf_add_string(&config, "global\n nbthread 1\n maxconn 2000\n"
				"defaults\n timeout connect 5s\n timeout client 60s\n"
				" timeout server 60s\n");
	for (unsigned i = 0; i < n; i++) {
		ret[i] = (struct sockaddr_in){
			.sin_family = AF_INET,
			.sin_port = htons(WORKLOAD_PORT),
			.sin_addr.s_addr = htonl(FIRST_ADDRESS + i),
		};
		add_address(node, &ret[i]);
		add_listener(&config, services, numbers[i], &ret[i]);
	}
	node_enter(node, NODE_HOST);
	pid = fork();
	if (pid == 0)
		run(&config);
	if (pid < 0)
		rows_fail(-errno, "fork");
	wait_for(node, &ret[0], pid);
	return pid;
}

void haproxy_stop(pid_t pid)
{
	if (pid <= 0)
		return;
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}
