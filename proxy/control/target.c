#include "proxy/control/target.h"

#include <errno.h>
#include <stdio.h>
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

/* "", or ":PORT" of a name or number. */
static int parse_port(const char *text, struct wide_target *ret)
{
	size_t len = strlen(text);

	if (!len)
		return 0;
	if (*text != ':' || len < 2 || len > sizeof(ret->port_name) ||
	    strpbrk(text + 1, "/:"))
		return -EINVAL;
	memcpy(ret->port_name, text + 1, len);
	return 0;
}

/* NAMESPACE/NAME[:PORT] */
static int parse_service(const char *text, struct wide_target *ret)
{
	const char *slash = strchr(text, '/');
	int n = -1;

	if (!slash || sscanf(text, "%253[^/:]/%253[^/:]%n", ret->ns, ret->name, &n) != 2)
		return -EINVAL;
	ret->kind = TARGET_SERVICE;
	return parse_port(text + n, ret);
}

/* NAME.NAMESPACE.svc[.DOMAIN][:PORT] */
static int parse_dns(const char *text, struct wide_target *ret)
{
	int n = -1;

	if (sscanf(text, "%253[^./:].%253[^./:].svc%n", ret->name, ret->ns, &n) != 2 ||
	    n < 0 || (text[n] && text[n] != '.' && text[n] != ':'))
		return -EINVAL;
	ret->kind = TARGET_SERVICE;
	return parse_port(text + n + strcspn(text + n, ":"), ret);
}

/* :NODEPORT[/PROTO] */
static int parse_node_port(const char *text, struct wide_target *ret)
{
	char proto[8] = "";
	unsigned port;
	int n = -1;

	if (sscanf(text, ":%5u%n", &port, &n) != 1 || port == 0 || port > UINT16_MAX)
		return -EINVAL;
	if (text[n] == '/')
		n += 1 + snprintf(proto, sizeof(proto), "%.7s", text + n + 1);
	if (text[n] || (*proto && !proto_parse(proto)))
		return -EINVAL;
	ret->kind = TARGET_NODE_PORT;
	ret->port = (uint16_t)port;
	ret->proto = *proto ? proto_parse(proto) : 0;
	return 0;
}

/* 10.96.0.1, fd00::1, [fd00::1] */
static int parse_address(const char *text, struct wide_target *ret)
{
	size_t len = strlen(text);
	bool is_bracketed = len > 2 && text[0] == '[' && text[len - 1] == ']';
	_cleanup_(freep) char *inner =
		xstrndup(text + is_bracketed, len - 2 * is_bracketed);

	ret->kind = TARGET_ADDRESS;
	return addr_parse(inner, &ret->addr);
}

int target_parse_wide(const char *text, struct wide_target *ret)
{
	static int (*const parsers[])(const char *text, struct wide_target *ret) = {
		parse_node_port, parse_address, parse_service, parse_dns};

	for (size_t i = 0; i < N_ELEMENTS(parsers); i++) {
		*ret = (struct wide_target){0};
		if (parsers[i](text, ret) == 0)
			return 0;
	}
	return -EINVAL;
}
