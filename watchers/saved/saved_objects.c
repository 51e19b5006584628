#include "watchers/saved/saved_objects.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/clock.h"
#include "core/mem.h"
#include "watchers/saved/object_record.h"
#include "watchers/saved/saved_reader.h"

#define DRAFT	  SAVED_OBJECTS_FILE ".tmp"
#define OLD_FILE  "objects.json" /* of an older version: never read again */
#define PIECE_LEN 65536

void saved_objects_fini(struct saved_objects *s)
{
	for (size_t i = 0; i < s->n; i++)
		object_unref(s->objects[i]);
	free(s->objects);
	*s = (struct saved_objects){0};
}

struct writer {
	int fd;
	struct buf buf;
	uint64_t sum;
	size_t len; /* already written */
};

static int flush(struct writer *w)
{
	const char *at = w->buf.data;
	size_t left = w->buf.len;

	w->sum = saved_checksum(w->sum, at, left);
	w->len += left;
	if (w->len > SAVED_OBJECTS_MAX_LEN)
		return -EFBIG;
	while (left > 0) {
		ssize_t n = write(w->fd, at, left);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -errno;
		at += n;
		left -= (size_t)n;
	}
	buf_clear(&w->buf);
	return 0;
}

static void add_head(struct writer *w, const struct saved_source *source, int64_t now_us)
{
	char written[CLOCK_TEXT_LEN];
	json_auto_t *head =
		json_pack("{s:s, s:i, s:s, s:s, s:s}", "kind", SAVED_KIND, "version",
			  SAVED_VERSION, "node", source->node, "cluster", source->cluster,
			  "written", clock_format(now_us, written));
	_cleanup_(freep) char *text = json_dumps(head, JSON_COMPACT);

	buf_printf(&w->buf, "%s\n", text ? text : "");
}

/* With its length before it, which is known last. */
static size_t add_object(struct buf *out, const struct object *o)
{
	size_t start = out->len;
	uint32_t len = 0;

	buf_add(out, &len, SAVED_HEAD_LEN);
	if (!object_record_add(out, o)) {
		buf_cut(out, start);
		return 0;
	}
	len = htole32((uint32_t)(out->len - start - SAVED_HEAD_LEN));
	memcpy(out->data + start, &len, SAVED_HEAD_LEN);
	return 1;
}

static void add_end(struct writer *w, size_t n_objects)
{
	const uint64_t numbers[] = {htole64(n_objects), htole64(w->sum)};
	const uint32_t len = 0;

	buf_add(&w->buf, &len, SAVED_HEAD_LEN);
	buf_add(&w->buf, numbers, sizeof(numbers));
}

static int write_all(struct writer *w, const struct saved_source *source, int64_t now_us,
		     struct object *const *objects, size_t n)
{
	size_t n_added = 0;
	int err = 0;

	add_head(w, source, now_us);
	for (size_t i = 0; i < n && !err; i++) {
		n_added += add_object(&w->buf, objects[i]);
		if (w->buf.len >= PIECE_LEN)
			err = flush(w);
	}
	if (!err)
		err = flush(w);
	if (err)
		return err;
	add_end(w, n_added);
	err = flush(w);
	return err || fsync(w->fd) == 0 ? err : -errno;
}

/* The name of the file changes only after its bytes are on the disk. */
static int replace(int dir, struct writer *w)
{
	if (renameat(dir, DRAFT, dir, SAVED_OBJECTS_FILE) == -1)
		return -errno;
	(void)unlinkat(dir, OLD_FILE, 0); /* usually there is none */
	/* without it, a power cut may bring the old file back, which is whole, too */
	return fsync(dir) == 0 || errno == EINVAL ? 0 : -errno;
}

int saved_objects_write(const char *dir, const struct saved_source *source,
			int64_t now_us, struct object *const *objects, size_t n,
			size_t *ret_len)
{
	_cleanup_(closep) int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(closep) int fd = -1;
	struct writer w = {.sum = SAVED_CHECKSUM_INIT};
	int err;

	if (at == -1)
		return -errno;
	if (unlinkat(at, DRAFT, 0) == -1 && errno != ENOENT)
		return -errno;
	w.fd = fd = openat(at, DRAFT,
			   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1)
		return -errno;
	err = write_all(&w, source, now_us, objects, n);
	buf_fini(&w.buf);
	if (!err)
		err = replace(at, &w);
	if (err)
		(void)unlinkat(at, DRAFT, 0); /* the next write removes it, too */
	if (err == -EFBIG)
		(void)unlinkat(at, SAVED_OBJECTS_FILE, 0); /* it would only get older */
	*ret_len = w.len;
	return err;
}

/* Others must not be able to write what this process believes. */
static int check_file(int fd, const char **ret_why)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return -errno;
	if (!S_ISREG(st.st_mode))
		*ret_why = "is not a regular file";
	else if (st.st_uid != geteuid())
		*ret_why = "belongs to another user";
	else if (st.st_mode & (S_IWGRP | S_IWOTH))
		*ret_why = "can be written by other users";
	else if ((uint64_t)st.st_size > SAVED_OBJECTS_MAX_LEN)
		*ret_why = "is larger than 256 MiB";
	else
		return 0;
	return -EINVAL;
}

static int read_all(int fd, struct saved_reader *reader)
{
	_cleanup_(freep) char *piece = xmalloc(PIECE_LEN);
	int err = 0;

	while (!err) {
		ssize_t n = read(fd, piece, PIECE_LEN);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -errno;
		if (n == 0)
			return saved_reader_end(reader);
		err = saved_reader_feed(reader, piece, (size_t)n);
	}
	return err;
}

int saved_objects_read(const char *dir, const struct saved_source *source,
		       struct saved_objects *ret, const char **ret_why)
{
	_cleanup_(freep) char *path = xasprintf("%s/" SAVED_OBJECTS_FILE, dir);
	_cleanup_(closep) int fd =
		open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct saved_reader reader;
	int err = fd == -1 ? -errno : 0;

	if (err) {
		*ret_why = err == -ELOOP ? "is a symbolic link" : strerror(-err);
		return err;
	}
	err = check_file(fd, ret_why);
	if (err)
		return err;
	saved_reader_init(&reader, source);
	err = read_all(fd, &reader);
	*ret_why = reader.why ? reader.why : strerror(-err);
	if (!err) {
		*ret = reader.objects;
		reader.objects = (struct saved_objects){0};
	}
	saved_reader_fini(&reader);
	return err;
}
