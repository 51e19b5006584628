/*
 * The log while the API server cannot be reached.
 */
#include "tests/test.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "tests/unit/turn_loop.h"
#include "watchers/kube/outage.h"

struct listener { /* what is logged, caught on its way to stderr */
	struct ev_loop *loop;
	struct outage *outage;
	FILE *file;
	int stderr_fd;
	char text[4096];
};

static void listen_to(struct listener *l)
{
	l->loop = ev_loop_new(0);
	l->outage = outage_new(l->loop, "https://api:6443", "/etc/kubeconfig");
	l->file = tmpfile();
	assert_non_null(l->file);
	l->stderr_fd = dup(STDERR_FILENO);
	assert_int_not_equal(dup2(fileno(l->file), STDERR_FILENO), -1);
}

static void hear(struct listener *l)
{
	ssize_t n = pread(fileno(l->file), l->text, sizeof(l->text) - 1, 0);

	l->text[n > 0 ? n : 0] = 0;
	assert_int_equal(ftruncate(fileno(l->file), 0), 0);
	(void)lseek(fileno(l->file), 0, SEEK_SET);
}

static void stop_listening(struct listener *l)
{
	(void)dup2(l->stderr_fd, STDERR_FILENO);
	(void)close(l->stderr_fd);
	(void)fclose(l->file);
	outage_free(l->outage);
	ev_loop_destroy(l->loop);
}

static void pass(struct listener *l, double sec)
{
	turn_loop(l->loop, sec);
	hear(l);
}

static unsigned count_lines(const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void an_outage_with_one_cause_is_one_log_line(void **state)
{
	struct listener l = {0};

	(void)state;
	listen_to(&l);
	outage_failed(l.outage, OBJECT_SERVICE, "services", 401, "HTTP 401 Unauthorized");
	outage_failed(l.outage, OBJECT_SLICE, "endpointslices", 401,
		      "HTTP 401 Unauthorized");
	outage_failed(l.outage, OBJECT_NODE, "nodes", 401, "HTTP 401 Unauthorized");
	pass(&l, 0.8);
	stop_listening(&l);
	assert_int_equal(count_lines(l.text), 1);
	assert_non_null(strstr(l.text,
			       "https://api:6443: cannot list services, "
			       "endpointslices and nodes: HTTP 401 Unauthorized"));
	assert_non_null(strstr(l.text, "check the credentials in /etc/kubeconfig"));
}

static void each_cause_of_an_outage_has_a_log_line(void **state)
{
	struct listener l = {0};

	(void)state;
	listen_to(&l);
	outage_failed(l.outage, OBJECT_SERVICE, "services", 403, "may not list services");
	outage_failed(l.outage, OBJECT_SLICE, "endpointslices", 500, "out of order");
	pass(&l, 0.8);
	stop_listening(&l);
	assert_int_equal(count_lines(l.text), 2);
	assert_non_null(strstr(l.text,
			       "cannot list services: may not list services; give "
			       "the account of /etc/kubeconfig the ClusterRole"));
	assert_non_null(
		strstr(l.text, "cannot list endpointslices: out of order; retrying"));
}

static void a_connection_closed_by_a_refusal_is_not_a_cause_of_its_own(void **state)
{
	char first[sizeof(((struct listener *)NULL)->text)];
	struct listener l = {0};

	(void)state;
	listen_to(&l);
	outage_failed(l.outage, OBJECT_NODE, "nodes", -ECONNRESET, "closed");
	outage_failed(l.outage, OBJECT_SERVICE, "services", 401, "HTTP 401 Unauthorized");
	outage_failed(l.outage, OBJECT_SLICE, "endpointslices", 401,
		      "HTTP 401 Unauthorized");
	pass(&l, 0.8);
	memcpy(first, l.text, sizeof(first));
	outage_failed(l.outage, OBJECT_NODE, "nodes", 401, "HTTP 401 Unauthorized");
	pass(&l, 0.8);
	stop_listening(&l);
	assert_int_equal(count_lines(first), 1);
	assert_non_null(
		strstr(first, "cannot list services and endpointslices: HTTP 401"));
	assert_int_equal(count_lines(l.text), 0);
}

static void an_unavailable_optional_kind_is_one_log_line(void **state)
{
	struct listener l = {0};

	(void)state;
	listen_to(&l);
	outage_set_optional(l.outage, OBJECT_SERVICE_CIDR);
	outage_failed(l.outage, OBJECT_SERVICE_CIDR, "servicecidrs", 404, "HTTP 404");
	pass(&l, 0.8);
	assert_int_equal(count_lines(l.text), 1);
	assert_non_null(strstr(l.text, "cannot list servicecidrs: HTTP 404; going "
				       "without"));
	/* Another kind's failure does not repeat it; a common cause names both. */
	outage_failed(l.outage, OBJECT_SERVICE, "services", 500, "out of order");
	pass(&l, 0.8);
	assert_int_equal(count_lines(l.text), 1);
	assert_null(strstr(l.text, "servicecidrs"));
	outage_failed(l.outage, OBJECT_SERVICE, "services", 404, "HTTP 404");
	pass(&l, 0.8);
	stop_listening(&l);
	assert_non_null(
		strstr(l.text, "cannot list services and servicecidrs: HTTP 404"));
}

static void only_another_cause_of_an_outage_is_logged_again(void **state)
{
	struct listener l = {0};

	(void)state;
	listen_to(&l);
	outage_failed(l.outage, OBJECT_SERVICE, "services", -ECONNREFUSED, "refused");
	pass(&l, 0.8);
	assert_int_equal(count_lines(l.text), 1);
	outage_failed(l.outage, OBJECT_SERVICE, "services", -ECONNREFUSED,
		      "refused again");
	pass(&l, 0.8);
	assert_int_equal(count_lines(l.text), 0);
	outage_failed(l.outage, OBJECT_SERVICE, "services", 503, "not yet");
	pass(&l, 0.8);
	stop_listening(&l);
	assert_int_equal(count_lines(l.text), 1);
}

static void the_end_of_an_outage_is_logged_when_all_kinds_recovered(void **state)
{
	static const char wanted[] = "https://api:6443: reachable again after ";
	struct listener l = {0};
	ev_tstamp begin = ev_time();
	const char *line;
	double sec;

	(void)state;
	listen_to(&l);
	outage_failed(l.outage, OBJECT_SERVICE, "services", 503, "not yet");
	outage_failed(l.outage, OBJECT_NODE, "nodes", 503, "not yet");
	pass(&l, 0.8);
	outage_over(l.outage, OBJECT_SERVICE);
	pass(&l, 0.01);
	assert_int_equal(count_lines(l.text), 0);
	outage_over(l.outage, OBJECT_NODE);
	pass(&l, 0.01);
	stop_listening(&l);
	assert_int_equal(count_lines(l.text), 1);
	line = strstr(l.text, wanted);
	assert_non_null(line);
	sec = strtod(line + strlen(wanted), NULL);
	assert_true(sec >= .35 && sec <= ev_time() - begin + .1);
}

static void an_optional_kind_does_not_prolong_an_outage(void **state)
{
	static const char recovered[] = "https://api:6443: reachable again after ";
	struct listener l = {0};
	const char *line;

	(void)state;
	listen_to(&l);
	outage_set_optional(l.outage, OBJECT_SERVICE_CIDR);
	outage_failed(l.outage, OBJECT_SERVICE_CIDR, "servicecidrs", 403, "HTTP 403");
	pass(&l, 0.6);
	outage_failed(l.outage, OBJECT_SERVICE, "services", 403, "HTTP 403");
	pass(&l, 0.8);
	assert_non_null(
		strstr(l.text, "cannot list services and servicecidrs: HTTP 403"));
	outage_over(l.outage, OBJECT_SERVICE);
	pass(&l, 0.01);
	assert_int_equal(count_lines(l.text), 1);
	line = strstr(l.text, recovered);
	assert_non_null(line);
	/* From the failure of the services, not from that of the servicecidrs. */
	assert_true(strtod(line + strlen(recovered), NULL) >= .35);
	assert_true(strtod(line + strlen(recovered), NULL) < 1.);
	outage_over(l.outage, OBJECT_SERVICE_CIDR);
	pass(&l, 0.01);
	stop_listening(&l);
	assert_int_equal(count_lines(l.text), 0);
}

static void a_failure_that_recovers_immediately_is_not_logged(void **state)
{
	struct listener l = {0};

	(void)state;
	listen_to(&l);
	outage_failed(l.outage, OBJECT_SERVICE, "services", 503, "not yet");
	outage_over(l.outage, OBJECT_SERVICE);
	pass(&l, 0.8);
	stop_listening(&l);
	assert_int_equal(count_lines(l.text), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_outage_with_one_cause_is_one_log_line),
		cmocka_unit_test(each_cause_of_an_outage_has_a_log_line),
		cmocka_unit_test(
			a_connection_closed_by_a_refusal_is_not_a_cause_of_its_own),
		cmocka_unit_test(an_unavailable_optional_kind_is_one_log_line),
		cmocka_unit_test(only_another_cause_of_an_outage_is_logged_again),
		cmocka_unit_test(the_end_of_an_outage_is_logged_when_all_kinds_recovered),
		cmocka_unit_test(an_optional_kind_does_not_prolong_an_outage),
		cmocka_unit_test(a_failure_that_recovers_immediately_is_not_logged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
