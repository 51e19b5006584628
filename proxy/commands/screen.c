#include "proxy/commands/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cleanup.h"

#define ENTER	"\033[?1049h\033[?25l" /* the other screen, no cursor */
#define LEAVE	"\033[?25h\033[?1049l"
#define HOME	"\033[H"
#define ROW_OFF "\033[K"
#define BELOW	"\033[J"

/* A terminal that is gone is noticed by screen_key(). */
static void write_all(const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, text, len);

		if (n == -1 && errno != EINTR)
			return;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
}

static void list_signals(sigset_t *set)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH};

	(void)sigemptyset(set);
	for (size_t i = 0; i < N_ELEMENTS(numbers); i++)
		(void)sigaddset(set, numbers[i]);
}

static int open_terminal(struct screen *s)
{
	struct termios raw = s->before;

	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VSUSP] = _POSIX_VDISABLE; /* a stopped program would keep this mode */
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	s->signal_fd = signalfd(-1, &s->signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signal_fd == -1)
		return -errno;
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) == -1) {
		(void)close(s->signal_fd);
		return -ENOTTY;
	}
	return 0;
}

int screen_open(struct screen *s)
{
	int err;

	if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &s->before) == -1)
		return -ENOTTY;
	list_signals(&s->signals);
	if (sigprocmask(SIG_BLOCK, &s->signals, NULL) == -1)
		return -errno;
	err = open_terminal(s);
	if (err) {
		(void)sigprocmask(SIG_UNBLOCK, &s->signals, NULL);
		return err;
	}
	write_all(ENTER, strlen(ENTER));
	return 0;
}

void screen_close(struct screen *s)
{
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &s->before); /* it may be gone */
	write_all(LEAVE, strlen(LEAVE));
	(void)close(s->signal_fd);
}

void screen_size(size_t *ret_rows, size_t *ret_columns)
{
	struct winsize size;

	*ret_rows = 24;
	*ret_columns = 80;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col) {
		*ret_rows = size.ws_row;
		*ret_columns = size.ws_col;
	}
}

/* So many bytes at most, and whole characters. */
static size_t cut_len(const char *text, size_t len, size_t max)
{
	if (len <= max)
		return len;
	while (max > 0 && ((unsigned char)text[max] & 0xc0) == 0x80)
		max--;
	return max;
}

/* Each row is cleared before it is written: afterwards the cursor may be on its last character. */
void screen_draw(const char *text)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	size_t n_rows, n_columns, row;

	screen_size(&n_rows, &n_columns);
	buf_add_string(&out, HOME);
	for (row = 0; *text && row < n_rows; row++) {
		size_t len = strcspn(text, "\n");

		buf_printf(&out, "%s" ROW_OFF "%.*s", row ? "\r\n" : "",
			   (int)cut_len(text, len, n_columns), text);
		text += len + (text[len] == '\n');
	}
	if (row < n_rows)
		buf_add_string(&out, row ? "\r\n" BELOW : BELOW);
	write_all(out.data, out.len);
}

static int take_signal(const struct screen *s)
{
	struct signalfd_siginfo info;

	if (read(s->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return SCREEN_TIMEOUT;
	return info.ssi_signo == SIGWINCH ? SCREEN_RESIZED : SCREEN_END;
}

int screen_key(struct screen *s, uint64_t timeout_us)
{
	struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
			       {.fd = s->signal_fd, .events = POLLIN}};
	unsigned char key;

	if (poll(fds, N_ELEMENTS(fds), (int)((timeout_us + 999) / 1000)) <= 0)
		return SCREEN_TIMEOUT;
	if (fds[1].revents)
		return take_signal(s);
	return read(STDIN_FILENO, &key, 1) == 1 ? key : SCREEN_END;
}
