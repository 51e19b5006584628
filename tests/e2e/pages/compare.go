package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Headers that say nothing about the page.
var anyHeader = []string{"Date", "Content-Length", "Connection", "Transfer-Encoding"}

// Headers whose value is another one's business.
var anyHeaderValue = []string{"Process-Start-Time-Unix"}

func (q question) compare(theirs, ours answer) []string {
	var differences []string
	if theirs.Status != ours.Status {
		return []string{fmt.Sprintf("status %d, ours is %d", theirs.Status, ours.Status)}
	}
	names := slices.Sorted(maps.Keys(theirs.Headers))
	for name := range ours.Headers {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		a, b := strings.Join(theirs.Headers[name], ", "), strings.Join(ours.Headers[name], ", ")
		if slices.Contains(anyHeaderValue, name) && a != "" && b != "" {
			continue
		}
		if a != b && !slices.Contains(anyHeader, name) {
			differences = append(differences, fmt.Sprintf("header %s: %q, ours is %q", name, a, b))
		}
	}
	if q.body != nil {
		differences = append(differences, q.body(theirs.Body, ours.Body)...)
	}
	return differences
}

func sameText(theirs, ours string) []string {
	if theirs == ours {
		return nil
	}
	return []string{fmt.Sprintf("body %q, ours is %q", shorten(theirs), shorten(ours))}
}

// sameKind is for pages that need not be there in both: JSON as JSON, anything else as text.
func sameKind(theirs, ours string) []string {
	if strings.HasPrefix(theirs, "{") {
		return sameJSON(theirs, ours)
	}
	return sameText(theirs, ours)
}

// sameTitle: what is meant for people begins with the same lines.
func sameTitle(theirs, ours string) []string {
	a, b := strings.SplitN(theirs, "\n", 4), strings.SplitN(ours, "\n", 4)
	if len(a) < 3 || len(b) < 3 {
		return sameText(theirs, ours)
	}
	return sameText(strings.Join(a[:3], "\n"), strings.Join(b[:3], "\n"))
}

func shorten(text string) string {
	if len(text) > 300 {
		return text[:300] + "…"
	}
	return text
}

// Values that are what they are: times, and where sluice differs on purpose.
var anyValue = map[string]string{
	"lastUpdated": "a time",
	"currentTime": "a time",
	"message":     "sluice has these pages for people only",
}

// Where the configuration in effect differs, the path up to there.
var anyConfig = map[string]string{
	"kubeproxy.config.k8s.io.iptables.syncPeriod":    "kube-proxy gives defaults to the section of its own mode only",
	"kubeproxy.config.k8s.io.ipvs.syncPeriod":        "likewise",
	"kubeproxy.config.k8s.io.nftables.minSyncPeriod": "sluice needs no time between two changes; kube-proxy's default is 1 s",
	"kubeproxy.config.k8s.io.nodePortAddresses":      "nothing means primary in sluice, which kube-proxy writes down",
	"kubeproxy.config.k8s.io.nodePortAddresses[0]":   "likewise",
}

// sameJSON: the same keys in the same order, the same types, the same values.
func sameJSON(theirs, ours string) []string { return compareJSON(theirs, ours, anyValue) }

func compareJSON(theirs, ours string, free map[string]string) []string {
	if theirs == "" && ours == "" {
		return nil
	}
	a, err := flatten(theirs)
	if err != nil {
		return []string{"theirs is not JSON: " + err.Error()}
	}
	b, err := flatten(ours)
	if err != nil {
		return []string{fmt.Sprintf("is not JSON: %v: %q", err, shorten(ours))}
	}
	var differences []string
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a):
			differences = append(differences, fmt.Sprintf("has %s too", b[i].path))
		case i >= len(b):
			differences = append(differences, fmt.Sprintf("lacks %s", a[i].path))
		case a[i].path != b[i].path:
			return append(differences, fmt.Sprintf("key %s, ours is %s", a[i].path, b[i].path))
		case fmt.Sprintf("%T", a[i].value) != fmt.Sprintf("%T", b[i].value):
			differences = append(differences, fmt.Sprintf("%s is a %T, ours a %T", a[i].path, a[i].value, b[i].value))
		case a[i].value != b[i].value && free[a[i].path] == "" && free[lastKey(a[i].path)] == "":
			differences = append(differences, fmt.Sprintf("%s is %v, ours is %v", a[i].path, a[i].value, b[i].value))
		}
	}
	return differences
}

func lastKey(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

type leaf struct {
	path  string
	value any // string, float64, bool, nil, or json.Delim for what opens
}

// flatten lists a document's values in order.
func flatten(text string) ([]leaf, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	var leaves []leaf
	err := flattenValue(decoder, "", &leaves)
	return leaves, err
}

func flattenValue(decoder *json.Decoder, path string, leaves *[]leaf) error {
	token, err := decoder.Token()
	if err != nil {
		return err
	}
	*leaves = append(*leaves, leaf{path, token})
	opening, isOpening := token.(json.Delim)
	if !isOpening {
		return nil
	}
	for i := 0; decoder.More(); i++ {
		inner := fmt.Sprintf("%s[%d]", path, i)
		if opening == '{' {
			key, err := decoder.Token()
			if err != nil {
				return err
			}
			inner = strings.TrimPrefix(fmt.Sprintf("%s.%v", path, key), ".")
		}
		if err := flattenValue(decoder, inner, leaves); err != nil {
			return err
		}
	}
	_, err = decoder.Token()
	return err
}

// sameConfig: the configuration in effect; the order of keys does not count.
func sameConfig(theirs, ours string) []string {
	without := func(text string) string {
		leaves, err := flatten(sortKeys(text))
		if err != nil {
			return text
		}
		kept := map[string]any{}
		for _, l := range leaves {
			if _, isOpening := l.value.(json.Delim); anyConfig[l.path] == "" && !isOpening {
				kept[l.path] = l.value
			}
		}
		shown, _ := json.Marshal(kept)
		return string(shown)
	}
	return compareJSON(without(theirs), without(ours), nil)
}

func sortKeys(text string) string {
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return text
	}
	sorted, _ := json.Marshal(value)
	return string(sorted)
}
