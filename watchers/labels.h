/*
 * Labels of Services, for `get -l`.  An object keeps a hash of each "key=value" alone:
 * 8 bytes instead of the texts.  Two different labels have one hash with a probability
 * of 2^-64.  It is the same in every process, because the saved objects have it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LABELS_MAX_TERMS 16

struct label_selector { /* a plain value; {0} selects everything */
	struct label_term {
		uint64_t hash;
		bool is_excluded; /* key!=value */
	} terms[LABELS_MAX_TERMS];
	size_t n_terms;
};

/* The hash of one label. */
uint64_t label_hash(const char *key, size_t key_len, const char *value, size_t value_len);
/* "a=b,c==d,e!=f"; 0, or -EINVAL if the text is something else. */
int label_selector_parse(const char *text, struct label_selector *ret);
/* Do the labels of these hashes meet each term? */
bool label_selector_matches(const struct label_selector *s, const uint64_t *hashes,
			    size_t n);
