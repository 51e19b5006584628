#include "proxy/relay/relay_transfer.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define VERSION 1

static const char magic[8] = "sluiceTR";

struct header {
	char magic[8];
	uint32_t version, n;
};

_Static_assert(sizeof(struct relay_transfer_record) == 64, "records have no padding");

/* ---- writing ---- */

void relay_transfer_flush(struct relay_transfer *t)
{
	struct header h = {.version = VERSION, .n = (uint32_t)t->n};
	const struct iovec pieces[] = {{&h, sizeof(h)},
				       {t->records, t->n * sizeof(t->records[0])}};

	memcpy(h.magic, magic, sizeof(magic));
	if (t->n && !t->err)
		t->err = relay_rights_send(t->fd, pieces, 2, t->fds, t->n);
	if (!t->err)
		t->n_sent += t->n;
	t->n = 0;
}

void relay_transfer_add(struct relay_transfer *t, int fd, int at,
			const struct relay_transfer_record *record)
{
	struct relay_transfer_record *r = &t->records[t->n];
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	*r = *record;
	if (getsockname(at, (struct sockaddr *)&sa, &len) == -1 ||
	    addr_from_sockaddr((const struct sockaddr *)&sa, &r->frontend,
			       &r->frontend_port) != 0)
		return;
	t->fds[t->n++] = fd;
	if (t->n == RELAY_RIGHTS_MAX)
		relay_transfer_flush(t);
}

uint64_t relay_transfer_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) == 0 ? cookie : 0;
}

/* ---- reading ---- */

int relay_transfer_read(int fd,
			void (*take)(void *data, int fd,
				     const struct relay_transfer_record *record),
			void *data)
{
	struct relay_transfer_record records[RELAY_RIGHTS_MAX];
	struct relay_rights rights;
	struct header h;
	const struct iovec pieces[] = {{&h, sizeof(h)}, {records, sizeof(records)}};
	size_t len, n;
	int err = relay_rights_receive(fd, pieces, 2, &rights, &len);

	n = rights.n;
	if (!err && (len != sizeof(h) + n * sizeof(records[0]) || h.n != n ||
		     memcmp(h.magic, magic, sizeof(magic)) != 0 || h.version != VERSION))
		err = -EBADMSG;
	if (err) {
		relay_rights_close(&rights);
		return err;
	}
	for (size_t i = 0; i < n; i++)
		take(data, rights.fds[i], &records[i]);
	return 0;
}
