/*
 * Messages and state of a hand-over between two processes: they are refused, or
 * all offsets of the state are within it, and no descriptor is left.  The first byte selects which; a message, also
 * one of a transfer, has two bytes for its length and its descriptor before it.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "proxy/relay/relay_handover.h"
#include "proxy/relay/relay_inheritance.h"
#include "proxy/relay/relay_state.h"
#include "proxy/relay/relay_transfer.h"

#define MAX_MESSAGES 16

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void send_message(int to, const uint8_t *bytes, size_t len, unsigned n_fds)
{
	int fds[2] = {memfd_create("state", MFD_CLOEXEC), to};
	union {
		char buf[CMSG_SPACE(sizeof(fds))];
		struct cmsghdr align;
	} control = {.buf = ""};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n_fds) {
		m.msg_control = control.buf;
		m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		*CMSG_FIRSTHDR(&m) =
			(struct cmsghdr){.cmsg_len = CMSG_LEN(n_fds * sizeof(int)),
					 .cmsg_level = SOL_SOCKET,
					 .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fds, n_fds * sizeof(int));
	}
	(void)sendmsg(to, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)close(fds[0]);
}

static void close_socket(void *data, int fd, const struct relay_transfer_record *record)
{
	(void)close(fd);
}

/* The end from which they are read. */
static int send_messages(const uint8_t *bytes, size_t len)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == -1)
		abort();
	for (int i = 0; i < MAX_MESSAGES && len > 2; i++) {
		size_t n = bytes[0] < len - 2 ? bytes[0] : len - 2;

		send_message(ends[1], bytes + 2, n, bytes[1] % 3);
		bytes += 2 + n;
		len -= 2 + n;
	}
	(void)close(ends[1]);
	/* Without an end when a message had the other end: it does not wait for more. */
	(void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
	return ends[0];
}

static void read_messages(const uint8_t *bytes, size_t len)
{
	_cleanup_(closep) int fd = send_messages(bytes, len);
	struct relay_inheritance in;
	const char *why = NULL;

	relay_inheritance_init(&in);
	assert(relay_handover_read(fd, &in, &why) == 0 || why);
	relay_inheritance_fini(&in, NULL, NULL);
}

static void read_transfer(const uint8_t *bytes, size_t len)
{
	_cleanup_(closep) int fd = send_messages(bytes, len);

	while (relay_transfer_read(fd, close_socket, NULL) == 0)
		;
}

static void read_state(const uint8_t *bytes, size_t len)
{
	const struct relay_state_service *services;
	struct relay_state *state;
	const char *why = NULL;
	uint64_t sum = 0;
	size_t n, n_bindings;

	if (relay_state_parse(bytes, len, &state, &why) != 0) {
		assert(why);
		return;
	}
	services = relay_state_table(state, RELAY_STATE_SERVICES, &n);
	for (size_t i = 0; i < n; i++) {
		const struct relay_state_endpoint *e =
			relay_state_endpoints(state, &services[i]);

		for (uint32_t k = 0; k < services[i].n_endpoints; k++)
			sum += e[k].n_connections;
		(void)relay_state_bindings(state, &services[i], &n_bindings);
		sum += n_bindings;
	}
	assert(sum + 1 != 0 || n > 0);
	relay_state_free(state);
}

/* The lowest number that no descriptor has. */
static int first_free_fd(void)
{
	int fd = dup(STDERR_FILENO);

	assert(fd >= 0);
	(void)close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	int before = first_free_fd();

	if (len && bytes[0] & 1)
		read_state(bytes + 1, len - 1);
	else if (len && bytes[0] & 2)
		read_transfer(bytes + 1, len - 1);
	else if (len)
		read_messages(bytes + 1, len - 1);
	assert(first_free_fd() == before);
	return 0;
}
