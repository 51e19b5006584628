/*
 * Objects in a file: every decoded object comes back as an equal one, and a file
 * that is not whole, not ours or not of this node is refused.
 */
#include "tests/test.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/unit/object_set.h"
#include "tests/unit/object_text.h"
#include "tests/unit/world.h"
#include "watchers/labels.h"
#include "watchers/saved/object_record.h"
#include "watchers/saved/saved_objects.h"
#include "watchers/saved/saved_reader.h"

static const struct saved_source ours = {"node-a", "https://10.0.0.1:6443 0123"};

/* Returns whether it is kept. */
static bool comes_back(const struct object *o)
{
	_cleanup_(buf_fini) struct buf bytes = BUF_INIT;
	struct object *again;

	if (!object_record_add(&bytes, o))
		return false;
	again = object_record_read(bytes.data, bytes.len);
	assert_non_null(again);
	if (!object_equal(o, again))
		fail_msg("not equal: %s %s/%s",
			 object_kind_name((enum object_kind)o->kind), o->ns, o->name);
	object_unref(again);
	return true;
}

static void every_object_of_the_golden_cases_comes_back(void **state)
{
	glob_t files;
	size_t n = 0;

	(void)state;
	assert_int_equal(glob(TESTS_DIR "/golden/plan/*.yaml", 0, NULL, &files), 0);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		struct world w = {.loop = NULL};
		struct object_set set = {0};
		_cleanup_(freep) char *text = world_read(&w, files.gl_pathv[i]);

		object_set_read(&set, text);
		for (size_t j = 0; j < set.n; j++)
			n += comes_back(set.objects[j]);
		object_set_fini(&set);
	}
	globfree(&files);
	assert_true(n > 100);
}

static void every_field_comes_back(void **state)
{
	static const char *const manifests[] = {
		YAML "{apiVersion: v1, kind: Service, metadata: {name: web, uid: a-1, "
		     "creationTimestamp: '2026-01-02T03:04:05Z', annotations: {"
		     "sluice.io/on-endpoint-removed: drain=1m30s, "
		     "sluice.io/proxy-protocol: v2, sluice.io/hold: 2s, "
		     "sluice.io/connect-timeout: 3s, sluice.io/set-aside: 4s, "
		     "sluice.io/health-check: 'http:/a\"b\\c', "
		     "sluice.io/health-check-interval: 5s, "
		     "sluice.io/health-check-timeout: 1s, "
		     "sluice.io/health-check-rise: '2', sluice.io/health-check-fall: "
		     "'3'}}, spec: {type: LoadBalancer, clusterIP: 10.96.0.1, "
		     "clusterIPs: [10.96.0.1, 'fd00::1'], ipFamilies: [IPv4, IPv6], "
		     "ports: [{name: a, port: 80, nodePort: 30080}, {name: b, port: 53, "
		     "protocol: UDP}, {name: c, port: 9, protocol: SCTP}], externalIPs: "
		     "[1.2.3.4, 'fd01::1'], internalTrafficPolicy: Local, "
		     "externalTrafficPolicy: Local, healthCheckNodePort: 31000, "
		     "sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: "
		     "{timeoutSeconds: 77}}, loadBalancerSourceRanges: [10.0.0.0/8]}, "
		     "status: {loadBalancer: {ingress: [{ip: 1.1.1.1}, {ip: 1.1.1.2, "
		     "ipMode: Proxy}]}}}",
		YAML_SERVICE("spec: {clusterIP: 'fd00::5', ports: [{port: 80}]}"),
		YAML "{apiVersion: v1, kind: Service, metadata: {name: web, labels: "
		     "{app: web, tier: ''}}, spec: {clusterIP: 10.96.0.1, ports: [{port: "
		     "80}]}}",
		YAML "{apiVersion: v1, kind: Service, metadata: {name: web, "
		     "creationTimestamp: '0026-01-02T03:04:05Z'}, spec: {clusterIP: "
		     "10.96.0.1, ports: [{port: 80}]}}",
		YAML_SERVICE("spec: {clusterIP: None, ports: [{port: 80}]}"),
		YAML_SERVICE("spec: {type: ExternalName, externalName: a.example.org}"),
		YAML "{apiVersion: v1, kind: Service, metadata: {name: web, annotations: "
		     "{sluice.io/on-endpoint-removed: reset, sluice.io/health-check: "
		     "tcp}}, spec: {clusterIP: 10.96.0.1, ports: [{port: 1}]}}",
		YAML_SLICE(", uid: b-2, annotations: {"
			   "endpoints.kubernetes.io/last-change-trigger-time: "
			   "'2026-01-02T03:04:05.123456Z'}",
			   "ports: [{name: '', port: 80}, {name: x, port: 53, protocol: "
			   "UDP}], endpoints: [{addresses: [10.0.0.1], nodeName: n1}, "
			   "{addresses: [10.0.0.2], conditions: {ready: false, serving: "
			   "true, terminating: true}, hints: {forZones: [{name: z1}, "
			   "{name: z2}], forNodes: [{name: n2}]}}, {addresses: "
			   "[10.0.0.3], hints: {forNodes: [{name: n3}]}}]"),
		YAML "{apiVersion: v1, kind: Node, metadata: {name: n1, labels: "
		     "{topology.kubernetes.io/zone: z1, kubernetes.io/hostname: h1}, "
		     "deletionTimestamp: '2026-01-02T03:04:05Z'}, spec: {podCIDRs: "
		     "[10.1.0.0/24, 'fd00:1::/64'], taints: [{key: "
		     "ToBeDeletedByClusterAutoscaler}]}, status: {addresses: [{type: "
		     "ExternalIP, address: 1.2.3.4}, {type: InternalIP, address: "
		     "10.0.0.4}]}}",
		YAML "{apiVersion: v1, kind: Node, metadata: {name: n1}}",
		YAML "{apiVersion: networking.k8s.io/v1, kind: ServiceCIDR, metadata: "
		     "{name: kubernetes}, spec: {cidrs: [10.96.0.0/12]}}",
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(manifests); i++) {
		struct object *o = object_text_first(manifests[i]);

		assert_true(comes_back(o));
		object_unref(o);
	}
}

/* Every process must have the same hashes: with others, the file needs another version. */
static void hashes_of_labels_are_those_of_the_file(void **state)
{
	(void)state;
	assert_int_equal(label_hash("app", 3, "web", 3), 0x184c0cbaa4420692);
}

static void what_programs_nothing_is_left_out(void **state)
{
	static const char *const manifests[] = {
		YAML "{apiVersion: v1, kind: Service, metadata: {name: web, labels: "
		     "{service.kubernetes.io/service-proxy-name: other}}, spec: "
		     "{clusterIP: 10.96.0.1, ports: [{port: 80}]}}",
		YAML "{apiVersion: v1, kind: Endpoints, metadata: {name: web}, subsets: "
		     "[{addresses: [{ip: 10.0.0.1}], ports: [{port: 80}]}]}",
		YAML "{apiVersion: v1, kind: Namespace, metadata: {name: web}}",
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(manifests); i++) {
		struct object *o = object_text_first(manifests[i]);

		assert_non_null(o);
		assert_false(comes_back(o));
		object_unref(o);
	}
}

/* --- the file --- */

static struct object *make_object(unsigned number)
{
	_cleanup_(freep) char *yaml = xasprintf(
		YAML "{apiVersion: v1, kind: Service, metadata: {name: web-%u}, spec: "
		     "{clusterIP: 10.96.0.%u, ports: [{port: 80}]}}",
		number, number % 250 + 1);

	return object_text_first(yaml);
}

static int write_objects(const char *dir, unsigned n)
{
	struct object_set set = {0};
	int err;

	for (unsigned i = 0; i < n; i++)
		object_set_add(&set, make_object(i));
	err = object_set_save(&set, dir, &ours, 1000000);
	object_set_fini(&set);
	return err;
}

/* The number of objects, or -errno with the reason. */
static int read_objects(const char *dir, const struct saved_source *source,
			const char **ret_why)
{
	struct saved_objects saved = {0};
	int result = saved_objects_read(dir, source, &saved, ret_why);

	if (result == 0) {
		assert_int_equal(saved.written_us, 1000000);
		result = (int)saved.n;
	}
	saved_objects_fini(&saved);
	return result;
}

static void a_written_file_is_read(void **state)
{
	struct world *w = *state;
	_cleanup_(freep) char *path = world_path(w, SAVED_OBJECTS_FILE);
	const char *why = "";
	struct stat st;

	assert_int_equal(read_objects(w->folder, &ours, &why), -ENOENT);
	assert_int_equal(write_objects(w->folder, 3), 0);
	assert_int_equal(read_objects(w->folder, &ours, &why), 3);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(write_objects(w->folder, 2000), 0);
	assert_int_equal(read_objects(w->folder, &ours, &why), 2000);
	assert_int_equal(write_objects(w->folder, 0), 0);
	assert_int_equal(read_objects(w->folder, &ours, &why), 0);
}

static void a_draft_of_a_killed_writer_is_replaced(void **state)
{
	struct world *w = *state;
	const char *why = "";

	world_write(w, SAVED_OBJECTS_FILE ".tmp", "half");
	assert_int_equal(write_objects(w->folder, 1), 0);
	assert_int_equal(read_objects(w->folder, &ours, &why), 1);
	world_remove(w, SAVED_OBJECTS_FILE);
	world_write(w, "elsewhere", "untouched");
	world_link(w, "elsewhere", SAVED_OBJECTS_FILE ".tmp");
	assert_int_equal(write_objects(w->folder, 1), 0);
	assert_int_equal(read_objects(w->folder, &ours, &why), 1);
	{
		_cleanup_(freep) char *text = world_read(w, "elsewhere");

		assert_string_equal(text, "untouched");
	}
}

static void the_file_of_an_older_version_is_removed_by_the_first_write(void **state)
{
	static const char *const names[] = {"objects.json", "objects.json~",
					    "objects.yaml"};
	struct world *w = *state;

	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		_cleanup_(freep) char *path = world_path(w, names[i]);

		world_write(w, names[i], "old");
		world_make_folder(w, SAVED_OBJECTS_FILE ".tmp");
		assert_true(write_objects(w->folder, 1) < 0);
		world_remove(w, SAVED_OBJECTS_FILE ".tmp");
		assert_int_equal(access(path, F_OK), 0);
		assert_int_equal(write_objects(w->folder, 1), 0);
		assert_int_equal(access(path, F_OK), i == 0 ? -1 : 0);
	}
}

static void a_file_of_others_is_refused(void **state)
{
	static const struct {
		struct saved_source source;
		const char *why;
	} cases[] = {
		{{"node-b", "https://10.0.0.1:6443 0123"}, "is of another node"},
		{{"node-a", "https://10.0.0.2:6443 0123"}, "is of another API server"},
		{{"node-a", "https://10.0.0.1:6443 4567"}, "is of another API server"},
	};
	struct world *w = *state;
	_cleanup_(freep) char *path = world_path(w, SAVED_OBJECTS_FILE);
	const char *why = "";

	assert_int_equal(write_objects(w->folder, 3), 0);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		assert_int_equal(read_objects(w->folder, &cases[i].source, &why),
				 -EINVAL);
		assert_string_equal(why, cases[i].why);
	}
	assert_int_equal(chmod(path, 0620), 0);
	assert_int_equal(read_objects(w->folder, &ours, &why), -EINVAL);
	assert_string_equal(why, "can be written by other users");
	assert_int_equal(chmod(path, 0600), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 1, 1), 0);
		assert_int_equal(read_objects(w->folder, &ours, &why), -EINVAL);
		assert_string_equal(why, "belongs to another user");
		assert_int_equal(chown(path, 0, 0), 0);
	}
	assert_int_equal(read_objects(w->folder, &ours, &why), 3);
}

static void things_that_are_not_regular_files_are_refused(void **state)
{
	struct world *w = *state;
	const char *why = "";

	world_make_fifo(w, SAVED_OBJECTS_FILE);
	assert_int_equal(read_objects(w->folder, &ours, &why), -EINVAL);
	assert_string_equal(why, "is not a regular file");
	world_remove(w, SAVED_OBJECTS_FILE);
	world_make_folder(w, SAVED_OBJECTS_FILE);
	assert_int_equal(read_objects(w->folder, &ours, &why), -EINVAL);
	world_remove(w, SAVED_OBJECTS_FILE);
	world_write(w, "real", "{}\n");
	world_link(w, "real", SAVED_OBJECTS_FILE);
	assert_int_equal(read_objects(w->folder, &ours, &why), -ELOOP);
	assert_string_equal(why, "is a symbolic link");
}

static void a_file_that_is_too_large_is_refused_unread(void **state)
{
	struct world *w = *state;
	_cleanup_(freep) char *path = world_path(w, SAVED_OBJECTS_FILE);
	const char *why = "";

	world_write(w, SAVED_OBJECTS_FILE, "");
	assert_int_equal(truncate(path, (off_t)SAVED_OBJECTS_MAX_LEN + 1), 0);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(read_objects(w->folder, &ours, &why), -EINVAL);
	assert_string_equal(why, "is larger than 256 MiB");
}

static void write_bytes(const struct world *w, const char *bytes, size_t len)
{
	_cleanup_(freep) char *path = world_path(w, SAVED_OBJECTS_FILE);
	_cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, bytes, len), len);
}

static void read_bytes(const struct world *w, struct buf *ret)
{
	_cleanup_(freep) char *path = world_path(w, SAVED_OBJECTS_FILE);
	_cleanup_(fclosep) FILE *file = fopen(path, "re");
	char piece[4096];
	size_t n;

	assert_non_null(file);
	while ((n = fread(piece, 1, sizeof(piece), file)) > 0)
		buf_add(ret, piece, n);
}

static void a_file_cut_anywhere_is_refused(void **state)
{
	struct world *w = *state;
	_cleanup_(buf_fini) struct buf file = BUF_INIT;
	const char *why = "";

	assert_int_equal(write_objects(w->folder, 2), 0);
	read_bytes(w, &file);
	for (size_t cut = 0; cut < file.len; cut++) {
		write_bytes(w, file.data, cut);
		assert_int_equal(read_objects(w->folder, &ours, &why), -EINVAL);
		assert_string_equal(why, "is damaged");
	}
	write_bytes(w, file.data, file.len);
	assert_int_equal(read_objects(w->folder, &ours, &why), 2);
}

static void a_file_with_any_changed_byte_is_refused(void **state)
{
	struct world *w = *state;
	_cleanup_(buf_fini) struct buf file = BUF_INIT;
	const char *why = "";

	assert_int_equal(write_objects(w->folder, 2), 0);
	read_bytes(w, &file);
	for (size_t i = 0; i < file.len; i++) {
		file.data[i] ^= 1;
		write_bytes(w, file.data, file.len);
		assert_int_equal(read_objects(w->folder, &ours, &why), -EINVAL);
		file.data[i] ^= 1;
	}
	buf_add_char(&file, 0);
	write_bytes(w, file.data, file.len);
	assert_int_equal(read_objects(w->folder, &ours, &why), -EINVAL);
}

/* A file as another version could have written it: the end counts and covers all records. */
static void an_object_that_cannot_be_used_costs_only_itself(void **state)
{
	struct world *w = *state;
	_cleanup_(buf_fini) struct buf file = BUF_INIT;
	struct saved_objects saved = {0};
	const char *why = "";
	uint64_t sum;
	char *name;

	assert_int_equal(write_objects(w->folder, 3), 0);
	read_bytes(w, &file);
	name = memmem(file.data, file.len, "web-1", strlen("web-1"));
	assert_non_null(name);
	name[strlen("web")] = '/';
	sum = htole64(
		saved_checksum(SAVED_CHECKSUM_INIT, file.data, file.len - SAVED_END_LEN));
	memcpy(file.data + file.len - sizeof(sum), &sum, sizeof(sum));
	write_bytes(w, file.data, file.len);
	assert_int_equal(saved_objects_read(w->folder, &ours, &saved, &why), 0);
	assert_int_equal(saved.n, 2);
	assert_int_equal(saved.n_unusable, 1);
	saved_objects_fini(&saved);
}

static void another_version_is_refused(void **state)
{
	struct world *w = *state;
	const char *why = "";

	world_write(w, SAVED_OBJECTS_FILE,
		    "{\"kind\":\"sluice objects\",\"version\":1,\"node\":\"node-a\"}\n");
	assert_int_equal(read_objects(w->folder, &ours, &why), -EINVAL);
	assert_string_equal(why, "is of another version");
}

/* Writes files of 100 and 300 objects in turn until it is killed. */
static void write_for_ever(const char *dir, unsigned i)
{
	for (;; i++)
		if (write_objects(dir, i % 2 ? 300 : 100) != 0)
			_exit(1);
}

static void kill_9_at_any_moment_leaves_a_file_that_loads(void **state)
{
	struct world *w = *state;
	const char *why = "";

	assert_int_equal(write_objects(w->folder, 100), 0);
	for (unsigned i = 0; i < 30; i++) {
		int n, status;
		pid_t pid = fork();

		if (pid == 0)
			write_for_ever(w->folder, i);
		assert_true(pid > 0);
		(void)usleep(i * i * 150);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		n = read_objects(w->folder, &ours, &why);
		assert_true(n == 100 || n == 300);
	}
}

static void a_folder_that_cannot_be_written_is_an_error(void **state)
{
	struct world *w = *state;
	_cleanup_(freep) char *missing = world_path(w, "missing/folder");

	assert_int_equal(write_objects(missing, 1), -ENOENT);
}

static int setup(void **state)
{
	static struct world w;

	world_open(&w);
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	world_close(*state);
	return 0;
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_object_of_the_golden_cases_comes_back),
		cmocka_unit_test(every_field_comes_back),
		cmocka_unit_test(hashes_of_labels_are_those_of_the_file),
		cmocka_unit_test(what_programs_nothing_is_left_out),
		IN_FOLDER(a_written_file_is_read),
		IN_FOLDER(a_draft_of_a_killed_writer_is_replaced),
		IN_FOLDER(the_file_of_an_older_version_is_removed_by_the_first_write),
		IN_FOLDER(a_file_of_others_is_refused),
		IN_FOLDER(things_that_are_not_regular_files_are_refused),
		IN_FOLDER(a_file_that_is_too_large_is_refused_unread),
		IN_FOLDER(a_file_cut_anywhere_is_refused),
		IN_FOLDER(a_file_with_any_changed_byte_is_refused),
		IN_FOLDER(an_object_that_cannot_be_used_costs_only_itself),
		IN_FOLDER(another_version_is_refused),
		IN_FOLDER(kill_9_at_any_moment_leaves_a_file_that_loads),
		IN_FOLDER(a_folder_that_cannot_be_written_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
