/*
 * Where the configuration comes from: a file, --master, or what a Pod finds.
 */
#include "watchers/kube/kubeconfig.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "watchers/decode/file_text.h"
#include "watchers/kube/kubeconfig_private.h"

#define CONFIG_MAX_LEN	(1u << 20)
#define SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

static int load_file(const char *path, struct kube_config *config, char **ret_error)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	_cleanup_(freep) char *folder = xstrdup(path);
	_cleanup_(freep) char *why = NULL;
	char *slash = strrchr(folder, '/');
	int err = file_text_read(path, FILE_TEXT_PIPE, CONFIG_MAX_LEN, &text);

	if (err) {
		*ret_error =
			xasprintf("%s: %s", path,
				  err == -ESPIPE ? "not a regular file" : strerror(-err));
		return err;
	}
	if (slash)
		slash[slash == folder ? 1 : 0] = 0;
	else
		strcpy(folder, strlen(folder) ? "." : "");
	err = kube_config_parse_into(buf_string(&text), text.len, folder, config, &why);
	if (err)
		*ret_error = xasprintf("%s: %s", path, why ? why : strerror(-err));
	return err;
}

static int load_in_cluster(struct kube_config *config, char **ret_error)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");

	if (!host || !port || !*host || !*port) {
		*ret_error = xstrdup(
			"neither --kubeconfig nor --master nor --manifests given, and "
			"KUBERNETES_SERVICE_HOST and _PORT are not set: not in a Pod");
		return -ENOENT;
	}
	config->server =
		xasprintf(strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host,
			  port);
	config->token_file = xstrdup(SERVICE_ACCOUNT "/token");
	config->ca_file = xstrdup(SERVICE_ACCOUNT "/ca.crt");
	config->is_in_cluster = true;
	return 0;
}

/* Files that it names are read again and again later: at the start they must be there. */
static int check_files(const struct kube_config *c, const char *path, char **ret_error)
{
	const struct {
		const char *field, *path;
	} files[] = {
		{"certificate-authority", c->ca_pem ? NULL : c->ca_file},
		{"client-certificate", c->cert_pem ? NULL : c->cert_file},
		{"client-key", c->key_pem ? NULL : c->key_file},
		{"tokenFile", c->token_file},
	};

	for (size_t i = 0; i < N_ELEMENTS(files); i++) {
		_cleanup_(closep) int fd = -1;
		struct stat st;
		int err;

		if (!files[i].path)
			continue;
		err = file_text_open(files[i].path, FILE_TEXT_FILE, &fd, &st);
		if (err == 0)
			continue;
		*ret_error =
			xasprintf("%s: %s: %s: %s",
				  path ? path : "the Pod's service account",
				  files[i].field, files[i].path,
				  err == -ESPIPE ? "not a regular file" : strerror(-err));
		return err;
	}
	return 0;
}

int kube_config_load(const char *path, const char *master, struct kube_config *ret,
		     char **ret_error)
{
	struct kube_config config = {0};
	int err = 0;

	if (path)
		err = load_file(path, &config, ret_error);
	else if (!master)
		err = load_in_cluster(&config, ret_error);
	if (!err && master) {
		free(config.server);
		config.server = xstrdup(master);
	}
	if (!err)
		err = kube_config_check_server(&config, ret_error);
	if (!err)
		err = check_files(&config, path, ret_error);
	if (err)
		kube_config_fini(&config);
	else
		*ret = config;
	return err;
}
