#include "rules/iptables/iptables_table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "rules/iptables/iptables_names.h"

#define COMMENT_TEXT_LEN 255 /* the kernel's limit, without the NUL */

/* For both is last. */
static const char *const family_marks[] = {"-4 ", "-6 ", ""};

static uint64_t name_hash(const void *key)
{
	return hash_string(key);
}

static bool name_equal(const void *item, const void *key)
{
	return strcmp(item, key) == 0;
}

static const struct hash_ops name_ops = {
	.hash = name_hash,
	.equal = name_equal,
};

void iptables_table_init(struct iptables_table *t)
{
	*t = (struct iptables_table){0};
	hash_init(&t->names, &name_ops);
}

void iptables_table_fini(struct iptables_table *t)
{
	char *name;

	for (size_t i = 0; (name = hash_next(&t->names, &i));)
		free(name);
	hash_fini(&t->names);
	buf_fini(&t->chains);
	buf_fini(&t->rules);
}

void iptables_table_add_chain(struct iptables_table *t, const char *chain)
{
	if (hash_find(&t->names, chain))
		return;
	(void)hash_put(&t->names, xstrdup(chain));
	buf_printf(&t->chains, ":%s - [0:0]\n", chain);
}

void iptables_table_add_rule(struct iptables_table *t, enum family family,
			     const char *chain, const char *fmt, ...)
{
	va_list ap;

	buf_printf(&t->rules, "%s-A %s ", family_marks[family], chain);
	va_start(ap, fmt);
	buf_vprintf(&t->rules, fmt, ap);
	va_end(ap);
	buf_add_char(&t->rules, '\n');
}

void iptables_table_write(const struct iptables_table *t, const char *name,
			  struct buf *out)
{
	buf_printf(out, "*%s\n%s%sCOMMIT\n", name, buf_string(&t->chains),
		   buf_string(&t->rules));
}

/* Names were checked when they were decoded; this keeps any text on one line. */
static char comment_char(char c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
		return c;
	return c && strchr("/:.-_ ", c) ? c : '?';
}

const char *iptables_comment(const struct service *s, const char *what,
			     char buf[static IPTABLES_COMMENT_LEN])
{
	char label[COMMENT_TEXT_LEN + 1], text[COMMENT_TEXT_LEN + 1];

	(void)service_label(s, label, sizeof(label));
	/* Names in Kubernetes are not longer than this. */
	(void)snprintf(text, sizeof(text), "%.195s%s%.59s", label, *what ? " " : "",
		       what);
	for (char *c = text; *c; c++)
		*c = comment_char(*c);
	(void)snprintf(buf, IPTABLES_COMMENT_LEN, "-m comment --comment \"%s\"", text);
	return buf;
}

const char *iptables_match_frontend(const struct service *s, const struct frontend *f,
				    const char *what, char buf[static IPTABLES_MATCH_LEN])
{
	char comment[IPTABLES_COMMENT_LEN], addr[ADDR_TEXT_LEN];
	bool is_everywhere = frontend_is_everywhere(f);
	const char *proto = iptables_proto(s->proto);

	(void)snprintf(buf, IPTABLES_MATCH_LEN, "%s%s%s -p %s -m %s --dport %u",
		       iptables_comment(s, what, comment), is_everywhere ? "" : " -d ",
		       is_everywhere ? "" : addr_format(&f->addr, addr), proto, proto,
		       f->port);
	return buf;
}

void iptables_table_add_jumps(struct iptables_table *t, const struct environment *env,
			      const char *from, const char *to)
{
	char addr[ADDR_TEXT_LEN];

	for (enum family family = 0; family < FAMILY_N; family++)
		for (size_t i = 0;
		     env->enabled[family] && i < env->n_node_addresses[family]; i++)
			iptables_table_add_rule(
				t, family, from, "-d %s -j %s",
				addr_format(&env->node_addresses[family][i], addr), to);
}
