#include "core/utf8.h"

#include "core/buf.h"

size_t utf8_read(const char *text, uint32_t *ret)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	uint32_t c = n == 1 ? s[0] : s[0] & (0x7fu >> n);

	/* overlong forms, surrogates, beyond U+10FFFF */
	if (n > 1 && (s[0] < 0xc2 || s[0] > 0xf4 || (s[0] == 0xe0 && s[1] < 0xa0) ||
		      (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
		      (s[0] == 0xf4 && s[1] > 0x8f)))
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	*ret = c;
	return n;
}

bool utf8_is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e ||
	       c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069);
}

char *utf8_clean(const char *text)
{
	struct buf clean = BUF_INIT;
	uint32_t c = 0;

	for (size_t n; *text; text += n ? n : 1) {
		n = utf8_read(text, &c);
		if (n == 0 || utf8_is_control(c))
			buf_add_string(&clean, UTF8_REPLACEMENT);
		else
			buf_add(&clean, text, n);
	}
	return buf_take(&clean);
}
