/*
 * A connection of the userspace plane whose kernel is the input: see
 * tests/unit/relay_script.h.
 */
#include "tests/unit/relay_script.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	relay_script_run(bytes, len);
	return 0;
}
