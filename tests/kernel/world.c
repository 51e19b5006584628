/*
 * Building and taking down the namespaces of world.h.  Addresses follow one
 * table of names; the set-up texts below are read by `ip -batch`.
 */
#include "tests/kernel/world.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/kernel/backend.h"
#include "tests/kernel/outside.h"
#include "tests/test.h"

const uint16_t world_ports[] = {53, 80, 3001, 5353, 8080, 8081, 8443};
const size_t world_n_ports = N_ELEMENTS(world_ports);

/*
 * Names with a number take it in the last octet, or in the last group in hex digits.
 * A vip lives on the node where a test put it there.
 */
static const struct {
	const char *name;
	bool is_numbered;
	enum place place;
	const char *format[FAMILY_N];
} names[] = {
	{"pod", true, PLACE_POD1, {"10.180.0.%u", "fd00:10:180::%x"}},
	{"far", true, PLACE_FAR, {"10.180.2.%u", "fd00:10:180:2::%x"}},
	{"svc", true, PLACE_N, {"172.30.0.%u", "fd00:172:30::%x"}},
	{"ext", true, PLACE_N, {"192.168.99.%u", "fd00:99::%x"}},
	{"vip", true, PLACE_NODE, {"1.2.3.%u", "2001:db8:1::%x"}},
	{"node", false, PLACE_NODE, {"192.168.0.2", "fd00:192:168::2"}},
	{"node2", false, PLACE_NODE, {"192.168.1.2", "fd00:192:168:1::2"}},
	{"node3", false, PLACE_NODE, {"192.168.3.2", "fd00:192:168:3::2"}},
	{"client", false, PLACE_CLIENT, {"203.0.113.2", "2001:db8:113::2"}},
	{"blocked", false, PLACE_CLIENT, {"203.0.113.130", "2001:db8:113:8::2"}},
};

static const char node_script[] =
	"link set lo up\n"
	"link add out0 type veth peer name out0 netns /proc/%d/fd/%d\n"
	"link add far0 type veth peer name far0 netns /proc/%d/fd/%d\n"
	"link add spare0 type veth peer name spare1\n"
	"link set out0 up\n"
	"link set far0 up\n"
	"link set spare0 up\n"
	"link set spare1 up\n"
	"addr add 192.168.0.2/24 dev out0\n"
	"addr add fd00:192:168::2/64 dev out0 nodad\n"
	"addr add 192.168.1.2/24 dev far0\n"
	"addr add fd00:192:168:1::2/64 dev far0 nodad\n"
	"addr add 192.168.3.2/32 dev spare0\n"
	"addr add fd00:192:168:3::2/128 dev spare0 nodad\n"
	/* packets without a route go to the client's host, and end there */
	"route add default via 192.168.0.1\n"
	"route add ::/0 via fd00:192:168::1\n"
	"route add 203.0.113.0/24 via 192.168.0.1\n"
	"route add 2001:db8:113::/48 via fd00:192:168::1\n"
	"route add 10.180.2.0/24 via 192.168.1.1\n"
	"route add fd00:10:180:2::/64 via fd00:192:168:1::1\n"
	"route add 192.168.99.50/32 via 192.168.1.1\n"
	"route add fd00:99::50/128 via fd00:192:168:1::1\n"
	"route add 1.2.3.9/32 via 192.168.1.1\n"
	"route add 2001:db8:1::9/128 via fd00:192:168:1::1\n";

static const char client_script[] = "link set lo up\n"
				    "link set out0 up\n"
				    "addr add 192.168.0.1/24 dev out0\n"
				    "addr add fd00:192:168::1/64 dev out0 nodad\n"
				    "addr add 203.0.113.2/32 dev lo\n"
				    "addr add 203.0.113.130/32 dev lo\n"
				    "addr add 2001:db8:113::2/128 dev lo nodad\n"
				    "addr add 2001:db8:113:8::2/128 dev lo nodad\n"
				    "route add default via 192.168.0.2\n"
				    "route add ::/0 via fd00:192:168::2\n";

static const char far_script[] = "link set lo up\n"
				 "link set far0 up\n"
				 "addr add 192.168.1.1/24 dev far0\n"
				 "addr add fd00:192:168:1::1/64 dev far0 nodad\n"
				 "addr add 10.180.2.1/32 dev lo\n"
				 "addr add 10.180.2.2/32 dev lo\n"
				 "addr add 10.180.2.3/32 dev lo\n"
				 "addr add 10.180.2.4/32 dev lo\n"
				 "addr add 10.180.2.5/32 dev lo\n"
				 "addr add fd00:10:180:2::1/128 dev lo nodad\n"
				 "addr add fd00:10:180:2::2/128 dev lo nodad\n"
				 "addr add fd00:10:180:2::3/128 dev lo nodad\n"
				 "addr add fd00:10:180:2::4/128 dev lo nodad\n"
				 "addr add fd00:10:180:2::5/128 dev lo nodad\n"
				 "addr add 192.168.99.50/32 dev lo\n"
				 "addr add fd00:99::50/128 dev lo nodad\n"
				 "addr add 1.2.3.9/32 dev lo\n"
				 "addr add 2001:db8:1::9/128 dev lo nodad\n"
				 "route add default via 192.168.1.2\n"
				 "route add ::/0 via fd00:192:168:1::2\n";

/* The node's half, then the pod's; %1$d is the pod's number. */
static const char pod_node_script[] =
	"link add pod%1$d type veth peer name eth0 netns /proc/%2$d/fd/%3$d\n"
	"link set pod%1$d up\n"
	"addr add fe80::1/64 dev pod%1$d nodad\n"
	"route add 10.180.0.%1$d/32 dev pod%1$d src 192.168.0.2\n"
	"route add fd00:10:180::%1$d/128 dev pod%1$d src fd00:192:168::2\n";
static const char pod_script[] = "link set lo up\n"
				 "link set eth0 up\n"
				 "addr add 10.180.0.%1$d/32 dev eth0\n"
				 "addr add fd00:10:180::%1$d/128 dev eth0 nodad\n"
				 "route add 192.168.0.2/32 dev eth0 scope link\n"
				 "route add default via 192.168.0.2 src 10.180.0.%1$d\n"
				 "route add ::/0 via fe80::1 dev eth0\n";

/* Before the first interface: no address may wait for duplicate detection. */
static const struct {
	const char *path, *value;
} settings[] = {
	{"/proc/sys/net/ipv6/conf/all/accept_dad", "0"},
	{"/proc/sys/net/ipv6/conf/default/accept_dad", "0"},
	{"/proc/sys/net/ipv4/conf/all/rp_filter", "0"},
	{"/proc/sys/net/ipv4/conf/default/rp_filter", "0"},
	{"/proc/sys/net/ipv4/conf/all/send_redirects", "0"},
	{"/proc/sys/net/ipv4/conf/default/send_redirects", "0"},
	/* a refusal must not wait for its turn */
	{"/proc/sys/net/ipv4/icmp_ratelimit", "0"},
	{"/proc/sys/net/ipv6/icmp/ratelimit", "0"},
};

/* The same, where the kernel has it for each namespace. */
static const struct {
	const char *path, *value;
} newer_settings[] = {
	{"/proc/sys/net/ipv4/icmp_msgs_per_sec", "100000"},
	{"/proc/sys/net/ipv4/icmp_msgs_burst", "10000"},
};

uint64_t world_now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void world_sleep_ms(unsigned ms)
{
	const struct timespec ts = {ms / 1000, (long)(ms % 1000) * 1000000};

	(void)nanosleep(&ts, NULL);
}

static int find_name(const char *text, size_t len, unsigned *ret_number)
{
	size_t letters = strcspn(text, "0123456789");

	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		if (!names[i].is_numbered && strlen(names[i].name) == len &&
		    !memcmp(names[i].name, text, len))
			return (int)i;
	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		if (names[i].is_numbered && letters < len &&
		    strlen(names[i].name) == letters &&
		    !memcmp(names[i].name, text, letters)) {
			*ret_number = (unsigned)strtoul(text + letters, NULL, 10);
			return (int)i;
		}
	return -1;
}

static struct addr name_address(int i, unsigned number, enum family family)
{
	char text[ADDR_TEXT_LEN];
	char digits[8];
	struct addr a;

	/* "svc41" is …::41 in IPv6 too, so that a reader sees what it is */
	(void)snprintf(digits, sizeof(digits), "%u", number);
	if (family == FAMILY_IPV6)
		number = (unsigned)strtoul(digits, NULL, 16);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)snprintf(text, sizeof(text), names[i].format[family], number);
#pragma GCC diagnostic pop
	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

struct addr world_addr_port(const char *text, enum family family, uint16_t *ret_port)
{
	size_t len = strcspn(text, ":");
	unsigned number = 0;
	int i = find_name(text, len, &number);

	if (i < 0)
		fail_msg("no such name: %s", text);
	if (ret_port)
		*ret_port = text[len] ? (uint16_t)atoi(text + len + 1) : 0;
	return name_address(i, number, family);
}

struct addr world_addr(const char *name, enum family family)
{
	return world_addr_port(name, family, NULL);
}

enum place world_place(const char *name)
{
	unsigned number = 0;
	int i = find_name(name, strcspn(name, ":"), &number);

	if (i < 0 || names[i].place == PLACE_N)
		fail_msg("nobody lives at %s", name);
	return names[i].place == PLACE_POD1 ? PLACE_POD1 + number - 1 : names[i].place;
}

const char *world_name(const struct addr *a, char buf[static ADDR_TEXT_LEN])
{
	enum family family = addr_family(a);

	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		unsigned last = names[i].is_numbered ? 130 : 0;

		for (unsigned number = 0; number <= last; number++) {
			struct addr b = name_address((int)i, number, family);

			if (!addr_equal(a, &b))
				continue;
			if (names[i].is_numbered)
				(void)snprintf(buf, ADDR_TEXT_LEN, "%s%u", names[i].name,
					       number);
			else
				(void)snprintf(buf, ADDR_TEXT_LEN, "%s", names[i].name);
			return buf;
		}
	}
	return addr_format(a, buf);
}

void world_enter(const struct world *w, enum place place)
{
	if (setns(w->ns[place], CLONE_NEWNET) == -1)
		fail_msg("setns: %s", strerror(errno));
}

void world_leave(const struct world *w)
{
	if (setns(w->home, CLONE_NEWNET) == -1)
		abort(); /* anything after this would hit the machine's own network */
}

static void set(const char *path, const char *value)
{
	_cleanup_(closep) int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t len = (ssize_t)strlen(value);

	if (fd < 0 || write(fd, value, (size_t)len) != len)
		fail_msg("%s: %s", path, strerror(errno));
}

pid_t world_fork(const struct world *w, enum place place)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == -1)
		fail_msg("fork: %s", strerror(errno));
	if (pid)
		return pid;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || setns(w->ns[place], CLONE_NEWNET) == -1)
		_exit(127);
	if (outside_is(w, place))
		set(w->outside, "0");
	(void)close(w->guard);
	return 0;
}

static int run(const struct world *w, enum place place, const char *command)
{
	pid_t pid = world_fork(w, place);
	int status;

	if (!pid) {
		(void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int world_run(const struct world *w, enum place place, const char *fmt, ...)
{
	_cleanup_(freep) char *command = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&command, fmt, ap) == -1)
		abort();
	va_end(ap);
	return run(w, place, command);
}

void world_must(const struct world *w, enum place place, const char *fmt, ...)
{
	_cleanup_(freep) char *command = NULL;
	va_list ap;
	int status;

	va_start(ap, fmt);
	if (vasprintf(&command, fmt, ap) == -1)
		abort();
	va_end(ap);
	status = run(w, place, command);
	if (status)
		fail_msg("exit status %d: %s", status, command);
}

static void batch(const struct world *w, enum place place, const char *lines)
{
	world_must(w, place, "ip -batch - <<'END'\n%sEND\n", lines);
}

static int open_own_namespace(void)
{
	return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

static int make_namespaces(struct world *w)
{
	w->home = open_own_namespace();
	if (w->home < 0)
		return -errno;
	for (int place = 0; place < PLACE_N; place++) {
		if (unshare(CLONE_NEWNET) == -1)
			return -errno;
		for (size_t i = 0; i < N_ELEMENTS(settings); i++)
			set(settings[i].path, settings[i].value);
		for (size_t i = 0; i < N_ELEMENTS(newer_settings); i++)
			if (access(newer_settings[i].path, W_OK) == 0)
				set(newer_settings[i].path, newer_settings[i].value);
		w->ns[place] = open_own_namespace();
		world_leave(w);
		if (w->ns[place] < 0)
			return -errno;
	}
	return 0;
}

static void wire(const struct world *w)
{
	_cleanup_(freep) char *node =
		xasprintf(node_script, getpid(), w->ns[PLACE_CLIENT], getpid(),
			  w->ns[PLACE_FAR]);

	world_must(w, PLACE_NODE,
		   "echo 1 >/proc/sys/net/ipv4/ip_forward; "
		   "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding");
	batch(w, PLACE_NODE, node);
	batch(w, PLACE_CLIENT, client_script);
	batch(w, PLACE_FAR, far_script);
	for (int i = 0; i < WORLD_N_PODS; i++) {
		_cleanup_(freep) char *outer = xasprintf(pod_node_script, i + 1, getpid(),
							 w->ns[PLACE_POD1 + i]);
		_cleanup_(freep) char *inner = xasprintf(pod_script, i + 1);

		batch(w, PLACE_NODE, outer);
		batch(w, (enum place)(PLACE_POD1 + i), inner);
	}
}

/* Outlives us by a moment, whatever we die of. */
static void guard(struct world *w)
{
	_cleanup_(freep) char *template =
		xasprintf("/tmp/sluice-test-%d.XXXXXX", getpid());
	int ends[2];

	if (!mkdtemp(template) || pipe2(ends, O_CLOEXEC) == -1)
		fail_msg("%s: %s", template, strerror(errno));
	w->dir = take_ptr(template);
	w->guardian = fork();
	if (w->guardian == 0) {
		char byte;

		(void)signal(SIGINT, SIG_IGN);
		(void)signal(SIGTERM, SIG_IGN);
		for (int fd = 3; fd < 256; fd++)
			if (fd != ends[0])
				(void)close(fd);
		while (read(ends[0], &byte, 1) == -1 && errno == EINTR)
			;
		(void)execlp("rm", "rm", "-rf", "--", w->dir, (char *)NULL);
		_exit(127);
	}
	(void)close(ends[0]);
	w->guard = ends[1];
}

struct world *world_new(void)
{
	struct world *w = xcalloc(1, sizeof(*w));
	int err;

	w->home = -1;
	for (int i = 0; i < PLACE_N; i++)
		w->ns[i] = -1;
	err = make_namespaces(w);
	if (err == -EPERM) {
		free(w);
		return NULL;
	}
	if (err)
		fail_msg("network namespaces: %s", strerror(-err));
	guard(w);
	wire(w);
	for (int i = 0; i < PLACE_N; i++)
		if (i == PLACE_NODE)
			w->backends[i] = backend_start(w, PLACE_NODE,
						       (uint16_t[]){WORLD_NODE_PORT}, 1);
		else if (i != PLACE_CLIENT)
			w->backends[i] = backend_start(w, (enum place)i, world_ports,
						       world_n_ports);
	return w;
}

void world_free(struct world *w)
{
	if (!w)
		return;
	outside_stop();
	for (int i = 0; i < PLACE_N; i++) {
		if (w->backends[i])
			backend_stop(w->backends[i]);
		if (w->ns[i] >= 0)
			(void)close(w->ns[i]);
	}
	if (w->guardian) {
		(void)close(w->guard);
		(void)waitpid(w->guardian, NULL, 0);
	}
	if (w->home >= 0)
		(void)close(w->home);
	free(w->dir);
	free(w);
}

unsigned long world_patience(void)
{
	const char *text = getenv("PATIENCE");

	return text ? strtoul(text, NULL, 10) : 1;
}

int world_setup(void **state)
{
	*state = world_new();
	if (!*state) {
		(void)fprintf(stderr, "skipped: needs root and network namespaces\n");
		exit(TEST_SKIPPED);
	}
	return 0;
}

int world_teardown(void **state)
{
	world_free(*state);
	/* every process that a test started has been ended and waited for */
	return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : -1;
}
