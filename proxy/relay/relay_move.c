#include "proxy/relay/relay_move.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/mem.h"

#define SPLICE_LEN (1 << 20)
#define SMALL_LEN  8192
#define MAX_SMALL  8

static bool is_retry(int err)
{
	return err == EAGAIN || err == EWOULDBLOCK || err == EINTR;
}

static int send_kept(struct relay_mover *m, struct relay_side *from,
		     const struct relay_side *to)
{
	while (from->kept) {
		ssize_t n = m->calls->send(to->io.fd, from->kept + from->kept_at,
					   from->kept_len - from->kept_at,
					   MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n == -1)
			return is_retry(errno) ? 0 : -errno;
		from->kept_at += (uint32_t)n;
		if (from->kept_at < from->kept_len)
			continue;
		free(from->kept);
		from->kept = NULL;
	}
	return 0;
}

static int send_pipe(struct relay_mover *m, struct relay_side *from,
		     const struct relay_side *to)
{
	while (from->pipe) {
		ssize_t n = m->calls->splice(from->pipe->out, NULL, to->io.fd, NULL,
					     from->pipe->len,
					     SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

		if (n == -1)
			return is_retry(errno) ? 0 : -errno;
		from->pipe->len -= (size_t)n;
		if (from->pipe->len)
			continue;
		relay_pipes_put(&m->pipes, m->calls, from->pipe);
		from->pipe = NULL;
	}
	return 0;
}

/*
 * The epoll set reports new bytes only of a socket that was emptied. A read that returns
 * less than it could has emptied it, unless the end or an urgent byte follows.
 */
static void note_empty(struct relay_side *from)
{
	from->can_read = false;
	from->is_urgent = false;
}

/* A read returned less than it could. */
static void note_short(struct relay_side *from)
{
	if (from->is_urgent)
		return;
	if (from->has_fin)
		from->has_ended = true;
	else if (!from->is_ending)
		note_empty(from);
}

/*
 * The rest that the receiver does not take gets a block of its own. After the last piece
 * the end is passed on, in the same segment.
 */
static int copy_piece(struct relay_mover *m, struct relay_side *from,
		      const struct relay_side *to)
{
	ssize_t n = m->calls->recv(from->io.fd, m->buffer, sizeof(m->buffer),
				   MSG_DONTWAIT),
		sent;

	if (n == -1 && !is_retry(errno))
		return -errno;
	if (n == -1) {
		note_empty(from);
		return 0;
	}
	if (n == 0) {
		from->has_ended = true;
		return 0;
	}
	from->n_read += (uint64_t)n;
	if (n == sizeof(m->buffer)) {
		from->is_splicing = true;
		from->n_small = 0;
	} else {
		note_short(from);
	}
	sent = m->calls->send(to->io.fd, m->buffer, (size_t)n,
			      MSG_NOSIGNAL | MSG_DONTWAIT |
				      (from->has_ended ? MSG_MORE : 0));
	if (sent == -1 && !is_retry(errno))
		return -errno;
	if (sent == -1)
		sent = 0;
	if (sent == n)
		return 0;
	from->kept_at = 0;
	from->kept_len = (uint32_t)(n - sent);
	from->kept = xmalloc(from->kept_len);
	memcpy(from->kept, m->buffer + sent, from->kept_len);
	return 0;
}

static void note_size(struct relay_side *from, size_t n)
{
	from->n_small = n < SMALL_LEN ? (uint8_t)(from->n_small + 1) : 0;
	if (from->n_small == MAX_SMALL)
		from->is_splicing = false;
}

/*
 * A short splice does not mean an empty socket. Without bytes it does not mean the end,
 * either, at an urgent byte: recv() decides.
 */
static int splice_piece(struct relay_mover *m, struct relay_side *from,
			const struct relay_side *to, struct relay_pipe *pipe)
{
	ssize_t n = m->calls->splice(from->io.fd, NULL, pipe->in, NULL, SPLICE_LEN,
				     SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	int err = n == -1 ? errno : 0;

	if (n <= 0) {
		relay_pipes_put(&m->pipes, m->calls, pipe);
		if (n == 0)
			from->is_splicing = false;
		else if (is_retry(err))
			note_empty(from);
		return is_retry(err) ? 0 : -err;
	}
	from->n_read += (uint64_t)n;
	note_size(from, (size_t)n);
	pipe->len = (size_t)n;
	from->pipe = pipe;
	return send_pipe(m, from, to);
}

int relay_move(struct relay_mover *m, struct relay_side *from,
	       const struct relay_side *to)
{
	struct relay_pipe *pipe;
	int err = send_kept(m, from, to);

	if (!err)
		err = send_pipe(m, from, to);
	if (err || !relay_side_is_readable(from))
		return err;
	/* splice() does not pass an urgent byte */
	pipe = from->is_splicing && !from->is_urgent
		       ? relay_pipes_get(&m->pipes, m->calls)
		       : NULL;
	return pipe ? splice_piece(m, from, to, pipe) : copy_piece(m, from, to);
}

void relay_side_init(struct relay_side *s, int fd, bool is_server)
{
	*s = (struct relay_side){.io.fd = fd, .is_server = is_server};
}

void relay_side_discard(struct relay_mover *m, struct relay_side *s)
{
	free(s->kept);
	s->kept = NULL;
	if (s->pipe)
		relay_pipes_put(&m->pipes, m->calls, s->pipe);
	s->pipe = NULL;
}
