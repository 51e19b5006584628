/*
 * Records of objects: one that is cut, has more bytes, or a value that no decoder
 * would have accepted, is refused.
 */
#include "tests/test.h"

#include <netinet/in.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "tests/unit/object_text.h"
#include "watchers/saved/object_record.h"

static const char service_text[] = YAML
	"{apiVersion: v1, kind: Service, metadata: {name: web, annotations: "
	"{sluice.io/health-check: 'http:/a', sluice.io/hold: 2s}}, spec: {type: "
	"LoadBalancer, clusterIP: 10.96.0.1, ports: [{name: a, port: 80}, {name: b, "
	"port: "
	"53, protocol: UDP}], externalIPs: [1.2.3.4, 1.2.3.5], "
	"loadBalancerSourceRanges: [10.0.0.0/8]}, status: {loadBalancer: {ingress: [{ip: "
	"1.1.1.1}, {ip: 1.1.1.2}]}}}";

static const char slice_text[] =
	YAML_SLICE("", "ports: [{name: '', port: 80}], endpoints: [{addresses: "
		       "[10.0.0.1], nodeName: n1, hints: {forZones: [{name: z1}, {name: "
		       "z2}]}}, {addresses: [10.0.0.2]}]");

/* Is the record of this object read, if its last bytes are cut or others added? */
static bool reads(const struct object *o, size_t n_cut, size_t n_added)
{
	_cleanup_(buf_fini) struct buf bytes = BUF_INIT;
	struct object *again;
	bool is_read;

	assert_true(object_record_add(&bytes, o));
	for (; n_added > 0; n_added--)
		buf_add_char(&bytes, 0);
	again = object_record_read(bytes.data, n_cut < bytes.len ? bytes.len - n_cut : 0);
	is_read = again;
	object_unref(again);
	return is_read;
}

static void a_record_of_another_length_is_refused(void **state)
{
	static const char *const texts[] = {service_text, slice_text};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
		struct object *o = object_text_first(texts[i]);

		assert_true(reads(o, 0, 0));
		for (size_t n = 1; n < 300; n++)
			assert_false(reads(o, n, 0));
		assert_false(reads(o, 0, 1));
		object_unref(o);
	}
}

/* Of a copy, whose lists may be changed in place. */
static struct object_service *service_of(struct object *o)
{
	return (struct object_service *)(void *)o;
}

static struct object_service_port *port_of(struct object *o)
{
	return (struct object_service_port *)(uintptr_t)service_of(o)->ports;
}

static struct addr *addr_of(struct object *o)
{
	return (struct addr *)(uintptr_t)service_of(o)->external_ips;
}

static void no_name(struct object *o)
{
	o->name = "";
}

static void dots(struct object *o)
{
	o->name = "..";
}

static void slash(struct object *o)
{
	o->ns = "a/b";
}

static void no_namespace(struct object *o)
{
	o->ns = "";
}

static void long_namespace(struct object *o)
{
	o->ns = "a234567890123456789012345678901234567890123456789012345678901234";
}

static void far_time(struct object *o)
{
	service_of(o)->created_sec = INT64_MAX / 2;
}

static void unknown_type(struct object *o)
{
	service_of(o)->type = SERVICE_EXTERNAL_NAME + 1;
}

static void other_family(struct object *o)
{
	service_of(o)->cluster_ip[FAMILY_IPV4].b[0] = 0xfd;
}

static void headless(struct object *o)
{
	service_of(o)->is_headless = true;
}

static void no_affinity_time(struct object *o)
{
	service_of(o)->affinity_sec = 0;
}

static struct object_options *options_of(struct object *o)
{
	return (struct object_options *)(uintptr_t)service_of(o)->options;
}

static void default_options(struct object *o)
{
	*options_of(o) = (struct object_options){.health_path = ""};
}

static void drain_without_time(struct object *o)
{
	options_of(o)->service.on_endpoint_removed = ENDPOINT_REMOVAL_DRAIN;
}

static void long_hold(struct object *o)
{
	options_of(o)->times.hold_ms = 24 * 3600 * 1000 + 1;
}

static void long_timeout(struct object *o)
{
	options_of(o)->times.health_timeout_ms = 2001; /* the interval is 2000 */
}

static void path_with_a_blank(struct object *o)
{
	options_of(o)->health_path = "/a b";
}

static void path_without_a_check(struct object *o)
{
	options_of(o)->service.health_check = HEALTH_CHECK_TCP;
}

static void port_0(struct object *o)
{
	port_of(o)->port = 0;
}

static void unknown_protocol(struct object *o)
{
	port_of(o)->proto = IPPROTO_ICMP;
}

static void equal_ports(struct object *o)
{
	port_of(o)[1] = port_of(o)[0];
}

static void unspecified(struct object *o)
{
	*addr_of(o) = addr_unspecified(FAMILY_IPV4);
}

static void equal_addresses(struct object *o)
{
	addr_of(o)[1] = addr_of(o)[0];
}

static void host_bits(struct object *o)
{
	((struct cidr *)(uintptr_t)service_of(o)->source_ranges)->addr.b[15] = 1;
}

static struct object_endpoint *endpoint_of(struct object *o)
{
	return (struct object_endpoint *)(uintptr_t)object_as_slice(o)->endpoints;
}

static void no_service(struct object *o)
{
	((struct object_slice *)(void *)o)->service = "";
}

static void early_trigger(struct object *o)
{
	((struct object_slice *)(void *)o)->trigger_us = -1;
}

static void unknown_flag(struct object *o)
{
	endpoint_of(o)->flags = 8;
}

static void node_with_a_newline(struct object *o)
{
	endpoint_of(o)->node = "a\n";
}

static void zone_with_a_slash(struct object *o)
{
	((struct object_hints *)(uintptr_t)object_as_slice(o)->hints)->zones = "a\0b/\0";
}

static void hints_of_some_endpoints(struct object *o)
{
	((struct object_slice *)(void *)o)->n_hints--;
}

static void endpoint_of_other_family(struct object *o)
{
	((struct object_slice *)(void *)o)->family = FAMILY_IPV6;
}

static void a_value_that_no_decoder_accepts_is_refused(void **state)
{
	static const struct {
		const char *text;
		void (*spoil)(struct object *o);
	} rows[] = {
		{service_text, no_name},
		{service_text, dots},
		{service_text, slash},
		{service_text, no_namespace},
		{service_text, long_namespace},
		{service_text, far_time},
		{service_text, unknown_type},
		{service_text, other_family},
		{service_text, headless},
		{service_text, no_affinity_time},
		{service_text, default_options},
		{service_text, drain_without_time},
		{service_text, long_hold},
		{service_text, long_timeout},
		{service_text, path_with_a_blank},
		{service_text, path_without_a_check},
		{service_text, port_0},
		{service_text, unknown_protocol},
		{service_text, equal_ports},
		{service_text, unspecified},
		{service_text, equal_addresses},
		{service_text, host_bits},
		{slice_text, no_service},
		{slice_text, early_trigger},
		{slice_text, unknown_flag},
		{slice_text, node_with_a_newline},
		{slice_text, zone_with_a_slash},
		{slice_text, hints_of_some_endpoints},
		{slice_text, endpoint_of_other_family},
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct object *o = object_text_first(rows[i].text);

		assert_true(reads(o, 0, 0));
		rows[i].spoil(o);
		if (reads(o, 0, 0))
			fail_msg("row %zu is read", i);
		object_unref(o);
	}
}

static void bytes_that_are_not_a_record_are_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} rows[] = {
		{"", 0},
		{"\x04", 1}, /* a Pod */
		{"\x09", 1}, /* an unknown kind */
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		 11}, /* too long a number */
		{"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		 11}, /* too long a text */
	};

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(rows); i++)
		assert_null(object_record_read(rows[i].bytes, rows[i].len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_of_another_length_is_refused),
		cmocka_unit_test(a_value_that_no_decoder_accepts_is_refused),
		cmocka_unit_test(bytes_that_are_not_a_record_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
