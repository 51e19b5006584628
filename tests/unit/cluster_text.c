#include "tests/unit/cluster_text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/mem.h"
#include "tests/test.h"
#include "watchers/decode/decode.h"
#include "watchers/decode/document.h"

struct put {
	struct cluster *cluster;
	size_t n_changed;
};

static void put_object(void *data, struct object *o)
{
	struct put *put = data;

	if (cluster_put(put->cluster, o))
		put->n_changed++;
}

static void put_document(void *data, const struct document *doc)
{
	/* Text without an object is the test's own affair. */
	(void)decode_any(doc->json, "", NULL, put_object, data);
}

size_t cluster_put_text(struct cluster *cluster, const char *yaml)
{
	struct put put = {.cluster = cluster};
	_cleanup_(freep) char *error = NULL;
	/* Otherwise text that begins with { would be taken for JSON. */
	_cleanup_(freep) char *text = xasprintf("---\n%s", yaml);

	if (document_parse(text, strlen(text), put_document, &put, &error) < 0)
		fail_msg("%s", error);
	return put.n_changed;
}

size_t cluster_put_format(struct cluster *cluster, const char *format, ...)
{
	struct buf text = BUF_INIT;
	size_t n_changed;
	va_list ap;

	va_start(ap, format);
	buf_vprintf(&text, format, ap);
	va_end(ap);
	n_changed = cluster_put_text(cluster, buf_string(&text));
	buf_fini(&text);
	return n_changed;
}

static void add_endpoint(struct buf *text, char *word)
{
	size_t len = strlen(word);
	char state = word[len - 1], *node;

	if (state == '!' || state == '~')
		word[len - 1] = '\0';
	node = strchr(word, '@');
	if (node)
		*node++ = '\0';
	buf_printf(text, "- addresses: [\"%s\"]\n", word);
	if (node)
		buf_printf(text, "  nodeName: %s\n", node);
	if (state == '!')
		buf_add_string(text, "  conditions: {ready: false, serving: false}\n");
	if (state == '~')
		buf_add_string(text, "  conditions: {ready: false, serving: true,"
				     " terminating: true}\n");
}

bool cluster_put_slice(struct cluster *cluster, const char *name, const char *service,
		       const char *endpoints)
{
	_cleanup_(freep) char *copy = xstrdup(endpoints);
	struct buf text = BUF_INIT;
	char *save = NULL;
	size_t n_changed;

	buf_printf(&text,
		   "apiVersion: discovery.k8s.io/v1\n"
		   "kind: EndpointSlice\n"
		   "metadata: {name: %s, namespace: default,"
		   " labels: {kubernetes.io/service-name: %s}}\n"
		   "addressType: IPv4\n"
		   "ports: [{name: http, protocol: TCP, port: 80}]\n"
		   "endpoints:%s\n",
		   name, service, *endpoints ? "" : " []");
	for (char *word = strtok_r(copy, " ", &save); word;
	     word = strtok_r(NULL, " ", &save))
		add_endpoint(&text, word);
	n_changed = cluster_put_text(cluster, buf_string(&text));
	buf_fini(&text);
	return n_changed > 0;
}
