#include "proxy/control/target.h"

#include <errno.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/mem.h"

int target_parse(const char *text, struct target *ret)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	_cleanup_(freep) char *place = xstrndup(text, len);
	struct target target = {.proto = IPPROTO_TCP};

	if (slash)
		target.proto = proto_parse(slash + 1);
	if (!target.proto || addr_port_parse(place, &target.addr, &target.port) != 0)
		return -EINVAL;
	*ret = target;
	return 0;
}
