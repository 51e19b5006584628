/*
 * Any server: whatever it answers in whatever order, the reflector asks on
 * within bounds, and nothing is swept but behind a complete list.
 */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "watchers/kube/reflector.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define MAX_WAIT_US 300000000ull

static const char *const versions[] = {"", "0", "7", "70"};
static const char *const reasons[] = {"", "Expired", "Gone", "InternalError"};
static const int statuses[] = {400, 401, 403, 404, 410, 422, 429, 500, 503, 504, 301};
static const int errors[] = {0, -ECONNREFUSED, -ECONNRESET, -ETIMEDOUT, -ECANCELED};

#define PICK(list, n) (list)[(n) % N_ELEMENTS(list)]

static struct watch_event make_event(uint8_t a, uint8_t b)
{
	static struct object object;
	struct watch_event event = {
		.type = a % (WATCH_ERROR + 1),
		.is_initial_end = b & 1,
		.is_too_large_version = b & 2,
		.status_code = PICK(statuses, b),
		.retry_after_sec = b & 4 ? UINT32_MAX : 0,
		.object = b & 8 ? &object : NULL,
	};

	strcpy(event.resource_version, PICK(versions, b >> 4));
	strcpy(event.reason, PICK(reasons, b >> 6));
	return event;
}

static void check_sweep(const struct reflector *r, enum reflector_step step,
			bool was_replacing)
{
	if (step != REFLECTOR_END_REPLACE)
		return;
	assert(was_replacing && !r->is_replacing && r->has_synced);
	assert(r->verb == REFLECTOR_WATCH && *r->resource_version);
}

/* One call, of as many bytes as it takes; answers how many. */
static size_t call(struct reflector *r, const uint8_t *bytes, size_t len, uint64_t now_us)
{
	struct reflector_request request = reflector_open(r, now_us, bytes[0]);
	enum reflector_step step = REFLECTOR_NOTHING;
	size_t at = 1;

	assert(request.timeout_sec >= 300 && request.timeout_sec < 600);
	assert(request.verb != REFLECTOR_WATCH || *request.resource_version);
	if (bytes[0] & 1)
		reflector_heard(r);
	if ((bytes[0] & 3) == 3)
		reflector_refused(r, PICK(statuses, bytes[0] >> 2), NULL, bytes[0],
				  now_us, bytes[0]);
	for (; (bytes[0] & 3) == 1 && at + 1 < len && step != REFLECTOR_GIVE_UP &&
	       bytes[at] < 200;
	     at += 2) {
		struct watch_event event = make_event(bytes[at], bytes[at + 1]);
		bool was_replacing = r->is_replacing;

		if (request.verb != REFLECTOR_LIST) {
			step = reflector_event(r, &event, now_us);
		} else {
			step = reflector_page(r, "9", bytes[at] & 1 ? "more" : NULL);
			at += 2;
		}
		check_sweep(r, step, was_replacing);
		if (request.verb == REFLECTOR_LIST)
			break;
	}
	reflector_closed(r, PICK(errors, bytes[0] >> 4), now_us, bytes[0] * 1234567ull);
	return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	uint64_t now_us = 1000000;
	struct reflector r;

	reflector_init(&r);
	for (size_t at = 0; at < len;) {
		at += call(&r, bytes + at, len - at, now_us);
		assert(memchr(r.resource_version, 0, sizeof(r.resource_version)));
		assert(reflector_wait(&r, now_us) <= MAX_WAIT_US);
		now_us += reflector_wait(&r, now_us);
	}
	reflector_fini(&r);
	return 0;
}
