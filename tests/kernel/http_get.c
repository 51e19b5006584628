#include "tests/kernel/http_get.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "core/cleanup.h"
#include "core/mem.h"

#define ANSWER_SEC 5

static int node_socket(const struct world *w)
{
	const struct timeval limit = {.tv_sec = ANSWER_SEC};
	int fd;

	world_enter(w, PLACE_NODE);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	world_leave(w);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

int http_get(const struct world *w, uint16_t port, const char *path, struct buf *body)
{
	_cleanup_(freep) char *request = xasprintf("GET %s HTTP/1.0\r\n\r\n", path);
	_cleanup_(buf_fini) struct buf answer = BUF_INIT;
	_cleanup_(closep) int fd = node_socket(w);
	const struct sockaddr_in sa = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	char bytes[4096];
	const char *end;
	ssize_t len;

	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) == -1 ||
	    write(fd, request, strlen(request)) != (ssize_t)strlen(request))
		return 0;
	while ((len = read(fd, bytes, sizeof(bytes))) > 0)
		buf_add(&answer, bytes, (size_t)len);
	end = strstr(buf_string(&answer), "\r\n\r\n");
	if (!end || strncmp(buf_string(&answer), "HTTP/1.", 7) != 0)
		return 0;
	if (body)
		buf_add_string(body, end + 4);
	return (int)strtol(buf_string(&answer) + strlen("HTTP/1.1 "), NULL, 10);
}
