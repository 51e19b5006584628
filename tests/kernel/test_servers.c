/*
 * The health server: when another process has its port, and before anything has been
 * programmed.
 */
#include <ev.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/addr.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/kernel/await.h"
#include "tests/kernel/http_get.h"
#include "tests/kernel/instance.h"
#include "tests/test.h"
#include "tests/unit/fake_server.h"
#include "tests/unit/kube_run.h"

#define HEALTH_PORT	10256
#define API_PORT	6443
#define TCP_ESTABLISHED "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established"

static int node_socket(const struct world *w)
{
	int fd;

	world_enter(w, PLACE_NODE);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	world_leave(w);
	return fd;
}

static int take_port(const struct world *w, uint16_t port)
{
	struct addr any = addr_unspecified(FAMILY_IPV4);
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&any, port, &sa);
	int fd = node_socket(w), on = 1;

	/* connections to the daemon that ended are still in TIME_WAIT */
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

/* Ends the daemon and takes the port. */
static int take_its_place(struct instance *sluice)
{
	(void)instance_end(sluice, SIGTERM);
	(void)unlink(sluice->log);
	return take_port(sluice->world, HEALTH_PORT);
}

static void a_port_in_use_is_bound_when_it_is_free(void **state)
{
	struct instance *sluice = *state;
	int fd = take_its_place(sluice);

	instance_start(sluice, NULL); /* it serves all the same */
	await_log(sluice, "health server: cannot listen on 0.0.0.0:10256: Address "
			  "already in use; retrying every 5 s");
	(void)close(fd);
	await_log(sluice, "health server: listening on");
	assert_int_equal(http_get(sluice->world, HEALTH_PORT, "/livez", NULL), 200);
}

static void with_bind_address_hard_fail_a_port_in_use_ends_the_daemon(void **state)
{
	static const char *const args[] = {"--bind-address-hard-fail", NULL};
	struct instance *sluice = *state;
	int fd = take_its_place(sluice), status;

	world_must(sluice->world, PLACE_NODE, "echo 1234 >" TCP_ESTABLISHED);
	instance_launch(sluice, args);
	assert_int_equal(waitpid(sluice->pid, &status, 0), sluice->pid);
	sluice->pid = 0;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_true(has_logged(sluice, "bind-address-hard-fail: exiting"));
	assert_false(has_logged(sluice, "retrying"));
	/* a start that fails leaves the settings of the kernel as they were */
	world_must(sluice->world, PLACE_NODE, "grep -qx 1234 " TCP_ESTABLISHED);
	(void)close(fd);
}

static void assert_page(struct instance *sluice, const char *path, int status)
{
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	int is = http_get(sluice->world, HEALTH_PORT, path, &body);

	if (is != status)
		instance_fail(sluice, "%s: %d %s", path, is, buf_string(&body));
}

static void await_page(struct instance *sluice, const char *path, int status)
{
	uint64_t start_us = world_now_us();

	while (http_get(sluice->world, HEALTH_PORT, path, NULL) != status &&
	       world_now_us() - start_us < WORLD_PATIENCE_US)
		world_sleep_ms(20);
	assert_page(sluice, path, status);
}

/* A new daemon that has read nothing; the kernel serves what the last one programmed. */
static void assert_alive_and_not_ready(struct instance *sluice)
{
	await_page(sluice, "/livez", 200);
	assert_page(sluice, "/readyz", 503);
	instance_wait_written(sluice);
	assert_page(sluice, "/readyz", 503);
}

/* It accepts connections, and answers once its loop runs. */
static struct fake_server *make_api_server(const struct world *w, struct ev_loop *loop)
{
	static const struct fake_answer answers[] = {QUIET("/services"), OTHERS};
	struct fake_server *server;

	world_enter(w, PLACE_NODE);
	server = fake_server_new(loop, answers, N_ELEMENTS(answers));
	world_leave(w);
	return server;
}

static void a_daemon_is_ready_once_it_has_read_and_programmed(void **state)
{
	struct instance *sluice = *state;
	struct ev_loop *loop = ev_loop_new(0);
	struct fake_server *server = make_api_server(sluice->world, loop);
	pid_t pid;

	instance_put_yaml(sluice, "");
	assert_page(sluice, "/readyz", 200);
	(void)instance_end(sluice, SIGTERM);
	sluice->master = fake_server_url(server);
	instance_launch(sluice, NULL);
	assert_alive_and_not_ready(sluice);
	pid = fork();
	if (pid == 0) {
		ev_loop_fork(loop);
		(void)ev_run(loop, 0);
		_exit(1);
	}
	await_page(sluice, "/readyz", 200);
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	(void)instance_end(sluice, SIGTERM);
	sluice->master = NULL;
	fake_server_free(server);
	ev_loop_destroy(loop);
	instance_start(sluice, NULL);
}

/* An API server that accepts connections and never answers. */
static void a_single_run_gives_up_after_the_timeout(void **state)
{
	struct instance *sluice = *state;
	int fd = take_port(sluice->world, API_PORT);
	_cleanup_(freep) char *command =
		xasprintf("run --once --master 127.0.0.1:%d --timeout 300ms --proxy-mode "
			  "nftables --bpffs-root %s",
			  API_PORT, sluice->bpffs);
	_cleanup_(buf_fini) struct buf output = BUF_INIT;
	uint64_t start_us = world_now_us();

	if (sluice->pid)
		(void)instance_end(sluice, SIGTERM);
	assert_int_equal(instance_command(sluice, command, &output), 1);
	assert_in_range(world_now_us() - start_us, 300000, WORLD_PATIENCE_US / 2);
	assert_non_null(strstr(buf_string(&output),
			       "api: not all objects could be read within 0.3 s; giving "
			       "up, the kernel keeps its rules (see --timeout)"));
	instance_wait_written(sluice);
	(void)close(fd);
	instance_start(sluice, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_single_run_gives_up_after_the_timeout),
		cmocka_unit_test(a_daemon_is_ready_once_it_has_read_and_programmed),
		cmocka_unit_test(a_port_in_use_is_bound_when_it_is_free),
		cmocka_unit_test(
			with_bind_address_hard_fail_a_port_in_use_ends_the_daemon),
	};

	return cmocka_run_group_tests(tests, instance_setup, instance_teardown);
}
