/*
 * Runs a command, and asks a daemon's control socket for nothing all the while: the time
 * of an answer is that of a turn of the daemon's event loop, and of the scheduler.
 * Prints the wall clock time of the command, and of the answers the longest, the one at
 * 99 percent and the number, in milliseconds, for bench/get.
 *
 *   bench_turns SOCKET COMMAND [ARGUMENT...]
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/rows.h"
#include "core/cleanup.h"

#define PAUSE_US 2000 /* between two requests */

static pid_t start(char **command)
{
	pid_t pid = fork();
	int fd;

	if (pid == -1)
		rows_fail(-errno, "fork");
	if (pid > 0)
		return pid;
	fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (fd != -1 && dup2(fd, STDOUT_FILENO) != -1)
		(void)execvp(command[0], command);
	_exit(127);
}

/* The changes of a Service that does not exist: an answer without work. */
static void ask(const struct sockaddr_un *sa)
{
	static const char request[] =
		"{\"version\":1,\"request\":\"events\",\"namespace\":\"none\","
		"\"name\":\"none\"}\n";
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char answer[4096];
	ssize_t len;

	if (fd == -1 || connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == -1 ||
	    write(fd, request, sizeof(request) - 1) == -1)
		rows_fail(-errno, "%s", sa->sun_path);
	do
		len = read(fd, answer, sizeof(answer));
	while (len > 0);
}

int main(int argc, char **argv)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct samples turns = {0};
	uint64_t start_us = samples_now_us();
	int status;
	pid_t pid;

	if (argc < 3 || strlen(argv[1]) >= sizeof(sa.sun_path)) {
		(void)fputs("usage: bench_turns SOCKET COMMAND [ARGUMENT...]\n", stderr);
		return 2;
	}
	memcpy(sa.sun_path, argv[1], strlen(argv[1]));
	pid = start(argv + 2);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		uint64_t asked_us = samples_now_us();

		ask(&sa);
		samples_add(&turns, samples_now_us() - asked_us);
		(void)usleep(PAUSE_US);
	}
	start_us = samples_now_us() - start_us;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		rows_fail(-EIO, "%s", argv[2]);
	printf("%.1f %.1f %.1f %zu\n", (double)start_us / 1000,
	       (double)samples_quantile(&turns, 1) / 1000,
	       (double)samples_quantile(&turns, .99) / 1000, turns.n);
	samples_fini(&turns);
	return 0;
}
