#include "proxy/host/node_name.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "core/mem.h"

int node_name_find(const char *hostname_override, char **ret)
{
	char hostname[HOST_NAME_MAX + 1] = "";
	const char *start = hostname_override;
	char *name;
	size_t len;

	if (!*start) {
		if (gethostname(hostname, sizeof(hostname) - 1) == -1)
			return -errno;
		start = hostname;
	}
	while (isspace((unsigned char)*start))
		start++;
	len = strlen(start);
	while (len && isspace((unsigned char)start[len - 1]))
		len--;
	if (!len)
		return -EINVAL;
	name = xstrndup(start, len);
	for (char *s = name; *s; s++)
		*s = (char)tolower((unsigned char)*s);
	*ret = name;
	return 0;
}
