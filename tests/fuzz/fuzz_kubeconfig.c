/*
 * Any bytes as a kubeconfig, and as the output of a credential plugin.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/cleanup.h"
#include "watchers/kube/exec_plugin.h"
#include "watchers/kube/kubeconfig.h"
#include "watchers/kube/kubeconfig_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct exec_credential credential;
	struct kube_config config = {0};
	_cleanup_(freep) char *error = NULL;
	const char *why;
	void *keep;

	if (kube_config_parse((const char *)bytes, len, "/k", &config, &error) == 0)
		(void)kube_config_check_server(&config, &error);
	kube_config_fini(&config);
	if (exec_credential_parse((const char *)bytes, len, &keep, &credential, &why) ==
	    0)
		json_decref(keep);
	return 0;
}
