/*
 * The program from outside: exit status, and the output on each stream.
 */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "tests/unit/cli_run.h"

#define SERVICE                                                                          \
	"apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: default}\n"     \
	"spec: {clusterIP: 10.96.0.10, ports: [{port: 80, protocol: TCP}]}\n"

static const struct {
	const char *name;
	const char *args[CLI_MAX_ARGS];
	const char *input;
	int status;
	const char *out, *err; /* a part of it; NULL: nothing is written there */
} cases[] = {
	{"sluice", {"--help"}, "", 0, "Commands:", NULL},
	{"sluice", {"-h"}, "", 0, "Commands:", NULL},
	{"sluice", {"run", "--help"}, "", 0, "--manifests", NULL},
	{"sluice", {"run", "--help"}, "", 0, "handled: auto, ", NULL},
	{"sluice", {"get", "-h"}, "", 0, "--namespace", NULL},
	{"sluice", {"version"}, "", 0, "sluice ", NULL},
	{"sluice", {"--version"}, "", 0, "sluice ", NULL},
	{"kube-proxy", {"--version"}, "", 0, "sluice ", NULL},
	{"kube-proxy", {"--help"}, "", 0, "--proxy-mode", NULL},
	{"sluice", {NULL}, "", 2, NULL, "no command"},
	{"sluice", {"frobnicate"}, "", 2, NULL, "unknown command"},
	{"sluice", {"run", "--frobnicate"}, "", 2, NULL, "unknown flag: --frobnicate"},
	{"kube-proxy", {"--frobnicate"}, "", 2, NULL, "unknown flag: --frobnicate"},
	{"sluice",
	 {"plan", "--master=127.0.0.1:1", "--timeout=300ms"},
	 "",
	 1,
	 NULL,
	 "api: not all objects could be read within 0.3 s; giving up (see --timeout)"},
	{"sluice", {"run", "--proxy-mode=magic"}, "", 2, NULL, "not supported"},
	{"sluice",
	 {"run", "--iptables-sync-period=0"},
	 "",
	 2,
	 NULL,
	 "sluice: --iptables-sync-period: "},
	{"sluice",
	 {"plan", "--cluster-cidr=10.0.0.0"},
	 "",
	 2,
	 NULL,
	 "sluice: --cluster-cidr: "},
	{"sluice", {"help", "plan"}, "", 0, "--cluster-cidr", NULL},
	{"sluice", {"help"}, "", 0, "Commands:", NULL},
	{"sluice", {"help", "frobnicate"}, "", 2, NULL, "unknown command"},
	{"sluice",
	 {"plan", "--manifests", "-", "-o", "xml"},
	 "",
	 2,
	 NULL,
	 "sluice: -o: "},
	{"sluice",
	 {"dump", "--manifests", "-", "--format", "pf"},
	 "",
	 2,
	 NULL,
	 "--format"},
	{"sluice", {"get", "pods"}, "", 2, NULL, "not services or endpoints"},
	{"sluice", {"get", "services", "-o", "xml"}, "", 2, NULL, "sluice: -o: "},
	{"sluice", {"explain", "web"}, "", 2, NULL, "is not ADDRESS:PORT"},
	{"sluice", {"explain", "10.0.0.1:80/ICMP"}, "", 2, NULL, "is not ADDRESS:PORT"},
	{"sluice", {"explain", "10.0.0.1:80", "--from", "x"}, "", 2, NULL, "--from"},
	{"sluice",
	 {"explain", "10.0.0.1:80", "--from", "fd00::1"},
	 "",
	 2,
	 NULL,
	 "family"},
	{"sluice",
	 {"explain", "[fd00::1]:80", "--from", "10.0.0.1"},
	 "",
	 2,
	 NULL,
	 "family"},
	{"sluice",
	 {"get", "services", "--control-socket", "/nonexistent/s.sock"},
	 "",
	 1,
	 NULL,
	 "check that sluice run runs, with this --control-socket"},
	{"sluice",
	 {"explain", "10.0.0.1:80", "--control-socket", "/nonexistent/s.sock"},
	 "",
	 1,
	 NULL,
	 "no daemon answers"},
	{"sluice",
	 {"diff", "--control-socket", "/nonexistent/s.sock"},
	 "",
	 1,
	 NULL,
	 "no d"},
	{"sluice",
	 {"status", "--control-socket", "/nonexistent/s.sock"},
	 "",
	 2,
	 NULL,
	 "no daemon answers"},
	{"sluice", {"status", "-o", "yaml"}, "", 2, NULL, "json"},
	{"sluice", {"events", "/web"}, "", 2, NULL, "not NAMESPACE or NAMESPACE/NAME"},
	{"sluice", {"events", "a/b/c"}, "", 2, NULL, "not NAMESPACE or NAMESPACE/NAME"},
	{"sluice",
	 {"get", "services", "a/b/c"},
	 "",
	 2,
	 NULL,
	 "not NAME or NAMESPACE/NAME"},
	{"sluice", {"top", "-n", "-1"}, "", 2, NULL, "sluice: -n: must not be negative"},
	{"sluice",
	 {"get", "services", "--control-socket="},
	 "",
	 1,
	 NULL,
	 "--control-socket is empty: give the path"},
	{"sluice",
	 {"plan", "--manifests", "-", "--timeout=-1s"},
	 "",
	 2,
	 NULL,
	 "sluice: --timeout: must not be negative"},
	{"sluice",
	 {"plan", "--manifests", "-", "--detect-local-mode", "BridgeInterface"},
	 "",
	 2,
	 NULL,
	 "sluice: --pod-bridge-interface: must be set"},
	{"sluice",
	 {"events", "default/web", "--control-socket", "/nonexistent/s.sock"},
	 "",
	 1,
	 NULL,
	 "no daemon answers"},
	{"sluice", {"completion", "tcsh"}, "", 2, NULL, "not bash, zsh or fish"},
	{"sluice", {"completion", "fish"}, "", 0, "__fish_use_subcommand", NULL},
	{"sluice",
	 {"explain", "--manifests", "-", "10.96.0.10:80"},
	 SERVICE,
	 0,
	 "ClusterIP of default/web\nfrom pod: reject: no usable endpoint\n",
	 NULL},
	{"sluice",
	 {"explain", "--manifests", "-", "10.96.0.10:80", "default/no"},
	 SERVICE,
	 0,
	 "\ndefault/no\nthere is no Service default/no\n",
	 NULL},
	{"sluice",
	 {"explain", "--manifests", "-", "10.96.0.10:80", "10.9.9.9:1", "-ojson"},
	 SERVICE,
	 0,
	 "[\n",
	 NULL},
	{"sluice",
	 {"explain", "--manifests", "-", "10.96.0.10:80", "x"},
	 SERVICE,
	 2,
	 NULL,
	 "explain: \"x\" is not ADDRESS:PORT"},
	{"sluice",
	 {"explain", "--manifests", "-", "10.96.0.10:80"},
	 "kind: {",
	 1,
	 NULL,
	 "standard input: line "},
	{"sluice",
	 {"explain", "--cluster-cidr=10.0.0.0/8", "10.96.0.10:80"},
	 "",
	 2,
	 NULL,
	 "sluice: --cluster-cidr: only with --manifests"},
	{"sluice",
	 {"diff", "--hostname_override=x"},
	 "",
	 2,
	 NULL,
	 "sluice: --hostname_override: only with --manifests"},
	{"sluice", {"plan", "--config", "/nonexistent"}, "", 1, NULL, "/nonexistent"},
	{"sluice", {"plan", "--manifests", "/nonexistent"}, "", 1, NULL, "/nonexistent"},
	{"sluice",
	 {"run", "--manifests="},
	 "",
	 2,
	 NULL,
	 "--manifests: \"\" is not a path"},
	{"sluice", {"plan", "--manifests", "-"}, SERVICE, 0, "default/web", NULL},
	{"sluice",
	 {"plan", "--manifests", "-", "-o", "json"},
	 SERVICE,
	 0,
	 "\"Plan\"",
	 NULL},
	{"sluice",
	 {"plan", "--manifests", "-", "-oyaml"},
	 SERVICE,
	 0,
	 "kind: Plan",
	 NULL},
	{"sluice", {"plan", "--manifests", "-", "-o", "json"}, "", 0, "[]", NULL},
	{"sluice", {"dump", "--manifests", "-"}, SERVICE, 0, "table ip sluice", NULL},
	{"sluice",
	 {"dump", "--manifests", "-", "--format", "iptables"},
	 SERVICE,
	 0,
	 "COMMIT",
	 NULL},
	{"sluice",
	 {"dump", "--manifests", "-", "--format=json"},
	 SERVICE,
	 0,
	 "10.96.0.10",
	 NULL},
	{"sluice",
	 {"plan", "--manifests", "-"},
	 SERVICE "---\nkind: {\n",
	 1,
	 "standard input: line ",
	 ""},
	{"sluice",
	 {"plan", "--manifests", "-"},
	 SERVICE
	 "---\napiVersion: v1\nkind: Service\nmetadata: {name: 7, namespace: x}\n",
	 1,
	 "document 2: Service x: metadata.name: must be a string",
	 ""},
	{"sluice",
	 {"plan", "--manifests", "-"},
	 SERVICE "---\napiVersion: v1\nkind: Service\nmetadata: {name: db}\n"
		 "spec: {clusterIP: None}\n",
	 0,
	 "left out:\n  Service default/db: is headless, which is for DNS only; set a "
	 "clusterIP for a service address\n",
	 ""},
	{"sluice",
	 {"plan", "--manifests", "-", "--strict"},
	 SERVICE "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
		 "addressType: IPv4\nmetadata: {name: x, labels: "
		 "{kubernetes.io/service-name: gone}}\n",
	 1,
	 "EndpointSlice default/x: its Service gone does not exist; create it, or "
	 "correct the label kubernetes.io/service-name\n",
	 ""},
	{"sluice",
	 {"plan", "--manifests", "-", "--strict"},
	 SERVICE "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
		 "addressType: IPv4\nmetadata: {name: x, labels: "
		 "{kubernetes.io/service-name: web}}\nports: [{name: web, port: 80}]\n"
		 "endpoints: [{addresses: [10.0.0.1]}]\n",
	 1,
	 "Service default/web: slice x has 1 endpoint, but no TCP port "
	 "without a name; use the same port name and protocol in both\n",
	 ""},
	{"sluice",
	 {"plan", "--manifests", "-", "--strict", "-ojson"},
	 SERVICE "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
		 "addressType: IPv4\nmetadata: {name: x, labels: "
		 "{kubernetes.io/service-name: gone}}\n",
	 1,
	 "\"Plan\"",
	 "left out:\n  EndpointSlice default/x: its Service gone does not exist"},
	{"sluice",
	 {"plan", "--manifests", "-", "--ipvs-scheduler", "rr", "--ipvs-scheduler=lc"},
	 SERVICE,
	 0,
	 "default/web",
	 "--ipvs-scheduler has no effect"},
	{"sluice",
	 {"run", "--once", "--manifests", "-", "--proxy-mode", "magic"},
	 "",
	 2,
	 NULL,
	 "--proxy-mode: \"magic\" is not supported by this build; use auto, "},
	{"sluice",
	 {"plan", "--manifests", "-", "--proxy-mode", "magic"},
	 SERVICE,
	 2,
	 NULL,
	 "--proxy-mode: \"magic\" is not supported by this build"},
};

/* One line each, and each says who speaks. */
static void assert_error_lines(const struct buf *text)
{
	const char *line = buf_string(text);

	while (*line) {
		const char *end = strchr(line, '\n');

		assert_non_null(end);
		assert_int_equal(strncmp(line, "sluice: ", strlen("sluice: ")), 0);
		line = end + 1;
	}
}

static void check(size_t i, const struct cli_outcome *o)
{
	const char *out = buf_string(&o->out), *err = buf_string(&o->err);

	if (o->status != cases[i].status)
		fail_msg("case %zu: status %d, stderr: %s", i, o->status, err);
	if (cases[i].out ? !strstr(out, cases[i].out) : *out)
		fail_msg("case %zu: stdout: %s", i, out);
	if (cases[i].err ? !strstr(err, cases[i].err) : *err)
		fail_msg("case %zu: stderr: %s", i, err);
	if (cases[i].status == 2)
		assert_error_lines(&o->err);
}

static void each_command_line_has_its_status_and_output(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct cli_outcome o =
			cli_run(cases[i].name, cases[i].args, cases[i].input);

		check(i, &o);
		cli_outcome_fini(&o);
	}
}

static void a_configuration_is_written_and_read_back(void **state)
{
	char path[] = "/tmp/sluice-cli-config-XXXXXX";
	_cleanup_(closep) int fd = mkstemp(path);
	const char *const write_args[CLI_MAX_ARGS] = {
		"--proxy-mode",	 "nftables",	      "--cluster-cidr",
		"10.244.0.0/16", "--write-config-to", path};
	const char *const read_args[CLI_MAX_ARGS] = {"plan", "--config", path,
						     "--manifests", "-"};
	struct cli_outcome o = cli_run("kube-proxy", write_args, "");

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(o.status, 0);
	cli_outcome_fini(&o);
	o = cli_run("sluice", read_args, SERVICE);
	assert_int_equal(o.status, 0);
	assert_string_equal(buf_string(&o.err), "");
	cli_outcome_fini(&o);
	(void)unlink(path);
}

static void a_full_disk_is_a_failure(void **state)
{
	int status = system(SLUICE_PROGRAM " version > /dev/full 2> /dev/null");

	(void)state;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
}

/* Otherwise its log goes into the first file that it opens. */
static void a_closed_stderr_is_replaced_before_files_are_opened(void **state)
{
	static const char script[] = SLUICE_PROGRAM
		" plan --master=127.0.0.1:1 --timeout=60s >/dev/null 2>&- &\n"
		"i=0\n"
		"until [ \"$(readlink /proc/$!/fd/2)\" = /dev/null ]; do\n"
		"	[ $((i += 1)) -lt 1000 ] || break\n"
		"	sleep 0.01\n"
		"done\n"
		"kill $!\n"
		"[ $i -lt 1000 ]\n";

	(void)state;
	assert_int_equal(system(script), 0);
}

static int listen_at(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	mode_t mask = umask(0177); /* as the daemon does */

	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	(void)umask(mask);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void a_user_without_rights_learns_what_a_command_needs(void **state)
{
	char folder[] = "/tmp/sluice-cli-XXXXXX", path[sizeof(folder) + 2];
	const struct {
		const char *args[CLI_MAX_ARGS], *err;
	} refusals[] = {
		{{"run", "--manifests", "/dev/null", "--proxy-mode", "nftables"},
		 "CAP_NET_ADMIN is missing: run as root"},
		{{"cleanup"}, "cleanup: CAP_NET_ADMIN is missing: run as root"},
		{{"get", "services", "--control-socket", path},
		 "permission denied: the socket belongs to the daemon's user, run this "
		 "as root"},
	};
	_cleanup_(closep) int fd = -1;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chmod(folder, 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/s", folder);
	fd = listen_at(path);
	for (size_t i = 0; i < N_ELEMENTS(refusals); i++) {
		struct cli_outcome o = cli_run_unprivileged("sluice", refusals[i].args);

		if (o.status != 1 || !strstr(buf_string(&o.err), refusals[i].err))
			fail_msg("case %zu: status %d: %s", i, o.status,
				 buf_string(&o.err));
		cli_outcome_fini(&o);
	}
	(void)unlink(path);
	(void)rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_command_line_has_its_status_and_output),
		cmocka_unit_test(a_configuration_is_written_and_read_back),
		cmocka_unit_test(a_full_disk_is_a_failure),
		cmocka_unit_test(a_closed_stderr_is_replaced_before_files_are_opened),
		cmocka_unit_test(a_user_without_rights_learns_what_a_command_needs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
