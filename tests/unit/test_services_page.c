/*
 * /services.json: valid JSON with a row for each service port.
 */
#include "tests/test.h"

#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/state.h"
#include "proxy/engine/counts.h"
#include "proxy/engine/dataplane.h"
#include "proxy/engine/full_changes.h"
#include "proxy/http/http_server.h"
#include "proxy/http/services_page.h"
#include "tests/unit/core_samples.h"
#include "tests/unit/counting_sink.h"

struct world {
	struct state *state;
	struct dataplane dataplane;
	struct counting_sink sink;
	struct counts *counts;
};

static void open_world(struct world *w)
{
	*w = (struct world){.state = state_new()};
	counting_sink_init(&w->sink);
	dataplane_add(&w->dataplane, &w->sink.sink);
	w->counts = counts_new(&w->dataplane);
}

static void close_world(struct world *w)
{
	counts_free(w->counts);
	state_free(w->state);
}

static void put(struct world *w, const char *name, const char *port, const char *frontend)
{
	struct service *s = sample_service(name, port, frontend, "10.0.0.1:80");

	state_replace(w->state, service_namespace(s), name, &s, 1); /* takes s */
}

static void put_many(struct world *w, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char name[16], frontend[32];

		(void)snprintf(name, sizeof(name), "s-%05u", i);
		(void)snprintf(frontend, sizeof(frontend), "10.96.%u.%u:80", i / 256,
			       i % 256);
		put(w, name, "", frontend);
	}
}

static void read_all(struct world *w)
{
	const struct environment env = {0};
	_cleanup_(full_changes_fini) struct full_changes all = {0};

	full_changes_init(&all, w->state, &env);
	assert_true(counts_read(w->counts, &all.cs, false));
}

/* The pieces are small. */
static json_t *page(const struct world *w)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT, piece = BUF_INIT;
	struct http_stream *stream = services_page_new(w->state, w->counts);
	bool has_more = true;
	json_t *json;

	while (has_more) {
		buf_clear(&piece);
		has_more = stream->ops->write(stream, &piece);
		assert_in_range(piece.len, 1, 40000);
		buf_add(&out, piece.data, piece.len);
	}
	stream->ops->free(stream);
	json = json_loads(buf_string(&out), 0, NULL);
	assert_non_null(json);
	return json;
}

static void expect(json_t *json, const char *text)
{
	json_auto_t *actual = json, *wanted = json_loads(text, 0, NULL);
	_cleanup_(freep) char *dump = json_dumps(actual, 0);

	if (!json_equal(actual, wanted))
		fail_msg("%s", dump);
}

static void each_service_port_is_a_row(void **state)
{
	struct world w;

	(void)state;
	open_world(&w);
	expect(page(&w), "{\"countsKnown\":false,\"services\":[],\"omitted\":0}");
	put(&w, "web", "h\"t\\t\n", "10.96.0.1:80 10.96.0.2:80");
	expect(page(&w),
	       "{\"countsKnown\":false,\"services\":[{\"namespace\":\"default\","
	       "\"name\":\"web\",\"portName\":\"h\\\"t\\\\t\\n\",\"protocol\":\"TCP\","
	       "\"family\":\"IPv4\",\"type\":\"ClusterIP\",\"address\":\"10.96.0.1:80\","
	       "\"frontends\":2,\"endpoints\":1}],\"omitted\":0}");
	counting_sink_set(&w.sink, "web", COUNT_CONNECTIONS, 7);
	counting_sink_set(&w.sink, "web", COUNT_NO_ENDPOINTS, 3);
	counting_sink_set(&w.sink, "web", COUNT_NO_LOCAL_ENDPOINTS, 20);
	counting_sink_set(&w.sink, "web", COUNT_SOURCE_RANGES, 1);
	read_all(&w);
	expect(page(&w),
	       "{\"countsKnown\":true,\"services\":[{\"namespace\":\"default\","
	       "\"name\":\"web\",\"portName\":\"h\\\"t\\\\t\\n\",\"protocol\":\"TCP\","
	       "\"family\":\"IPv4\",\"type\":\"ClusterIP\",\"address\":\"10.96.0.1:80\","
	       "\"frontends\":2,\"endpoints\":1,\"connections\":7,\"rate\":0.0,"
	       "\"refused\":3,\"dropped\":21}],\"omitted\":0}");
	close_world(&w);
}

static void of_too_many_the_busiest_are_shown(void **state)
{
	struct world w;
	json_auto_t *json = NULL;
	const json_t *row;
	bool has_busy = false;
	size_t i;

	(void)state;
	open_world(&w);
	put_many(&w, SERVICES_PAGE_MAX + 3);
	counting_sink_set(&w.sink, "s-10002", COUNT_CONNECTIONS, 7);
	read_all(&w);
	json = page(&w);
	assert_int_equal(json_integer_value(json_object_get(json, "omitted")), 3);
	json_array_foreach(json_object_get(json, "services"), i, row)
	{
		const char *name = json_string_value(json_object_get(row, "name"));

		has_busy |= strcmp(name, "s-10002") == 0;
	}
	assert_int_equal(i, SERVICES_PAGE_MAX);
	assert_true(has_busy);
	close_world(&w);
}

static void a_client_that_leaves_early_leaves_no_references(void **state)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct http_stream *stream;
	struct world w;

	(void)state;
	open_world(&w);
	put_many(&w, 1000);
	stream = services_page_new(w.state, NULL);
	assert_true(stream->ops->write(stream, &out));
	close_world(&w); /* the services live on */
	stream->ops->free(stream);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_service_port_is_a_row),
		cmocka_unit_test(a_client_that_leaves_early_leaves_no_references),
		cmocka_unit_test(of_too_many_the_busiest_are_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
