#include "tests/unit/capture.h"

#include "tests/test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int captured_fd, real_stderr;
static char text[1 << 20];

void capture_start(void)
{
	captured_fd = memfd_create("log", MFD_CLOEXEC);
	assert_true(captured_fd >= 0);
	assert_int_equal(fcntl(captured_fd, F_SETFL, O_APPEND), 0);
	real_stderr = dup(STDERR_FILENO);
	assert_true(dup2(captured_fd, STDERR_FILENO) >= 0);
}

char *capture_end(void)
{
	ssize_t n;

	assert_true(dup2(real_stderr, STDERR_FILENO) >= 0);
	(void)close(real_stderr);
	n = pread(captured_fd, text, sizeof(text) - 1, 0);
	assert_true(n >= 0);
	text[n] = '\0';
	(void)close(captured_fd);
	return text;
}

size_t capture_count(const char *log, const char *what)
{
	size_t n = 0;

	for (; (log = strstr(log, what)); log += strlen(what))
		n++;
	return n;
}
