/*
 * Configuration files: any bytes are read, or refused with a reason, and what
 * is read can be checked.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/buf.h"
#include "proxy/config/config.h"
#include "proxy/config/config_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct buf errors = BUF_INIT;
	struct config config;
	char *error = NULL;

	config_init(&config);
	if (config_file_parse((const char *)bytes, len, "fuzz", &config, &error) == 0) {
		config_complete(&config);
		assert(config_validate(&config, &errors) == (errors.len == 0));
	} else {
		assert(error);
	}
	free(error);
	buf_fini(&errors);
	config_fini(&config);
	return 0;
}
