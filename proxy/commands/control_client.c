/* Blocking, with a limit on time and size. */
#include "proxy/commands/control_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "core/utf8.h"
#include "proxy/commands/commands.h"
#include "proxy/control/control.h"

#define ANSWER_MAX_LEN (256u << 20)

static int timeout_sec = 30; /* without a byte of the answer */

void control_client_set_timeout(int sec)
{
	timeout_sec = sec;
}

static int connect_to(const char *path, int *ret_fd)
{
	const struct timeval timeout = {.tv_sec = timeout_sec};
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	_cleanup_(closep) int fd = -1;

	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) == -1 ||
	    connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == -1)
		return -errno;
	*ret_fd = take_fd(fd);
	return 0;
}

static int send_request(int fd, const struct control_request *request)
{
	_cleanup_(freep) char *line = control_request_encode(request);
	size_t len = strlen(line);
	ssize_t sent = send(fd, line, len, MSG_NOSIGNAL);

	if (sent == -1)
		return -errno;
	return (size_t)sent == len ? 0 : -EIO; /* 4 KiB always fit in one call */
}

/* The answer is decoded while it arrives. */
struct incoming {
	int fd, err;
	size_t len, taken; /* of bytes: 0 <= taken <= len */
	size_t total_len;
	char bytes[65536];
};

static int receive(struct incoming *in)
{
	ssize_t len;

	do {
		len = read(in->fd, in->bytes, sizeof(in->bytes));
	} while (len == -1 && errno == EINTR);
	if (len == -1)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	in->taken = 0;
	in->len = (size_t)len;
	in->total_len += in->len;
	return in->total_len > ANSWER_MAX_LEN ? -EMSGSIZE : 0;
}

/* json_load_callback_t */
static size_t take_bytes(void *buffer, size_t len, void *data)
{
	struct incoming *in = data;

	if (in->taken == in->len)
		in->err = receive(in);
	if (in->err)
		return (size_t)-1;
	if (len > in->len - in->taken)
		len = in->len - in->taken;
	memcpy(buffer, in->bytes + in->taken, len);
	in->taken += len;
	return len;
}

static int read_answer(int fd, json_t **ret_root)
{
	struct incoming in = {.fd = fd};

	*ret_root = json_load_callback(take_bytes, &in, 0, NULL);
	return in.err;
}

static bool is_unsafe(uint32_t character, bool has_lines)
{
	return utf8_is_control(character) && !(has_lines && character == '\n');
}

static bool is_clean(const char *text, bool has_lines)
{
	uint32_t character;
	size_t len;

	while ((len = *text ? utf8_read(text, &character) : 0)) {
		if (is_unsafe(character, has_lines))
			return false;
		text += len;
	}
	return !*text;
}

/* U+FFFD in place of control characters. */
static void clean_text(json_t *json, bool has_lines)
{
	const char *text = json_string_value(json);
	_cleanup_(buf_fini) struct buf clean = BUF_INIT;
	size_t len;

	if (is_clean(text, has_lines))
		return;
	for (; *text; text += len ? len : 1) {
		uint32_t character;

		len = utf8_read(text, &character);
		if (!len || is_unsafe(character, has_lines))
			buf_add_string(&clean, UTF8_REPLACEMENT);
		else
			buf_add(&clean, text, len);
	}
	(void)json_string_set_nocheck(json, buf_string(&clean));
}

/* Texts are printed on terminals, and the daemon may have any version. */
static void clean_texts(json_t *json, bool has_lines)
{
	const char *key;
	json_t *item;
	size_t i;

	if (json_is_string(json))
		clean_text(json, has_lines);
	json_array_foreach(json, i, item) clean_texts(item, has_lines);
	json_object_foreach(json, key, item) clean_texts(item, has_lines);
}

/* root: NULL if it is not JSON */
static int take_result(json_t *root, bool has_lines, json_t **ret_result,
		       char **ret_error)
{
	json_t *result = json_object_get(root, "result");
	const char *error;

	clean_texts(root, has_lines);
	error = json_string_value(json_object_get(root, "error"));
	if (result && !error) { /* an answer may fail halfway */
		*ret_result = json_incref(result);
		return 0;
	}
	*ret_error = xstrdup(error ? error : "the daemon's answer is incomplete");
	return -EPROTO;
}

static char *connection_error(const char *path, int err)
{
	if (err == -EACCES || err == -EPERM)
		return xasprintf("%s: permission denied: the socket belongs to the "
				 "daemon's user, run this as root",
				 path);
	if (!*path)
		return xstrdup("--control-socket is empty: give the path that the "
			       "daemon has");
	return xasprintf("%s: no daemon answers there: %s; check that sluice run runs, "
			 "with this --control-socket",
			 path, strerror(-err));
}

static char *answer_error(const char *path, int err)
{
	if (err == -ETIMEDOUT)
		return xasprintf("%s: the daemon has not answered for %d s", path,
				 timeout_sec);
	return xasprintf("%s: %s", path, strerror(-err));
}

bool control_is_served(const char *path)
{
	_cleanup_(closep) int fd = -1;
	int err = connect_to(path, &fd);

	return err != -ENOENT && err != -ECONNREFUSED;
}

int control_try(const char *path, const struct control_request *request,
		json_t **ret_result, char **ret_error)
{
	json_auto_t *root = NULL;
	_cleanup_(closep) int fd = -1;
	int err = connect_to(path, &fd);

	if (err != 0) {
		*ret_error = connection_error(path, err);
		return err;
	}
	err = send_request(fd, request);
	if (err == 0)
		err = read_answer(fd, &root);
	if (err != 0) {
		*ret_error = answer_error(path, err);
		return err;
	}
	return take_result(root, request->verb == CONTROL_DIFF, ret_result, ret_error);
}

int control_ask(const char *path, const struct control_request *request,
		json_t **ret_result)
{
	_cleanup_(freep) char *error = NULL;
	int err = control_try(path, request, ret_result, &error);

	if (err != 0)
		command_error("%s", error);
	return err;
}
