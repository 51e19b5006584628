#include "tests/kernel/io_uring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/cleanup.h"

static void *map(int ring, size_t len, uint64_t offset)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring,
		    (off_t)offset);
}

static uint32_t *at(void *base, uint32_t offset)
{
	return (uint32_t *)(void *)((char *)base + offset);
}

/* The only entry of a new ring. */
static int submit(int ring, const struct io_uring_params *p, void *queues,
		  struct io_uring_sqe *entries, const struct io_uring_sqe *sqe)
{
	const struct io_uring_cqe *done =
		(const struct io_uring_cqe *)(void *)at(queues, p->cq_off.cqes);

	*entries = *sqe;
	*at(queues, p->sq_off.array) = 0;
	__atomic_store_n(at(queues, p->sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return -errno;
	if (__atomic_load_n(at(queues, p->cq_off.tail), __ATOMIC_ACQUIRE) != 1)
		return -EIO;
	return done->res;
}

int io_uring_connect(int fd, const struct sockaddr *sa, socklen_t len, bool async)
{
	struct io_uring_params p = {0};
	_cleanup_(closep) int ring = (int)syscall(SYS_io_uring_setup, 1, &p);
	const struct io_uring_sqe sqe = {
		.opcode = IORING_OP_CONNECT,
		.flags = async ? IOSQE_ASYNC : 0,
		.fd = fd,
		.addr = (uintptr_t)sa,
		.off = len,
	};
	size_t queues_len, entries_len;
	void *queues, *entries;
	int err;

	if (ring < 0 || !(p.features & IORING_FEAT_SINGLE_MMAP))
		return -ENOSYS;
	queues_len = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	if (p.sq_off.array + p.sq_entries * sizeof(uint32_t) > queues_len)
		queues_len = p.sq_off.array + p.sq_entries * sizeof(uint32_t);
	entries_len = p.sq_entries * sizeof(struct io_uring_sqe);
	queues = map(ring, queues_len, IORING_OFF_SQ_RING);
	entries = map(ring, entries_len, IORING_OFF_SQES);
	err = queues == MAP_FAILED || entries == MAP_FAILED
		      ? -errno
		      : submit(ring, &p, queues, entries, &sqe);
	if (queues != MAP_FAILED)
		(void)munmap(queues, queues_len);
	if (entries != MAP_FAILED)
		(void)munmap(entries, entries_len);
	return err;
}
