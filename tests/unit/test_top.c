/*
 * `sluice top`: rows as lines, and on a terminal.
 */
#include "tests/test.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "tests/unit/cli_run.h"
#include "tests/unit/served.h"

#define SERVICE(ns, name, ip)                                                            \
	"---\napiVersion: v1\nkind: Service\nmetadata: {name: " name ", namespace: " ns  \
	"}\nspec: {clusterIP: 10.96.0." ip ", ports: [{name: http, port: 80}]}\n"

static const char objects[] = SERVICE("demo", "a", "1") SERVICE("demo", "b", "2")
	SERVICE("demo-x", "c", "3") "---\napiVersion: discovery.k8s.io/v1\nkind: "
				    "EndpointSlice\naddressType: IPv4\n"
				    "metadata: {name: b, namespace: demo, labels: "
				    "{kubernetes.io/service-name: b}}\n"
				    "endpoints: [{addresses: [10.244.1.1]}]\nports: "
				    "[{name: http, port: 8080}]\n";

static int set_up(void **state)
{
	*state = served_new(objects, NULL);
	return 0;
}

static int tear_down(void **state)
{
	served_free(*state);
	return 0;
}

#define HEAD                                                                             \
	"NAMESPACE   NAME   PORT       FAMILY   RATE    CONNS   CURRENT   BYTESIN   "    \
	"BYTESOUT   REFUSED   "                                                          \
	"DROPPED   "                                                                     \
	"ENDPOINTS\n"
#define A                                                                                \
	"demo        a      http/TCP   IPv4     0.0/s   -       -         -         -  " \
	"        -         -  "                                                          \
	"       0\n"
#define B                                                                                \
	"demo        b      http/TCP   IPv4     0.0/s   -       -         -         -  " \
	"        -         -  "                                                          \
	"       1\n"
#define C                                                                                \
	"demo-x      c      http/TCP   IPv4     0.0/s   -       -         -         -  " \
	"        -         -  "                                                          \
	"       0\n"

static const struct {
	const char *args[6];
	int status;
	const char *out, *err; /* the whole output; a part of the errors */
} cases[] = {
	{{"--once"}, 0, HEAD A B C, ""},
	{{"-n", "1", "--sort-by", "endpoints"}, 0, HEAD B A C, ""},
	{{"-n2", "--interval=100ms", "--namespace", "demo-x"}, 0, HEAD C "\n" HEAD C, ""},
	{{"--sort-by", "size"}, 2, "", "--sort-by: \"size\" is not rate, "},
	{{"--interval", "1ms"}, 2, "", "--interval: must be at least 100ms"},
};

static struct cli_outcome top(const struct served *s, const char *const *args)
{
	const char *all[CLI_MAX_ARGS] = {"top", "--control-socket", s->path};

	for (size_t i = 0; i < 6 && args[i]; i++)
		all[i + 3] = args[i];
	return cli_run("sluice", all, "");
}

/* Columns have the width of the widest row: blanks are compared as one. */
static char *squeeze(const char *text)
{
	struct buf out = BUF_INIT;

	for (; *text; text++)
		if (*text != ' ' || (out.len && out.data[out.len - 1] != ' '))
			buf_add_char(&out, *text);
	buf_add_string(&out, "");
	return buf_take(&out);
}

static void without_a_terminal_readings_are_lines(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct cli_outcome o = top(*state, cases[i].args);
		_cleanup_(freep) char *out = squeeze(buf_string(&o.out));
		_cleanup_(freep) char *expected = squeeze(cases[i].out);

		if (o.status != cases[i].status || strcmp(out, expected) != 0 ||
		    !strstr(buf_string(&o.err), cases[i].err))
			fail_msg("case %zu: status %d: %s%s", i, o.status, out,
				 buf_string(&o.err));
		cli_outcome_fini(&o);
	}
}

struct terminal {
	int fd, slave_fd; /* our end, and the program's */
	pid_t pid;
	struct buf out;
};

static void terminal_open(struct terminal *t, const struct served *s)
{
	const struct winsize size = {.ws_row = 10, .ws_col = 100};

	*t = (struct terminal){.out = BUF_INIT};
	t->fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_int_equal(grantpt(t->fd), 0);
	assert_int_equal(unlockpt(t->fd), 0);
	t->slave_fd = open(ptsname(t->fd), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_int_equal(ioctl(t->slave_fd, TIOCSWINSZ, &size), 0);
	t->pid = fork();
	if (t->pid == 0) {
		for (int fd = 0; fd <= 2; fd++)
			(void)dup2(t->slave_fd, fd);
		(void)execl(SLUICE_PROGRAM, "sluice", "top", "--interval=30s",
			    "--control-socket", s->path, (char *)NULL);
		_exit(99);
	}
}

/* Reads until this is shown. */
static void expect(struct terminal *t, const char *what)
{
	struct pollfd fd = {.fd = t->fd, .events = POLLIN};
	char bytes[4096];

	while (!strstr(buf_string(&t->out), what)) {
		ssize_t len;

		if (poll(&fd, 1, 10000) != 1)
			fail_msg("\"%s\" is not in: %s", what, buf_string(&t->out));
		len = read(t->fd, bytes, sizeof(bytes));
		assert_true(len > 0);
		buf_add(&t->out, bytes, (size_t)len);
	}
	buf_clear(&t->out);
}

static void press(struct terminal *t, const char *keys)
{
	assert_int_equal(write(t->fd, keys, strlen(keys)), strlen(keys));
}

static void terminal_close(struct terminal *t, int expected)
{
	int status;

	assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), expected);
	(void)close(t->fd);
	(void)close(t->slave_fd);
	buf_fini(&t->out);
}

static bool has_echo(const struct terminal *t)
{
	struct termios mode;

	assert_int_equal(tcgetattr(t->slave_fd, &mode), 0);
	return mode.c_lflag & ECHO;
}

static void keys_sort_filter_and_quit(void **state)
{
	struct terminal t;

	terminal_open(&t, *state);
	expect(&t, "3 service ports, by rate ");
	assert_false(has_echo(&t));
	press(&t, "e");
	expect(&t, "3 service ports, by endpoints ");
	press(&t, "b");
	expect(&t, "3 service ports, by bytes ");
	press(&t, "e");
	expect(&t, "3 service ports, by endpoints ");
	press(&t, "/");
	expect(&t, "with \"_\"");
	press(&t, "b");
	expect(&t, "1 service ports, by endpoints, with \"b_\"");
	press(&t, "\r");
	expect(&t, "with \"b\"");
	press(&t, "\033");
	expect(&t, "3 service ports, by endpoints   q quit");
	press(&t, "q");
	expect(&t, "\033[?25h\033[?1049l");
	assert_true(has_echo(&t));
	terminal_close(&t, 0);
}

static void a_signal_restores_the_terminal(void **state)
{
	struct terminal t;

	terminal_open(&t, *state);
	expect(&t, "3 service ports");
	assert_int_equal(kill(t.pid, SIGTERM), 0);
	expect(&t, "\033[?25h\033[?1049l");
	assert_true(has_echo(&t));
	terminal_close(&t, 0);
}

static void a_lost_daemon_is_reported_after_the_terminal_is_restored(void **state)
{
	struct served *s = served_new(objects, NULL);
	struct terminal t;

	(void)state;
	terminal_open(&t, s);
	expect(&t, "3 service ports");
	served_free(s);
	press(&t, "e");
	expect(&t, "\033[?1049l"
		   "sluice: ");
	terminal_close(&t, 1);
}

/* Clearing the rest of a full row would clear its last character. */
static void a_row_as_wide_as_the_terminal_is_complete(void **state)
{
	static const struct winsize narrow = {.ws_row = 3, .ws_col = 20};
	struct terminal t;

	terminal_open(&t, *state);
	expect(&t, "3 service ports");
	assert_int_equal(ioctl(t.fd, TIOCSWINSZ, &narrow), 0);
	press(&t, "e");
	expect(&t,
	       "\033[K3 service ports, by \r\r\n\033[K\r\r\n\033[KNAMESPACE   NAME   P");
	press(&t, "q");
	terminal_close(&t, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_terminal_readings_are_lines),
		cmocka_unit_test(keys_sort_filter_and_quit),
		cmocka_unit_test(a_signal_restores_the_terminal),
		cmocka_unit_test(
			a_lost_daemon_is_reported_after_the_terminal_is_restored),
		cmocka_unit_test(a_row_as_wide_as_the_terminal_is_complete),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
