package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	v1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/proxy"
)

// A tally counts how often each branch was taken: a comparison is worth what it covers.
type tally map[string]int

func (t tally) add(branch string) {
	if t != nil {
		t[branch]++
	}
}

func (t tally) print(w io.Writer) {
	for _, branch := range slices.Sorted(maps.Keys(t)) {
		fmt.Fprintf(w, "  %8d  %s\n", t[branch], branch)
	}
}

// endpoints counts which way the choice of endpoints went. It only watches; the choice is kube-proxy's.
func (t tally) endpoints(list []proxy.Endpoint, info proxy.ServicePort, node string, labels map[string]string) {
	if t == nil {
		return
	}
	ready, draining := 0, 0
	allNode, hasNode, allZone, hasZone := true, false, true, false
	for _, ep := range list {
		switch {
		case ep.IsReady():
			ready++
			allNode = allNode && ep.NodeHints().Len() > 0
			hasNode = hasNode || ep.NodeHints().Has(node)
			allZone = allZone && ep.ZoneHints().Len() > 0
			hasZone = hasZone || ep.ZoneHints().Has(labels[v1.LabelTopologyZone])
		case ep.IsServing() && ep.IsTerminating():
			draining++
		default:
			t.add("unusable endpoint")
		}
	}
	switch {
	case len(list) == 0:
		t.add("endpoints: none at all")
	case ready == 0 && draining == 0:
		t.add("endpoints: none usable")
	case ready == 0:
		t.add("endpoints: only draining ones")
	case allNode && hasNode:
		t.add("topology: same node")
	case allNode && allZone && hasZone:
		t.add("topology: node hints name others, same zone")
	case allZone && hasZone:
		t.add("topology: same zone")
	case allNode || allZone:
		t.add("topology: hints for elsewhere only")
	default:
		t.add("topology: none")
	}
	t.add(fmt.Sprintf("service uses cluster %v local %v", info.UsesClusterEndpoints(), info.UsesLocalEndpoints()))
}

// mustSee are the branches that a whole comparison has to go through; one that it never took is a failure.
func mustSee() []string {
	out := []string{
		"affinity ClientIP", "health check node port", "source ranges", "source ranges cover this node",
		"unusable endpoint", "endpoints: none at all", "endpoints: none usable", "endpoints: only draining ones",
		"topology: none", "topology: same node", "topology: same zone", "topology: hints for elsewhere only",
		"topology: node hints name others, same zone",
		"service uses cluster true local false", "service uses cluster true local true", "service uses cluster false local true",
	}
	for _, source := range sources {
		for _, why := range []string{"no endpoint", "policy Cluster", "policy Cluster, masqueraded", "policy Local",
			"policy Local, masqueraded", "policy Local, none here"} {
			out = append(out, "clusterIP from "+source+": "+why)
		}
	}
	for _, kind := range []string{"externalIP", "load balancer", "node port"} {
		for _, source := range sources {
			out = append(out, kind+" from "+source+": no endpoint", kind+" from "+source+": policy Cluster, masqueraded")
		}
		for _, source := range []string{"pod", "external"} {
			out = append(out, kind+" from "+source+": policy Local", kind+" from "+source+": policy Local, none here")
		}
		out = append(out, kind+" from pod: policy Local, short cut", kind+" from node: policy Local, short cut, masqueraded")
	}
	return append(out, generated...)
}
