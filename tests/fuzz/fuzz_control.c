/*
 * Requests on the control socket: any bytes decode or are refused, and what
 * decodes survives being encoded.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/control/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct control_request request, again;
	const char *error = NULL;
	char *line;

	if (len > CONTROL_REQUEST_MAX_LEN)
		return 0;
	if (control_request_decode((const char *)bytes, len, &request, &error) != 0) {
		assert(error);
		return 0;
	}
	line = control_request_encode(&request);
	assert(control_request_decode(line, strlen(line), &again, &error) == 0);
	assert(memcmp(&request, &again, sizeof(request)) == 0);
	free(line);
	return 0;
}
