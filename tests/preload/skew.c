/*
 * Preloaded into a program: its wall clock is ahead of the machine's by the number
 * of seconds in the file $SKEW_FILE, which may change while it runs.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *ahead_sec;
static int (*real_clock_gettime)(clockid_t clock, struct timespec *now);

__attribute__((constructor)) static void open_skew(void)
{
	int fd = open(getenv("SKEW_FILE"), O_RDONLY | O_CLOEXEC);
	void *page = mmap(NULL, sizeof(*ahead_sec), PROT_READ, MAP_SHARED, fd, 0);

	if (fd == -1 || page == MAP_FAILED)
		abort();
	(void)close(fd);
	real_clock_gettime =
		(int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	ahead_sec = page;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int rc;

	if (!ahead_sec) /* libraries that start before us */
		return -1;
	rc = real_clock_gettime(clock, now);
	if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
		now->tv_sec += *ahead_sec;
	return rc;
}

time_t time(time_t *ret)
{
	struct timespec now = {0};

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (ret)
		*ret = now.tv_sec;
	return now.tv_sec;
}

int gettimeofday(struct timeval *now, void *zone)
{
	struct timespec at = {0};

	(void)zone;
	(void)clock_gettime(CLOCK_REALTIME, &at);
	*now = (struct timeval){.tv_sec = at.tv_sec, .tv_usec = at.tv_nsec / 1000};
	return 0;
}
