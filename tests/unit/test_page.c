/*
 * The page for people: its policy allows its own style and script, and no others.
 */
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#include "proxy/http/http_server.h"
#include "proxy/http/page.h"

static size_t n_times(const char *text, const char *word)
{
	size_t n = 0;

	while ((text = strstr(text, word))) {
		text += strlen(word);
		n++;
	}
	return n;
}

/* Of the policy: "… script-src 'nonce-NUMBER'; …" */
static void take_nonce(const struct http_reply *reply, char ret[64])
{
	const char *at = strstr(reply->header_value, "script-src 'nonce-");

	assert_non_null(at);
	assert_int_equal(sscanf(at, "script-src 'nonce-%63[0-9a-f]'", ret), 1);
	assert_int_equal(strlen(ret), 32);
}

static void its_own_style_and_script_are_allowed(void **state)
{
	struct http_reply reply = {.status = 200};
	char nonce[64], attribute[96];

	(void)state;
	page_reply(&reply);
	assert_int_equal(reply.status, 200);
	assert_string_equal(reply.header_name, "Content-Security-Policy");
	assert_int_equal(n_times(reply.header_value, "default-src 'none';"), 1);
	assert_int_equal(n_times(reply.header_value, "frame-ancestors 'none'"), 1);
	take_nonce(&reply, nonce);
	(void)snprintf(attribute, sizeof(attribute), " nonce=\"%s\">", nonce);
	assert_int_equal(n_times(buf_string(&reply.body), attribute), 2);
	assert_int_equal(n_times(buf_string(&reply.body), "<script"), 1);
	assert_int_equal(n_times(buf_string(&reply.body), "<style"), 1);
	assert_int_equal(n_times(buf_string(&reply.body), "@NONCE@"), 0);
	assert_int_equal(n_times(buf_string(&reply.body), "</html>"), 1);
	buf_fini(&reply.body);
}

static void each_answer_has_another_number(void **state)
{
	struct http_reply first = {.status = 200}, second = {.status = 200};
	char a[64], b[64];

	(void)state;
	page_reply(&first);
	page_reply(&second);
	take_nonce(&first, a);
	take_nonce(&second, b);
	assert_string_not_equal(a, b);
	buf_fini(&first.body);
	buf_fini(&second.body);
}

/* Names in a cluster belong to others: the page may not parse them. */
static void nothing_is_parsed_as_html(void **state)
{
	static const char *const ways[] = {
		"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
		"http://",   "https://"};
	struct http_reply reply = {.status = 200};

	(void)state;
	page_reply(&reply);
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		/* the one address is the name of SVG elements */
		assert_int_equal(n_times(buf_string(&reply.body), ways[i]),
				 strcmp(ways[i], "http://") == 0);
	buf_fini(&reply.body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_own_style_and_script_are_allowed),
		cmocka_unit_test(each_answer_has_another_number),
		cmocka_unit_test(nothing_is_parsed_as_html),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
