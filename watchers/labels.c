#include "watchers/labels.h"

#include <errno.h>
#include <string.h>

#include "core/hash.h"

uint64_t label_hash(const char *key, size_t key_len, const char *value, size_t value_len)
{
	const uint64_t parts[] = {hash_stable(key, key_len),
				  hash_stable(value, value_len)};

	return hash_stable(parts, sizeof(parts));
}

/* "key=value", "key==value" or "key!=value" */
static int parse_term(const char *text, size_t len, struct label_term *ret)
{
	const char *equal = memchr(text, '=', len), *value;
	size_t key_len;

	if (!equal || equal == text)
		return -EINVAL;
	ret->is_excluded = equal[-1] == '!';
	key_len = (size_t)(equal - text) - ret->is_excluded;
	value = equal + 1;
	if (!ret->is_excluded && value < text + len && *value == '=')
		value++;
	if (!key_len || memchr(value, '=', (size_t)(text + len - value)))
		return -EINVAL;
	ret->hash = label_hash(text, key_len, value, (size_t)(text + len - value));
	return 0;
}

int label_selector_parse(const char *text, struct label_selector *ret)
{
	struct label_selector s = {.n_terms = 0};

	while (*text) {
		size_t len = strcspn(text, ",");

		if (s.n_terms == LABELS_MAX_TERMS ||
		    parse_term(text, len, &s.terms[s.n_terms++]) != 0)
			return -EINVAL;
		text += len;
		if (*text && !*++text)
			return -EINVAL; /* a comma at the end */
	}
	*ret = s;
	return 0;
}

static bool has_label(const uint64_t *hashes, size_t n, uint64_t hash)
{
	for (size_t i = 0; i < n; i++)
		if (hashes[i] == hash)
			return true;
	return false;
}

bool label_selector_matches(const struct label_selector *s, const uint64_t *hashes,
			    size_t n)
{
	for (size_t i = 0; i < s->n_terms; i++)
		if (has_label(hashes, n, s->terms[i].hash) == s->terms[i].is_excluded)
			return false;
	return true;
}
