package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The metrics of kube-proxy 1.36.3 in nftables mode that sluice must have, too: with the same type, labels and buckets. Families
// without an event yet are not shown by kube-proxy, so type and labels are written here; where it shows them, it is
// held against this list as well.
var wanted = []struct{ name, kind, labels string }{
	{"kubeproxy_conntrack_reconciler_deleted_entries_total", "counter", "ip_family"},
	{"kubeproxy_conntrack_reconciler_sync_duration_seconds", "histogram", "ip_family le"},
	{"kubeproxy_network_programming_duration_seconds", "histogram", "ip_family le"},
	{"kubeproxy_proxy_healthz_total", "counter", "code"},
	{"kubeproxy_proxy_livez_total", "counter", "code"},
	{"kubeproxy_sync_full_proxy_rules_duration_seconds", "histogram", "ip_family le"},
	{"kubeproxy_sync_partial_proxy_rules_duration_seconds", "histogram", "ip_family le"},
	{"kubeproxy_sync_proxy_rules_duration_seconds", "histogram", "ip_family le"},
	{"kubeproxy_sync_proxy_rules_endpoint_changes_pending", "gauge", ""},
	{"kubeproxy_sync_proxy_rules_endpoint_changes_total", "counter", ""},
	{"kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds", "gauge", "ip_family"},
	{"kubeproxy_sync_proxy_rules_last_timestamp_seconds", "gauge", "ip_family"},
	{"kubeproxy_sync_proxy_rules_nftables_sync_failures_total", "counter", "ip_family"},
	{"kubeproxy_sync_proxy_rules_no_local_endpoints_total", "gauge", "ip_family traffic_policy"},
	{"kubeproxy_sync_proxy_rules_service_changes_pending", "gauge", ""},
	{"kubeproxy_sync_proxy_rules_service_changes_total", "counter", ""},
	{"process_cpu_seconds_total", "counter", ""},
	{"process_max_fds", "gauge", ""},
	{"process_open_fds", "gauge", ""},
	{"process_resident_memory_bytes", "gauge", ""},
	{"process_start_time_seconds", "gauge", ""},
	{"process_virtual_memory_bytes", "gauge", ""},
	{"process_virtual_memory_max_bytes", "gauge", ""},
	{"rest_client_requests_total", "counter", "code host method"},
}

// Families that sluice doesn't have on purpose, beside those about Go and about client-go's insides.
var leftOut = map[string]string{
	"kubernetes_build_info": "alerts compare its version with the control plane's",
	"kubeproxy_sync_proxy_rules_nftables_cleanup_failures_total": "there is no second transaction that cleans up",
}

// Families whose type differs on purpose, with ours.
var otherKind = map[string]string{
	"kubeproxy_sync_proxy_rules_no_local_endpoints_total": "untyped", // promtool wants no gauge to be called a total
}

type family struct {
	kind    string
	labels  map[string]bool // names, of all samples
	buckets []string
	samples int
}

func parseMetrics(text string) map[string]*family {
	families := map[string]*family{}
	for line := range strings.SplitSeq(text, "\n") {
		if fields := strings.Fields(line); len(fields) == 4 && fields[0] == "#" && fields[1] == "TYPE" {
			families[fields[2]] = &family{kind: fields[3], labels: map[string]bool{}}
		}
	}
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		name := line[:strings.IndexAny(line, "{ ")]
		f := familyOf(families, name)
		if f == nil {
			continue
		}
		f.samples++
		for label, value := range parseLabels(line[len(name):]) {
			f.labels[label] = true
			if label == "le" && !slices.Contains(f.buckets, value) {
				f.buckets = append(f.buckets, value)
			}
		}
	}
	return families
}

func familyOf(families map[string]*family, name string) *family {
	if f := families[name]; f != nil {
		return f
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(name, suffix); ok && families[base] != nil {
			return families[base]
		}
	}
	return nil
}

// parseLabels reads {a="b",c="d"}; no value of ours or theirs has a comma or a quote in it.
func parseLabels(text string) map[string]string {
	labels := map[string]string{}
	if !strings.HasPrefix(text, "{") {
		return labels
	}
	for pair := range strings.SplitSeq(text[1:strings.LastIndexByte(text, '}')], ",") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			labels[name] = strings.Trim(value, `"`)
		}
	}
	return labels
}

func sameMetrics(theirsText, oursText string) []string {
	var differences []string
	theirs, ours := parseMetrics(theirsText), parseMetrics(oursText)
	known := map[string]bool{}
	for _, w := range wanted {
		known[w.name] = true
		if theirs[w.name] != nil {
			differences = append(differences, holdAgainst("kube-proxy's", w.name, w.kind, w.labels, theirs[w.name])...)
		}
		if ours[w.name] == nil {
			differences = append(differences, "lacks "+w.name)
			continue
		}
		kind := w.kind
		if other := otherKind[w.name]; other != "" {
			kind = other
		}
		differences = append(differences, holdAgainst("our", w.name, kind, w.labels, ours[w.name])...)
		if theirs[w.name] != nil && !slices.Equal(theirs[w.name].buckets, ours[w.name].buckets) {
			differences = append(differences, fmt.Sprintf("%s has buckets %v, ours %v", w.name, theirs[w.name].buckets, ours[w.name].buckets))
		}
	}
	for name := range theirs {
		if strings.HasPrefix(name, "kubeproxy_") && !known[name] && leftOut[name] == "" {
			differences = append(differences, "kube-proxy has "+name+", which this test doesn't know")
		}
	}
	return differences
}

func holdAgainst(whose, name, kind, labels string, f *family) []string {
	if f.kind != kind {
		return []string{fmt.Sprintf("%s %s is a %s, not a %s", whose, name, f.kind, kind)}
	}
	// A family without a sample so far says nothing of its labels.
	if have := strings.Join(slices.Sorted(maps.Keys(f.labels)), " "); f.samples > 0 && have != labels {
		return []string{fmt.Sprintf("%s %s has the labels %q, not %q", whose, name, have, labels)}
	}
	return nil
}
