#include "watchers/decode/yaml_mistake.h"

#include <string.h>

static const char *find_line(const char *bytes, size_t len, size_t number,
			     size_t *ret_len)
{
	const char *start = bytes, *end = bytes + len, *newline;

	for (size_t i = 0; i < number; i++) {
		newline = memchr(start, '\n', (size_t)(end - start));
		start = newline ? newline + 1 : end;
	}
	newline = memchr(start, '\n', (size_t)(end - start));
	*ret_len = (size_t)((newline ? newline : end) - start);
	return start;
}

const char *yaml_mistake_find(const char *bytes, size_t len, size_t number)
{
	size_t line_len, blank = 0;
	const char *line = find_line(bytes, len, number, &line_len);

	if (memmem(line, line_len, "{{", 2))
		return "looks like a template; render it first, as by helm template";
	while (blank < line_len && (line[blank] == ' ' || line[blank] == '\t'))
		blank++;
	if (memchr(line, '\t', blank))
		return "a tab, where YAML needs spaces";
	return NULL;
}
