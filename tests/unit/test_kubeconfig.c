/*
 * Kubeconfigs as people have them, and as they get them wrong.
 */
#include "tests/test.h"

#include <errno.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "watchers/kube/exec_plugin.h"
#include "watchers/kube/kubeconfig.h"

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
	"    as: somebody\n"
	"    as-groups: [one, two]\n"
	"    as-user-extra: {example.org/Reason: [why, what]}\n";

static void test_reads_what_kubeadm_writes(void **state)
{
	_cleanup_(kube_config_fini) struct kube_config c = {0};
	_cleanup_(freep) char *error = NULL;

	(void)state;
	assert_int_equal(kube_config_parse(kubeadm, strlen(kubeadm), "/etc/k", &c,
					   &error),
			 0);
	assert_string_equal(c.server, "https://10.0.0.1:6443");
	assert_string_equal(c.tls_server_name, "api.example");
	assert_string_equal(c.proxy_url, "http://proxy:3128");
	assert_string_equal(c.ca_file, "/etc/k/pki/ca.crt");
	assert_string_equal(c.token_file,
			    "/var/run/secrets/kubernetes.io/serviceaccount/token");
	assert_string_equal(c.cert_pem, "PEM");
	assert_string_equal(c.key_file, "/etc/k/key.pem");
	assert_string_equal(c.as, "somebody");
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
	 "users.user.exec.interactiveMode: is Always, but there is nobody to ask here"},
	{USER("    exec: {command: ask, interactiveMode: IfAvailable}\n"), NULL},
	{"clusters: [{name: c, cluster: {server: 'https://me:secret@x'}}]\n"
	 "contexts: [{name: k, context: {cluster: c}}]\ncurrent-context: k\n",
	 "server: has a user name in it; that is what users[].user.username and password "
	 "are for"},
	{"clusters: [{name: c, cluster: {server: 'https://x', proxy-url: "
	 "'proxy:3128'}}]\n"
	 "contexts: [{name: k, context: {cluster: c}}]\ncurrent-context: k\n",
	 "clusters.cluster.proxy-url: is none of http://, https:// and socks5://"},
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

static void test_says_what_is_wrong_with_a_kubeconfig(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		_cleanup_(kube_config_fini) struct kube_config c = {0};
		_cleanup_(freep) char *error = NULL;
		int err = kube_config_parse(cases[i].text, strlen(cases[i].text), "/k",
					    &c, &error);

		assert_int_equal(err, cases[i].error ? -EINVAL : 0);
		if (cases[i].error)
			assert_string_equal(error, cases[i].error);
	}
}

static void test_master_is_enough_alone(void **state)
{
	_cleanup_(kube_config_fini) struct kube_config c = {0};
	_cleanup_(freep) char *error = NULL;

	(void)state;
	assert_int_equal(kube_config_load(NULL, "127.0.0.1:8080", &c, &error), 0);
	assert_string_equal(c.server, "http://127.0.0.1:8080");
}

static void test_a_missing_file_is_named(void **state)
{
	struct kube_config c = {0};
	_cleanup_(freep) char *error = NULL;

	(void)state;
	assert_int_equal(kube_config_load("/nowhere/kubeconfig", NULL, &c, &error),
			 -ENOENT);
	assert_string_equal(error, "/nowhere/kubeconfig: No such file or directory");
}

static void test_outside_of_a_pod_it_says_what_to_do(void **state)
{
	struct kube_config c = {0};
	_cleanup_(freep) char *error = NULL;

	(void)state;
	unsetenv("KUBERNETES_SERVICE_HOST");
	assert_int_equal(kube_config_load(NULL, NULL, &c, &error), -ENOENT);
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
	 "it gave neither a token nor a client certificate with its key"},
	{"{\"kind\":\"ExecCredential\",\"status\":{\"token\":\"t\","
	 "\"expirationTimestamp\":\"x\"}}",
	 "its expirationTimestamp is no time"},
	{"{\"kind\":\"Pod\",\"status\":{\"token\":\"t\"}}",
	 "its output is no ExecCredential"},
	{"error: not logged in", "its output is not JSON"},
	{"{\"kind\":\"ExecCredential\",\"status\":{\"token\":\"a\\nb\"}}",
	 "its token has a line break"},
};

static void test_checks_what_a_plugin_prints(void **state)
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
		cmocka_unit_test(test_reads_what_kubeadm_writes),
		cmocka_unit_test(test_says_what_is_wrong_with_a_kubeconfig),
		cmocka_unit_test(test_master_is_enough_alone),
		cmocka_unit_test(test_a_missing_file_is_named),
		cmocka_unit_test(test_outside_of_a_pod_it_says_what_to_do),
		cmocka_unit_test(test_checks_what_a_plugin_prints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
