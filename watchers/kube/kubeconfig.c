/*
 * kubeconfig -> struct kube_config.  The type of every field is checked, list
 * items are found by name, and the first error is returned with its place.
 */
#include "watchers/kube/kubeconfig.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include <nettle/base64.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "watchers/decode/document.h"
#include "watchers/kube/kubeconfig_private.h"

struct parser {
	const char *folder;
	const char *section; /* "clusters[kind].cluster", for messages */
	struct kube_config *config;
	char **ret_error;
	int err; /* the first error; the rest is skipped */
	json_t *root;
};

static void refuse(struct parser *p, const char *field, const char *why)
{
	if (p->err)
		return;
	p->err = -EINVAL;
	*p->ret_error =
		xasprintf("%s%s%s: %s", p->section, *field ? "." : "", field, why);
}

/* The field if it is of this type, "is not a …"; NULL when absent or null. */
static const json_t *read_field(struct parser *p, const json_t *object, const char *field,
				json_type type, const char *why)
{
	const json_t *value = json_object_get(object, field);

	if (!value || json_is_null(value))
		return NULL;
	if (json_typeof(value) == type)
		return value;
	refuse(p, field, why);
	return NULL;
}

static const char *read_string(struct parser *p, const json_t *object, const char *field)
{
	const char *text = json_string_value(
		read_field(p, object, field, JSON_STRING, "is not a string"));

	return text && *text ? text : NULL;
}

static void copy_string(struct parser *p, const json_t *object, const char *field,
			char **ret)
{
	const char *text = read_string(p, object, field);

	if (!text)
		return;
	if (strpbrk(text, "\r\n"))
		refuse(p, field, "has a line break");
	else
		*ret = xstrdup(text);
}

static void copy_path(struct parser *p, const json_t *object, const char *field,
		      char **ret)
{
	const char *text = read_string(p, object, field);

	if (!text)
		return;
	if (*text == '/' || !*p->folder)
		*ret = xstrdup(text);
	else
		*ret = xasprintf("%s/%s", p->folder, text);
}

static void copy_base64(struct parser *p, const json_t *object, const char *field,
			char **ret)
{
	const char *text = read_string(p, object, field);
	struct base64_decode_ctx ctx;
	_cleanup_(freep) uint8_t *out = NULL;
	size_t len;

	if (!text)
		return;
	len = BASE64_DECODE_LENGTH(strlen(text));
	out = xcalloc(1, len + 1);
	base64_decode_init(&ctx);
	if (!base64_decode_update(&ctx, &len, out, strlen(text), text) ||
	    !base64_decode_final(&ctx) || memchr(out, 0, len)) {
		refuse(p, field, "is not base64 of PEM text");
		return;
	}
	out[len] = 0;
	*ret = (char *)take_ptr(out);
}

static bool read_bool(struct parser *p, const json_t *object, const char *field)
{
	const json_t *value = json_object_get(object, field);

	if (!value || json_is_null(value))
		return false;
	if (!json_is_boolean(value))
		refuse(p, field, "is neither true nor false");
	return json_is_true(value);
}

/* A list of strings -> NULL-terminated array, NULL when absent. */
static char **copy_list(struct parser *p, const json_t *object, const char *field)
{
	const json_t *list = read_field(p, object, field, JSON_ARRAY, "is not a list");
	const json_t *item;
	char **out;
	size_t i;

	if (!list)
		return NULL;
	out = xcalloc(json_array_size(list) + 1, sizeof(*out));
	json_array_foreach(list, i, item)
	{
		if (!json_is_string(item))
			refuse(p, field, "has an item that is not a string");
		out[i] = xstrdup(json_is_string(item) ? json_string_value(item) : "");
	}
	return out;
}

static char **copy_env(struct parser *p, const json_t *exec)
{
	const json_t *list = json_object_get(exec, "env");
	const json_t *item;
	char **out;
	size_t i;

	if (!json_is_array(list))
		return NULL;
	out = xcalloc(json_array_size(list) + 1, sizeof(*out));
	json_array_foreach(list, i, item)
	{
		const char *name = read_string(p, item, "name");
		const char *value = read_string(p, item, "value");

		if (!name)
			refuse(p, "exec.env", "has an item without a name");
		out[i] = xasprintf("%s=%s", name ? name : "", value ? value : "");
	}
	return out;
}

/* Characters that a header's name can't contain are escaped, as client-go does ("example.org/why"). */
static char *extra_header(const char *key, const char *value)
{
	static const char plain[] = "!#$&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz";
	struct buf line = BUF_INIT;

	for (; *key; key++) {
		char c = (char)tolower((unsigned char)*key);

		if (strchr(plain, c))
			buf_add_char(&line, c);
		else
			buf_printf(&line, "%%%02x", (unsigned char)c);
	}
	buf_printf(&line, ": %s", value);
	return buf_take(&line);
}

static char **copy_extra(struct parser *p, const json_t *user)
{
	json_t *extra = json_object_get(user, "as-user-extra");
	char **out = NULL;
	size_t n = 0, cap = 0;
	const char *key;
	json_t *values;

	if (!json_is_object(extra))
		return NULL;
	json_object_foreach(extra, key, values)
	{
		const json_t *value;
		size_t i;

		json_array_foreach(values, i, value)
		{
			if (!json_is_string(value))
				continue;
			out = xgrow(out, n, &cap, sizeof(*out));
			out[n++] = extra_header(key, json_string_value(value));
			if (strpbrk(out[n - 1], "\r\n"))
				refuse(p, "as-user-extra", "has a line break");
		}
	}
	out = xgrow(out, n, &cap, sizeof(*out));
	out[n] = NULL;
	return out;
}

static void read_exec(struct parser *p, const json_t *user)
{
	const json_t *exec = read_field(p, user, "exec", JSON_OBJECT, "is not an object");
	struct kube_exec *e;
	const char *mode;

	if (!exec)
		return;
	e = p->config->exec = xcalloc(1, sizeof(*e));
	copy_string(p, exec, "command", &e->command);
	copy_string(p, exec, "apiVersion", &e->api_version);
	copy_string(p, exec, "installHint", &e->install_hint);
	e->args = copy_list(p, exec, "args");
	e->env = copy_env(p, exec);
	e->provide_cluster_info = read_bool(p, exec, "provideClusterInfo");
	mode = read_string(p, exec, "interactiveMode");
	if (mode && !strcmp(mode, "Always"))
		refuse(p, "exec.interactiveMode",
		       "is Always, but a daemon has no terminal to ask on");
	if (!e->command)
		refuse(p, "exec.command", "is missing");
	else if (strchr(e->command, '/') && *e->command != '/' && *p->folder) {
		char *full = xasprintf("%s/%s", p->folder, e->command);

		free(e->command);
		e->command = full;
	}
}

static void check_proxy(struct parser *p, const char *url)
{
	static const char *const schemes[] = {"http://", "https://", "socks5://"};

	for (size_t i = 0; url && i < N_ELEMENTS(schemes); i++)
		if (!strncmp(url, schemes[i], strlen(schemes[i])))
			return;
	if (url)
		refuse(p, "proxy-url",
		       "does not start with http://, https:// or socks5://");
}

static void read_cluster(struct parser *p, const json_t *cluster)
{
	struct kube_config *c = p->config;

	copy_string(p, cluster, "server", &c->server);
	copy_string(p, cluster, "tls-server-name", &c->tls_server_name);
	copy_string(p, cluster, "proxy-url", &c->proxy_url);
	c->insecure = read_bool(p, cluster, "insecure-skip-tls-verify");
	c->disable_compression = read_bool(p, cluster, "disable-compression");
	copy_path(p, cluster, "certificate-authority", &c->ca_file);
	copy_base64(p, cluster, "certificate-authority-data", &c->ca_pem);
	check_proxy(p, c->proxy_url);
	if (c->insecure && (c->ca_file || c->ca_pem))
		refuse(p, "insecure-skip-tls-verify",
		       "contradicts certificate-authority: leave one of them out");
}

static void read_user(struct parser *p, const json_t *user)
{
	struct kube_config *c = p->config;

	if (json_object_get(user, "auth-provider"))
		refuse(p, "auth-provider",
		       "is no longer supported by Kubernetes; use exec instead");
	copy_path(p, user, "client-certificate", &c->cert_file);
	copy_base64(p, user, "client-certificate-data", &c->cert_pem);
	copy_path(p, user, "client-key", &c->key_file);
	copy_base64(p, user, "client-key-data", &c->key_pem);
	copy_string(p, user, "token", &c->token);
	copy_path(p, user, "tokenFile", &c->token_file);
	copy_string(p, user, "username", &c->username);
	copy_string(p, user, "password", &c->password);
	copy_string(p, user, "as", &c->as);
	copy_string(p, user, "as-uid", &c->as_uid);
	c->as_groups = copy_list(p, user, "as-groups");
	for (char **g = c->as_groups; g && *g; g++)
		if (strpbrk(*g, "\r\n"))
			refuse(p, "as-groups", "has a line break");
	c->as_extra = copy_extra(p, user);
	read_exec(p, user);
	if ((c->cert_file || c->cert_pem) && !c->key_file && !c->key_pem)
		refuse(p, "client-key", "is missing, but there is a client-certificate");
}

/* root[list][].name == name -> its [field], or NULL with an error. */
static const json_t *find_named(struct parser *p, const char *list, const char *name,
				const char *field)
{
	const json_t *items = json_object_get(p->root, list);
	_cleanup_(freep) char *why = NULL;
	const json_t *item;
	size_t i;

	json_array_foreach(items, i, item)
	{
		const json_t *its = json_object_get(item, "name");
		const json_t *value = json_object_get(item, field);

		if (json_is_string(its) && !strcmp(json_string_value(its), name) &&
		    json_is_object(value))
			return value;
	}
	p->section = list;
	why = xasprintf("has none named \"%s\"", name);
	refuse(p, "", why);
	return NULL;
}

static void read_contexts(struct parser *p)
{
	const char *current, *cluster = NULL, *user = NULL;
	const json_t *object;

	p->section = "current-context";
	current = read_string(p, p->root, "current-context");
	if (!current && json_array_size(json_object_get(p->root, "contexts")) == 0) {
		refuse(p, "", "is missing");
		return;
	}
	if (!current) {
		const json_t *only =
			json_array_get(json_object_get(p->root, "contexts"), 0);

		current = read_string(p, only, "name");
	}
	object = current ? find_named(p, "contexts", current, "context") : NULL;
	if (!object)
		return;
	p->section = "contexts";
	cluster = read_string(p, object, "cluster");
	user = read_string(p, object, "user");
	object = cluster ? find_named(p, "clusters", cluster, "cluster") : NULL;
	if (object) {
		p->section = "clusters.cluster";
		read_cluster(p, object);
	}
	object = user && !p->err ? find_named(p, "users", user, "user") : NULL;
	if (object) {
		p->section = "users.user";
		read_user(p, object);
	}
}

static void keep_first(void *data, const struct document *doc)
{
	struct parser *p = data;

	if (doc->number == 1)
		p->root = json_incref(doc->json);
}

int kube_config_check_server(struct kube_config *c, char **ret_error)
{
	size_t len;

	if (!c->server) {
		*ret_error = xstrdup("clusters.cluster.server: is missing");
		return -EINVAL;
	}
	if (!strstr(c->server, "://")) {
		char *full = xasprintf("http://%s", c->server);

		free(c->server);
		c->server = full;
	}
	/* It is written to logs and metrics. */
	if (strchr(c->server, '@')) {
		*ret_error = xstrdup("server: has a user name in it; that is what "
				     "users[].user.username and password are for");
		return -EINVAL;
	}
	if (strncmp(c->server, "https://", 8) && strncmp(c->server, "http://", 7)) {
		*ret_error = xasprintf("server: \"%s\" is neither http:// nor https://",
				       c->server);
		return -EINVAL;
	}
	for (len = strlen(c->server); len && c->server[len - 1] == '/'; len--)
		c->server[len - 1] = 0;
	return 0;
}

int kube_config_parse(const char *bytes, size_t len, const char *folder,
		      struct kube_config *config, char **ret_error)
{
	struct parser p = {.folder = folder,
			   .section = "",
			   .config = config,
			   .ret_error = ret_error};
	int err = document_parse(bytes, len, keep_first, &p, ret_error);

	if (!err && !json_is_object(p.root)) {
		*ret_error = xstrdup("is not a kubeconfig: no object in it");
		err = -EINVAL;
	}
	if (!err) {
		read_contexts(&p);
		err = p.err;
	}
	json_decref(p.root);
	return err;
}

static void free_list(char **list)
{
	for (char **p = list; p && *p; p++)
		free(*p);
	free(list);
}

void kube_config_fini(struct kube_config *c)
{
	char *strings[] = {
		c->server,     c->tls_server_name, c->proxy_url, c->ca_file, c->ca_pem,
		c->cert_file,  c->cert_pem,	   c->key_file,	 c->key_pem, c->token,
		c->token_file, c->username,	   c->password,	 c->as,	     c->as_uid};

	for (size_t i = 0; i < N_ELEMENTS(strings); i++)
		free(strings[i]);
	free_list(c->as_groups);
	free_list(c->as_extra);
	if (c->exec) {
		free(c->exec->command);
		free(c->exec->api_version);
		free(c->exec->install_hint);
		free_list(c->exec->args);
		free_list(c->exec->env);
		free(c->exec);
	}
	*c = (struct kube_config){0};
}
