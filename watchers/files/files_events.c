/*
 * The meaning of events.  A file that was renamed into place or closed by its
 * writer is complete: it alone is looked at, and read in the next turn.  So is
 * the content that a swap of a link or folder leads to, which takes a scan.  All
 * else (a file that was just created, deleted, truncated) may be one half of a
 * change: a scan later decides.  Other names in a folder mean nothing.
 *
 * A file that changes again within a pause of its last reading waits for the next
 * scan, so that a flood of changes costs a bounded number of readings.
 */
#include "watchers/files/files_private.h"

#include <string.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/mem.h"

/* The link of a mounted ConfigMap that all of its files lead through. */
#define SWAPPED_NAME "..data"

/* Where the file is in the list, or should be. */
static size_t find_place(const struct files *f, const struct file *key)
{
	size_t first = 0, end = f->n;

	while (first < end) {
		size_t mid = first + (end - first) / 2;

		if (file_compare(f->files[mid], key) < 0)
			first = mid + 1;
		else
			end = mid;
	}
	return first;
}

static void insert(struct files *f, size_t at, struct file *file)
{
	f->files = xgrow(f->files, f->n, &f->cap, sizeof(*f->files));
	memmove(&f->files[at + 1], &f->files[at], (f->n - at) * sizeof(*f->files));
	f->files[at] = file;
	f->n++;
}

static void want_now(struct files *f, size_t at)
{
	struct file *file = f->files[at];

	file->gone_us = 0;
	file->read_us = clock_monotonic_us();
	if (f->n_wanted == 0)
		f->next = at; /* spares the search */
	file_want(f, file);
}

/* It may have been renamed: then its objects are in another file, too. */
static void note_missing(struct file *file)
{
	if (file->n_holdings > 0 && !file->gone_us)
		file->gone_us = clock_monotonic_us();
}

static bool is_read_lately(const struct files *f, const struct file *file)
{
	return file == f->loading.file ||
	       clock_monotonic_us() - file->read_us < FILE_PAUSE_US;
}

static enum file_scan take_file(struct files *f, const struct file_event *event)
{
	struct file key = {.source = event->source, .name = event->name};
	size_t at = find_place(f, &key);
	struct file *file =
		at < f->n && file_compare(f->files[at], &key) == 0 ? f->files[at] : NULL;
	_cleanup_(file_freep) struct file *new =
		file ? NULL : file_new(event->source, event->name);
	struct stat st;

	if (stat(file ? file->path : new->path, &st) == -1) {
		if (file)
			note_missing(file);
		return FILE_SCAN_LATER;
	}
	if (event->is_moved_in && S_ISDIR(st.st_mode))
		return FILE_SCAN_SOON;
	if ((!event->is_moved_in && !event->is_closed) || !S_ISREG(st.st_mode) ||
	    st.st_size == 0 || event->source->err != 0)
		return FILE_SCAN_LATER;
	if (file && file->fingerprint == file_fingerprint(&st))
		return FILE_SCAN_NONE;
	if (file && is_read_lately(f, file))
		return FILE_SCAN_LATER;
	if (!file)
		insert(f, at, take_ptr(new));
	want_now(f, at);
	return FILE_SCAN_NONE;
}

static enum file_scan take(struct files *f, const struct file_event *event)
{
	bool is_swap = !event->source || strcmp(event->name, SWAPPED_NAME) == 0;

	if (is_swap)
		return event->is_moved_in ? FILE_SCAN_SOON : FILE_SCAN_LATER;
	if (event->is_folder && *event->name) /* which is reported, if it isn't hidden */
		return *event->name == '.' ? FILE_SCAN_NONE : FILE_SCAN_LATER;
	if (*event->name && !file_name_counts(event->name))
		return FILE_SCAN_NONE;
	return take_file(f, event);
}

void files_take_event(void *data, const struct file_event *event)
{
	struct files *f = data;
	enum file_scan scan = take(f, event);

	f->is_swapped |= scan == FILE_SCAN_SOON;
	if (scan > f->due)
		f->due = scan;
}
