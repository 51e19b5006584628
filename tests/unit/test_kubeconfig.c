/*
 * Valid kubeconfigs, and the messages for invalid ones.
 */
#include "tests/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/unit/world.h"
#include "watchers/kube/exec_plugin.h"
#include "watchers/kube/kubeconfig.h"
#include "watchers/kube/kubeconfig_private.h"

#include <jansson.h>

static const char kubeadm[] =
	"apiVersion: v1\n"
	"kind: Config\n"
	"clusters:\n"
	"- cluster:\n"
	"    certificate-authority: pki/ca.crt\n"
	"    server: https://10.0.0.1:6443/\n"
	"    tls-server-name: api.example\n"
	"    proxy-url: http://proxy:3128\n"
	"  name: default\n"
	"contexts:\n"
	"- context:\n"
	"    cluster: default\n"
	"    namespace: default\n"
	"    user: default\n"
	"  name: default\n"
	"current-context: default\n"
	"users:\n"
	"- name: default\n"
	"  user:\n"
	"    tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token\n"
	"    client-certificate-data: UEVN\n"
	"    client-key: key.pem\n"
	"    as: other-user\n"
	"    as-groups: [one, two]\n"
	"    as-user-extra: {example.org/Reason: [why, what]}\n";

static int parse(const char *text, const char *folder, struct kube_config *config,
		 char **ret_error)
{
	int err = kube_config_parse(text, strlen(text), folder, config, ret_error);

	return err ? err : kube_config_check_server(config, ret_error);
}

static void a_kubeconfig_of_kubeadm_is_read(void **state)
{
	_cleanup_(kube_config_fini) struct kube_config c = {0};
	_cleanup_(freep) char *error = NULL;

	(void)state;
	assert_int_equal(parse(kubeadm, "/etc/k", &c, &error), 0);
	assert_string_equal(c.server, "https://10.0.0.1:6443");
	assert_string_equal(c.tls_server_name, "api.example");
	assert_string_equal(c.proxy_url, "http://proxy:3128");
	assert_string_equal(c.ca_file, "/etc/k/pki/ca.crt");
	assert_string_equal(c.token_file,
			    "/var/run/secrets/kubernetes.io/serviceaccount/token");
	assert_string_equal(c.cert_pem, "PEM");
	assert_string_equal(c.key_file, "/etc/k/key.pem");
	assert_string_equal(c.as, "other-user");
	assert_string_equal(c.as_groups[1], "two");
	assert_null(c.as_groups[2]);
	assert_string_equal(c.as_extra[0], "example.org%2freason: why");
	assert_string_equal(c.as_extra[1], "example.org%2freason: what");
	assert_false(c.insecure);
}

#define USER(lines)                                                                      \
	"clusters: [{name: c, cluster: {server: 'https://x'}}]\n"                        \
	"contexts: [{name: k, context: {cluster: c, user: u}}]\n"                        \
	"current-context: k\n"                                                           \
	"users:\n- name: u\n  user:\n" lines

static const struct {
	const char *text;
	const char *error; /* NULL: it is fine */
} cases[] = {
	{USER("    token: abc\n"), NULL},
	{USER("    auth-provider: {name: gcp}\n"),
	 "users.user.auth-provider: is no longer supported by Kubernetes; use exec "
	 "instead"},
	{USER("    client-certificate-data: '***'\n"),
	 "users.user.client-certificate-data: is not base64 of PEM text"},
	{USER("    client-certificate: a.pem\n"),
	 "users.user.client-key: is missing, but there is a client-certificate"},
	{USER("    token: 17\n"), "users.user.token: is not a string"},
	{USER("    token: \"a\\r\\nEvil: yes\"\n"), "users.user.token: has a line break"},
	{USER("    as-groups: [\"a\\r\\nEvil: yes\"]\n"),
	 "users.user.as-groups: has a line break"},
	{USER("    exec: {command: ask, interactiveMode: Always}\n"),
	 "users.user.exec.interactiveMode: is Always, but a daemon has no terminal to "
	 "ask on"},
	{USER("    exec: {command: ask, interactiveMode: IfAvailable}\n"), NULL},
	{"clusters: [{name: c, cluster: {server: 'https://me:secret@x'}}]\n"
	 "contexts: [{name: k, context: {cluster: c}}]\ncurrent-context: k\n",
	 "server: has a user name in it; that is what users[].user.username and password "
	 "are for"},
	{"clusters: [{name: c, cluster: {server: 'https://x', proxy-url: "
	 "'proxy:3128'}}]\n"
	 "contexts: [{name: k, context: {cluster: c}}]\ncurrent-context: k\n",
	 "clusters.cluster.proxy-url: does not start with http://, https:// or "
	 "socks5://"},
	{USER("    exec: {args: [x]}\n"), "users.user.exec.command: is missing"},
	{USER("    exec: {command: get-token, env: [{value: x}]}\n"),
	 "users.user.exec.env: has an item without a name"},
	{"current-context: k\ncontexts: [{name: other, context: {}}]\n",
	 "contexts: has none named \"k\""},
	{"current-context: k\ncontexts: [{name: k, context: {cluster: c}}]\n",
	 "clusters: has none named \"c\""},
	{"clusters: [{name: c, cluster: {}}]\n"
	 "contexts: [{name: k, context: {cluster: c}}]\ncurrent-context: k\n",
	 "clusters.cluster.server: is missing"},
	{"clusters: [{name: c, cluster: {server: 'ftp://x'}}]\n"
	 "contexts: [{name: k, context: {cluster: c}}]\ncurrent-context: k\n",
	 "server: \"ftp://x\" is neither http:// nor https://"},
	{"clusters: [{name: c, cluster: {server: 'https://x', insecure-skip-tls-verify: "
	 "true, "
	 "certificate-authority: a}}]\n"
	 "contexts: [{name: k, context: {cluster: c}}]\ncurrent-context: k\n",
	 "clusters.cluster.insecure-skip-tls-verify: contradicts certificate-authority: "
	 "leave "
	 "one of them out"},
	{"{}", "current-context: is missing"},
	{"- a list\n", "is not a kubeconfig: no object in it"},
	{"", "is not a kubeconfig: no object in it"},
};

static void each_mistake_in_a_kubeconfig_has_its_message(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		_cleanup_(kube_config_fini) struct kube_config c = {0};
		_cleanup_(freep) char *error = NULL;
		int err = parse(cases[i].text, "/k", &c, &error);

		assert_int_equal(err, cases[i].error ? -EINVAL : 0);
		if (cases[i].error)
			assert_string_equal(error, cases[i].error);
	}
}

static void a_server_address_is_enough_without_a_kubeconfig(void **state)
{
	_cleanup_(kube_config_fini) struct kube_config c = {0};
	_cleanup_(freep) char *error = NULL;

	(void)state;
	assert_int_equal(kube_config_load(NULL, "127.0.0.1:8080", NULL, &c, &error), 0);
	assert_string_equal(c.server, "http://127.0.0.1:8080");
}

static const struct {
	const char *host, *port, *master;
	const char *server;
	bool has_account;
} pods[] = {
	{"10.96.0.1", "443", NULL, "https://10.96.0.1:443", true},
	{"fd00::1", "443", NULL, "https://[fd00::1]:443", true},
	{"10.96.0.1", "443", "https://api:6443", "https://api:6443", true},
	/* the token is not sent in the clear */
	{"10.96.0.1", "443", "http://127.0.0.1:8001", "http://127.0.0.1:8001", false},
	{"10.96.0.1", "443", "127.0.0.1:8001", "http://127.0.0.1:8001", false},
	/* not in a Pod */
	{"", "", "https://api:6443", "https://api:6443", false},
};

static void in_a_pod_master_overrides_only_the_server(void **state)
{
	struct world account;

	(void)state;
	world_open(&account);
	world_write(&account, "token", "text");
	world_write(&account, "ca.crt", "text");
	for (size_t i = 0; i < N_ELEMENTS(pods); i++) {
		_cleanup_(kube_config_fini) struct kube_config c = {0};
		_cleanup_(freep) char *token = world_path(&account, "token");
		_cleanup_(freep) char *ca = world_path(&account, "ca.crt");
		_cleanup_(freep) char *error = NULL;

		(void)setenv("KUBERNETES_SERVICE_HOST", pods[i].host, 1);
		(void)setenv("KUBERNETES_SERVICE_PORT", pods[i].port, 1);
		assert_int_equal(kube_config_load(NULL, pods[i].master, account.folder,
						  &c, &error),
				 0);
		assert_string_equal(c.server, pods[i].server);
		assert_int_equal(c.is_in_cluster, pods[i].has_account);
		if (pods[i].has_account) {
			assert_string_equal(c.token_file, token);
			assert_string_equal(c.ca_file, ca);
		} else {
			assert_null(c.token_file);
			assert_null(c.ca_file);
		}
	}
	(void)unsetenv("KUBERNETES_SERVICE_HOST");
	(void)unsetenv("KUBERNETES_SERVICE_PORT");
	world_close(&account);
}

static const char *const fifo_fields[] = {
	"cluster: {server: 'https://x', certificate-authority: %s}}]\nusers: [{name: u, "
	"user: {}}]\n",
	"cluster: {server: 'https://x'}}]\nusers: [{name: u, user: {tokenFile: %s}}]\n",
	"cluster: {server: 'https://x'}}]\nusers: [{name: u, user: {client-certificate: "
	"%s, client-key-data: YQ==}}]\n",
	"cluster: {server: 'https://x'}}]\nusers: [{name: u, user: {client-key: %s, "
	"client-certificate-data: YQ==}}]\n",
};

/* A FIFO without a writer would block the program forever. */
static void a_fifo_is_refused_where_a_credential_should_be(void **state)
{
	_cleanup_(freep) char *fifo = NULL, *path = NULL;
	struct world w;

	(void)state;
	world_open(&w);
	world_make_fifo(&w, "fifo");
	fifo = world_path(&w, "fifo");
	path = world_path(&w, "config");
	for (size_t i = 0; i < N_ELEMENTS(fifo_fields); i++) {
		_cleanup_(freep) char *error = NULL, *text = NULL, *why = NULL;
		struct kube_config c = {0};
		const char *at = strstr(fifo_fields[i], "%s");

		text = xasprintf("contexts: [{name: k, context: {cluster: c, user: "
				 "u}}]\nclusters: [{name: c, %.*s%s%s",
				 (int)(at - fifo_fields[i]), fifo_fields[i], fifo,
				 at + 2);
		world_write(&w, "config", text);
		assert_int_equal(kube_config_load(path, NULL, NULL, &c, &error), -ESPIPE);
		why = xasprintf("%s: not a regular file", fifo);
		assert_non_null(strstr(error, why));
	}
	world_close(&w);
}

static void a_missing_kubeconfig_is_named(void **state)
{
	struct kube_config c = {0};
	_cleanup_(freep) char *error = NULL;

	(void)state;
	assert_int_equal(kube_config_load("/nowhere/kubeconfig", NULL, NULL, &c, &error),
			 -ENOENT);
	assert_string_equal(error, "/nowhere/kubeconfig: No such file or directory");
}

static void outside_of_a_pod_the_message_names_kubeconfig(void **state)
{
	struct kube_config c = {0};
	_cleanup_(freep) char *error = NULL;

	(void)state;
	unsetenv("KUBERNETES_SERVICE_HOST");
	assert_int_equal(kube_config_load(NULL, NULL, NULL, &c, &error), -ENOENT);
	assert_non_null(strstr(error, "--kubeconfig"));
}

static const struct {
	const char *text;
	const char *why; /* NULL: it is fine */
} credentials[] = {
	{"{\"kind\":\"ExecCredential\",\"status\":{\"token\":\"t\"}}", NULL},
	{"{\"kind\":\"ExecCredential\",\"status\":{\"clientCertificateData\":\"c\","
	 "\"clientKeyData\":\"k\",\"expirationTimestamp\":\"2026-01-02T03:04:05Z\"}}",
	 NULL},
	{"{\"kind\":\"ExecCredential\",\"status\":{}}",
	 "returned neither a token nor a client certificate with key"},
	{"{\"kind\":\"ExecCredential\",\"status\":{\"token\":\"t\","
	 "\"expirationTimestamp\":\"x\"}}",
	 "invalid expirationTimestamp"},
	{"{\"kind\":\"Pod\",\"status\":{\"token\":\"t\"}}",
	 "output is not an ExecCredential"},
	{"error: not logged in", "output is not JSON"},
	{"{\"kind\":\"ExecCredential\",\"status\":{\"token\":\"a\\nb\"}}",
	 "the token has a line break"},
};

static void the_output_of_a_plugin_is_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(credentials); i++) {
		struct exec_credential credential = {0};
		const char *why = NULL;
		void *keep = NULL;
		int err = exec_credential_parse(credentials[i].text,
						strlen(credentials[i].text), &keep,
						&credential, &why);

		assert_int_equal(err, credentials[i].why ? -EINVAL : 0);
		if (credentials[i].why)
			assert_string_equal(why, credentials[i].why);
		json_decref(keep);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kubeconfig_of_kubeadm_is_read),
		cmocka_unit_test(each_mistake_in_a_kubeconfig_has_its_message),
		cmocka_unit_test(a_server_address_is_enough_without_a_kubeconfig),
		cmocka_unit_test(in_a_pod_master_overrides_only_the_server),
		cmocka_unit_test(a_fifo_is_refused_where_a_credential_should_be),
		cmocka_unit_test(a_missing_kubeconfig_is_named),
		cmocka_unit_test(outside_of_a_pod_the_message_names_kubeconfig),
		cmocka_unit_test(the_output_of_a_plugin_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
