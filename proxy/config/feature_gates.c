#include "proxy/config/feature_gates.h"

#include <stdbool.h>
#include <string.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "proxy/config/config.h"

static bool has_effect(const char *gate, size_t len)
{
	static const char *const names[] = {GATE_EXTERNAL_IPS, GATE_SAME_TRAFFIC};

	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		if (strlen(names[i]) == len && !strncmp(gate, names[i], len))
			return true;
	return false;
}

char *feature_gates_unused(const struct config *c)
{
	struct buf text = BUF_INIT;

	for (size_t i = 0; i < c->feature_gates.n; i++) {
		const char *gate = c->feature_gates.items[i];
		size_t len = strcspn(gate, "=");

		if (!has_effect(gate, len))
			buf_printf(&text, "%s%.*s", text.len ? ", " : "", (int)len, gate);
	}
	return buf_take(&text);
}
