/*
 * SHA-256 comes from nettle, which is linked for base64 already.  core/hash can't
 * give these names: its seed differs in each process.
 */
#include "rules/iptables/iptables_names.h"

#include <stdio.h>
#include <string.h>

#include <nettle/sha2.h>

#define HASH_TEXT_LEN 16 /* characters of five bits */

static const char *const prefixes[] = {
	[IPTABLES_SVC] = "KUBE-SVC-", [IPTABLES_SVL] = "KUBE-SVL-",
	[IPTABLES_EXT] = "KUBE-EXT-", [IPTABLES_FW] = "KUBE-FW-",
	[IPTABLES_SEP] = "KUBE-SEP-",
};

/* The first 80 bits, five at a time, as RFC 4648 writes them. */
static void format_base32(const uint8_t *digest, char ret[static HASH_TEXT_LEN + 1])
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

	for (unsigned i = 0; i < HASH_TEXT_LEN; i++) {
		unsigned bit = i * 5;
		unsigned two_bytes = (unsigned)digest[bit / 8] << 8 | digest[bit / 8 + 1];

		ret[i] = alphabet[two_bytes >> (11 - bit % 8) & 31];
	}
	ret[HASH_TEXT_LEN] = '\0';
}

static void add_text(struct sha256_ctx *hash, const char *text)
{
	sha256_update(hash, strlen(text), (const uint8_t *)text);
}

const char *iptables_proto(uint8_t proto)
{
	return proto == IPPROTO_TCP ? "tcp" : proto == IPPROTO_UDP ? "udp" : "sctp";
}

struct iptables_chain iptables_chain_name(enum iptables_prefix prefix,
					  const struct service *s, const char *what)
{
	uint8_t digest[SHA256_DIGEST_SIZE];
	char text[HASH_TEXT_LEN + 1];
	struct iptables_chain chain;
	struct sha256_ctx hash;

	sha256_init(&hash);
	add_text(&hash, service_namespace(s));
	add_text(&hash, "/");
	add_text(&hash, service_name(s));
	if (*service_port_name(s)) {
		add_text(&hash, ":");
		add_text(&hash, service_port_name(s));
	}
	add_text(&hash, iptables_proto(s->proto));
	add_text(&hash, what);
	sha256_digest(&hash, sizeof(digest), digest);
	format_base32(digest, text);
	(void)snprintf(chain.name, sizeof(chain.name), "%s%s", prefixes[prefix], text);
	return chain;
}

struct iptables_chain iptables_endpoint_chain(const struct service *s,
					      const struct endpoint *e)
{
	char text[ADDR_PORT_TEXT_LEN];

	return iptables_chain_name(IPTABLES_SEP, s,
				   addr_port_format(&e->addr, e->port, text));
}
