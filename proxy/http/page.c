/*
 * The style and the script stand in the page, so the policy allows exactly these two, by
 * a number that is new for each answer (Content Security Policy Level 3, nonces).
 */
#include "proxy/http/page.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "core/cleanup.h"
#include "proxy/http/http_server.h"

#define NONCE_PLACE "@NONCE@"
#define NONCE_LEN   16 /* bytes */

/* PAGE_HTML is the path of page.html */
__asm__(".section .rodata\n"
	"page_html:\n"
	".incbin \"" PAGE_HTML "\"\n"
	".byte 0\n"
	".previous\n");
extern const char page_html[] __attribute__((visibility("hidden")));

static bool make_nonce(char ret[2 * NONCE_LEN + 1])
{
	unsigned char bytes[NONCE_LEN];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return false;
	for (size_t i = 0; i < sizeof(bytes); i++)
		(void)snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
	return true;
}

static void add_page(struct buf *out, const char *nonce)
{
	const char *rest = page_html, *place;

	while ((place = strstr(rest, NONCE_PLACE))) {
		buf_add(out, rest, (size_t)(place - rest));
		buf_add_string(out, nonce);
		rest = place + strlen(NONCE_PLACE);
	}
	buf_add_string(out, rest);
}

void page_reply(struct http_reply *reply)
{
	char nonce[2 * NONCE_LEN + 1];

	reply->nosniff = true;
	if (!make_nonce(nonce)) {
		reply->status = 500;
		http_reply_text(reply, "no random numbers\n");
		return;
	}
	reply->content_type = "text/html; charset=utf-8";
	reply->header_name = "Content-Security-Policy";
	(void)snprintf(reply->header_value, sizeof(reply->header_value),
		       "default-src 'none'; connect-src 'self'; img-src data:; "
		       "style-src 'nonce-%s'; script-src 'nonce-%s'; base-uri 'none'; "
		       "form-action 'none'; frame-ancestors 'none'",
		       nonce, nonce);
	add_page(&reply->body, nonce);
}
