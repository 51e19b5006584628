/*
 * Reads the configuration from a kubeconfig, --master, or a Pod's environment
 * and service account.
 */
#include "watchers/kube/kubeconfig.h"

#include <errno.h>
#include <nettle/sha2.h>
#include <string.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "watchers/decode/file_text.h"
#include "watchers/kube/kubeconfig_private.h"

#define CONFIG_MAX_LEN	(1u << 20)
#define SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"
#define FILE_MAX_LEN	(4u << 20)

static int load_file(const char *path, struct kube_config *config, char **ret_error)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	_cleanup_(freep) char *folder = xstrdup(path);
	_cleanup_(freep) char *why = NULL;
	char *slash = strrchr(folder, '/');
	int err = file_text_read(path, FILE_TEXT_PIPE, CONFIG_MAX_LEN, &text);

	if (err) {
		*ret_error = xasprintf("%s: %s", path, file_text_error(err));
		return err;
	}
	if (slash)
		slash[slash == folder ? 1 : 0] = 0;
	else
		strcpy(folder, strlen(folder) ? "." : "");
	err = kube_config_parse(buf_string(&text), text.len, folder, config, &why);
	if (err)
		*ret_error = xasprintf("%s: %s", path, why ? why : strerror(-err));
	return err;
}

static const char *or_null(const char *text)
{
	return text && *text ? text : NULL;
}

static int load_in_cluster(const char *service_account, struct kube_config *config,
			   char **ret_error)
{
	const char *host = or_null(getenv("KUBERNETES_SERVICE_HOST"));
	const char *port = or_null(getenv("KUBERNETES_SERVICE_PORT"));

	if (!host || !port) {
		*ret_error = xstrdup(
			"none of --kubeconfig, --master and --manifests is given, and "
			"KUBERNETES_SERVICE_HOST and _PORT are not set: not in a Pod");
		return -ENOENT;
	}
	config->server =
		xasprintf(strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host,
			  port);
	config->token_file = xasprintf("%s/token", service_account);
	config->ca_file = xasprintf("%s/ca.crt", service_account);
	config->is_in_cluster = true;
	return 0;
}

/* client-go has no credentials with --master alone, even in a Pod. */
static bool use_service_account(const char *master, const char *service_account)
{
	_cleanup_(freep) char *token = xasprintf("%s/token", service_account);

	return !strncmp(master, "https://", 8) &&
	       or_null(getenv("KUBERNETES_SERVICE_HOST")) &&
	       or_null(getenv("KUBERNETES_SERVICE_PORT")) && !access(token, F_OK);
}

/* These files are read again later; at the start they must be readable. */
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
		_cleanup_(buf_fini) struct buf text = BUF_INIT;
		int err = files[i].path ? file_text_read(files[i].path, FILE_TEXT_FILE,
							 FILE_MAX_LEN, &text)
					: 0;

		if (!err)
			continue;
		*ret_error =
			xasprintf("%s: %s: %s: %s",
				  path ? path : "the Pod's service account",
				  files[i].field, files[i].path, file_text_error(err));
		return err;
	}
	return 0;
}

int kube_config_load(const char *path, const char *master, const char *service_account,
		     struct kube_config *ret, char **ret_error)
{
	struct kube_config config = {0};
	int err = 0;

	if (!service_account)
		service_account = SERVICE_ACCOUNT;
	if (path)
		err = load_file(path, &config, ret_error);
	else if (!master || use_service_account(master, service_account))
		err = load_in_cluster(service_account, &config, ret_error);
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

char *kube_config_identity(const struct kube_config *c)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	uint8_t digest[SHA256_DIGEST_SIZE];
	struct sha256_ctx sha;

	if (c->ca_pem)
		buf_add_string(&text, c->ca_pem);
	else if (!c->ca_file ||
		 file_text_read(c->ca_file, FILE_TEXT_FILE, FILE_MAX_LEN, &text) != 0)
		return xstrdup(c->server); /* by the system's authorities */
	sha256_init(&sha);
	sha256_update(&sha, text.len, (const uint8_t *)text.data);
	sha256_digest(&sha, sizeof(digest), digest);
	return xasprintf("%s %02x%02x%02x%02x%02x%02x%02x%02x", c->server, digest[0],
			 digest[1], digest[2], digest[3], digest[4], digest[5], digest[6],
			 digest[7]);
}
