package main

import (
	"fmt"
	"math/rand/v2"

	v1 "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/proxy/apis"
)

// A generator makes one random cluster from a seed: the same seed, the same cluster.
// Its output is always determined: no two services claim one address and port, and of
// an endpoint that stands in two slices only one is running, for kube-proxy itself
// picks by chance otherwise.
type generator struct {
	*rand.Rand
	seen     tally
	next     int      // the last number given out for an address or a port
	nodes    []string // names that endpoints stand on; the last has no Node object
	clusters cluster
}

func generate(seed uint64, seen tally) *cluster {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1)), seen: seen}
	g.makeNodes()
	for i := range 4 + g.IntN(12) {
		g.makeService(i)
	}
	g.strays()
	return &g.clusters
}

// cidrs: the cluster CIDRs that go with this seed, both families, one, or none.
func cidrs(seed uint64, seen tally) []string {
	choices := [][]string{{"10.244.0.0/16", "fd00:244::/48"}, {"10.244.0.0/16"}, {"fd00:244::/48"}, {}}
	choice := choices[rand.New(rand.NewPCG(seed, 2)).IntN(len(choices))]
	seen.add(fmt.Sprintf("cluster CIDRs: %d", len(choice)))
	return choice
}

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func (g *generator) number() int {
	g.next++
	return g.next
}

// pick takes one at random and counts it.
func pick[T any](g *generator, what string, choices ...T) T {
	choice := choices[g.IntN(len(choices))]
	g.seen.add(fmt.Sprintf("%s: %v", what, choice))
	return choice
}

func (g *generator) makeNodes() {
	for i := range 2 + g.IntN(3) {
		node := &v1.Node{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Node"},
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%d", i), Labels: map[string]string{}},
			Status: v1.NodeStatus{Addresses: []v1.NodeAddress{
				{Type: v1.NodeHostName, Address: fmt.Sprintf("node-%d", i)},
				{Type: v1.NodeInternalIP, Address: fmt.Sprintf("192.168.0.%d", 10+i)},
				{Type: v1.NodeInternalIP, Address: fmt.Sprintf("fd00:168::%d", 10+i)},
			}},
		}
		switch zone := pick(g, "zone of a node", "za", "zb", "za", "zb", "zc", "empty", "none"); zone {
		case "none":
		case "empty":
			node.Labels[v1.LabelTopologyZone] = ""
		default:
			node.Labels[v1.LabelTopologyZone] = zone
		}
		g.clusters.nodes = append(g.clusters.nodes, node)
		g.nodes = append(g.nodes, node.Name)
	}
	g.nodes = append(g.nodes, "node-unknown")
}

func (g *generator) makeService(i int) {
	svc := &v1.Service{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: []string{"default", "kube-system", "shop"}[g.IntN(3)],
			Name:      fmt.Sprintf("svc-%d", i), Labels: map[string]string{"app": "x"},
		},
	}
	types := []string{"ClusterIP", "ClusterIP", "ClusterIP", "NodePort", "NodePort", "LoadBalancer", "LoadBalancer",
		"LoadBalancer", "headless", "ExternalName", "default"}
	kind := pick(g, "service type", types...)
	if kind != "default" && kind != "headless" {
		svc.Spec.Type = v1.ServiceType(kind)
	}
	external := kind == "NodePort" || kind == "LoadBalancer"

	families := g.addressing(svc, kind)
	g.ports(svc, external)
	g.policies(svc, external)
	if g.chance(30) {
		svc.Spec.SessionAffinity = v1.ServiceAffinityClientIP
		if pick(g, "affinity timeout given", true, false) {
			seconds := int32(1 + g.IntN(86400))
			svc.Spec.SessionAffinityConfig = &v1.SessionAffinityConfig{ClientIP: &v1.ClientIPConfig{TimeoutSeconds: &seconds}}
		}
	}
	if g.chance(30) {
		g.externalIPs(svc)
	}
	if kind == "LoadBalancer" {
		g.balancer(svc)
	}
	g.clusters.services = append(g.clusters.services, svc)
	g.makeSlices(svc, families, g.hide(svc))
}

// hide puts one of the two labels that keep objects from the proxy: on the service, on its slices, on both.
func (g *generator) hide(svc *v1.Service) map[string]string {
	onSlices := map[string]string{}
	if !g.chance(12) {
		return onSlices
	}
	switch pick(g, "hiding label", "proxy-name", "proxy-name empty", "headless on slices", "headless on service") {
	case "proxy-name":
		svc.Labels[apis.LabelServiceProxyName] = "another-proxy"
		onSlices[apis.LabelServiceProxyName] = "another-proxy"
	case "proxy-name empty":
		svc.Labels[apis.LabelServiceProxyName] = ""
		onSlices[apis.LabelServiceProxyName] = ""
	case "headless on slices":
		onSlices[v1.IsHeadlessService] = ""
	case "headless on service":
		svc.Labels[v1.IsHeadlessService] = ""
	}
	return onSlices
}

// strays adds objects without an owner: a slice without its label, one of a missing service.
func (g *generator) strays() {
	for _, owner := range []string{"", "svc-not-there"} {
		slice := g.newSlice("default", owner, "stray-"+owner, discovery.AddressTypeIPv4)
		slice.Ports = []discovery.EndpointPort{endpointPort("", v1.ProtocolTCP, 8080)}
		slice.Endpoints = []discovery.Endpoint{{Addresses: []string{g.podAddress(v1.IPv4Protocol)}}}
		g.seen.add("stray slice")
		g.clusters.slices = append(g.clusters.slices, slice)
	}
}
