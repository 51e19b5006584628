package main

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The random parts of EndpointSlices.

func (g *generator) podAddress(family v1.IPFamily) string {
	return g.address(family, "10.244", "fd00:244:")
}

func (g *generator) newSlice(namespace, service, name string, kind discovery.AddressType) *discovery.EndpointSlice {
	slice := &discovery.EndpointSlice{
		TypeMeta:    metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"},
		ObjectMeta:  metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": "x"}},
		AddressType: kind,
	}
	if service != "" {
		slice.Labels[discovery.LabelServiceName] = service
	}
	return slice
}

func endpointPort(name string, protocol v1.Protocol, number int32) discovery.EndpointPort {
	port := discovery.EndpointPort{Name: &name, Port: &number}
	if protocol != "" {
		port.Protocol = &protocol
	}
	return port
}

func (g *generator) makeSlices(svc *v1.Service, families []v1.IPFamily, labels map[string]string) {
	style := pick(g, "hints", "none", "none", "zones", "zones", "nodes", "both", "both", "some")
	state := pick(g, "endpoints are", "mixed", "mixed", "mixed", "ready", "draining", "useless")
	for _, family := range families {
		first := len(g.clusters.slices)
		for i := range []int{0, 1, 1, 1, 2, 2, 3}[g.IntN(7)] {
			slice := g.newSlice(svc.Namespace, svc.Name, fmt.Sprintf("%s-%s-%d", svc.Name, family[2:], i), discovery.AddressType(family))
			for key, value := range labels {
				slice.Labels[key] = value
			}
			g.slicePorts(slice, svc)
			for range g.IntN(5) {
				slice.Endpoints = append(slice.Endpoints, g.endpoint(family, style, state))
			}
			g.clusters.slices = append(g.clusters.slices, slice)
		}
		if own := g.clusters.slices[first:]; len(own) > 1 {
			g.seen.add("several slices of a service")
			g.duplicate(own[0], own[1])
		}
	}
	if g.chance(5) {
		g.seen.add("FQDN slice")
		slice := g.newSlice(svc.Namespace, svc.Name, svc.Name+"-fqdn", discovery.AddressTypeFQDN)
		g.slicePorts(slice, svc)
		slice.Endpoints = []discovery.Endpoint{{Addresses: []string{"backend.example.com"}}}
		g.clusters.slices = append(g.clusters.slices, slice)
	}
}

// slicePorts: mostly the service's, each slice with numbers of its own, as named target ports make them.
func (g *generator) slicePorts(slice *discovery.EndpointSlice, svc *v1.Service) {
	for _, port := range svc.Spec.Ports {
		switch what := pick(g, "slice port", "there", "there", "there", "there", "there", "there", "there",
			"there", "there", "there", "other number", "other number", "absent", "nil", "zero", "other protocol"); what {
		case "absent":
		case "nil":
			ep := endpointPort(port.Name, port.Protocol, 0)
			ep.Port = nil
			slice.Ports = append(slice.Ports, ep)
		case "zero":
			slice.Ports = append(slice.Ports, endpointPort(port.Name, port.Protocol, 0))
		case "other number":
			slice.Ports = append(slice.Ports, endpointPort(port.Name, port.Protocol, 9000+port.Port))
		case "other protocol":
			other := v1.ProtocolSCTP
			if port.Protocol == other {
				other = v1.ProtocolTCP
			}
			slice.Ports = append(slice.Ports, endpointPort(port.Name, other, 8000+port.Port))
		default:
			slice.Ports = append(slice.Ports, endpointPort(port.Name, port.Protocol, 8000+port.Port))
		}
	}
	if g.chance(10) {
		g.seen.add("slice port of no service port")
		slice.Ports = append(slice.Ports, endpointPort("metrics", v1.ProtocolTCP, 9100))
	}
}

func (g *generator) endpoint(family v1.IPFamily, hints, state string) discovery.Endpoint {
	ep := discovery.Endpoint{Addresses: []string{g.sloppy(g.podAddress(family))}}
	switch pick(g, "endpoint addresses", 1, 1, 1, 1, 1, 1, 1, 2, 0) {
	case 0:
		ep.Addresses = []string{}
	case 2:
		ep.Addresses = append(ep.Addresses, g.podAddress(family))
	}
	if node := pick(g, "node of an endpoint", append([]string{"none"}, g.nodes...)...); node != "none" {
		ep.NodeName = &node
	}
	choices := map[string][]string{
		"mixed":    {"ready", "ready", "nil", "not ready", "unknown serving", "draining", "draining", "gone", "ready and terminating"},
		"ready":    {"ready", "nil"},
		"draining": {"draining", "gone", "not ready"},
		"useless":  {"gone", "not ready", "unknown serving"},
	}
	ep.Conditions = conditions(pick(g, "endpoint", choices[state]...))
	g.hint(&ep, hints)
	return ep
}

func conditions(state string) discovery.EndpointConditions {
	yes, no := true, false
	switch state {
	case "nil":
		return discovery.EndpointConditions{}
	case "not ready":
		return discovery.EndpointConditions{Ready: &no, Serving: &no, Terminating: &no}
	case "unknown serving":
		return discovery.EndpointConditions{Ready: &no, Terminating: &no}
	case "draining":
		return discovery.EndpointConditions{Ready: &no, Serving: &yes, Terminating: &yes}
	case "gone":
		return discovery.EndpointConditions{Ready: &no, Serving: &no, Terminating: &yes}
	case "ready and terminating": // publishNotReadyAddresses
		return discovery.EndpointConditions{Ready: &yes, Serving: &yes, Terminating: &yes}
	}
	return discovery.EndpointConditions{Ready: &yes, Serving: &yes, Terminating: &no}
}

func (g *generator) hint(ep *discovery.Endpoint, style string) {
	if style == "none" || (style == "some" && g.chance(30)) {
		return
	}
	ep.Hints = &discovery.EndpointHints{}
	zones, nodes := style != "nodes", style == "nodes" || style == "both" || (style == "some" && g.chance(50))
	if zones {
		for _, zone := range [][]string{{"za"}, {"zb"}, {"zc"}, {"za", "zb"}, {"zd"}, {"za"}}[g.IntN(6)] {
			ep.Hints.ForZones = append(ep.Hints.ForZones, discovery.ForZone{Name: zone})
		}
	}
	if nodes {
		for range 1 + g.IntN(2) {
			ep.Hints.ForNodes = append(ep.Hints.ForNodes, discovery.ForNode{Name: g.nodes[g.IntN(len(g.nodes))]})
		}
	}
}

// duplicate puts an endpoint of one slice into another too, as happens while it moves from one to the other, and as
// happens when a new pod gets the address of one that still terminates: then the running one counts.
func (g *generator) duplicate(from, to *discovery.EndpointSlice) {
	if len(from.Endpoints) == 0 || len(from.Endpoints[0].Addresses) == 0 || !g.chance(50) {
		return
	}
	to.Ports = from.Ports
	original := &from.Endpoints[0]
	copied := *original.DeepCopy()
	if kind := pick(g, "duplicate", "same", "terminating remnant", "terminating remnant"); kind != "same" {
		original.Conditions = conditions("ready")
		copied.Conditions = conditions(pick(g, "remnant", "draining", "gone"))
		if len(g.nodes) > 0 {
			copied.NodeName = &g.nodes[g.IntN(len(g.nodes))]
		}
	}
	to.Endpoints = append(to.Endpoints, copied)
}

// The cases that the generator must have made at least once in a whole comparison.
var generated = []string{
	"duplicate: same", "duplicate: terminating remnant", "several slices of a service", "FQDN slice", "stray slice", "leading zeros",
	"slice port: nil", "slice port: zero", "slice port: other protocol", "slice port: other number", "slice port: absent",
	"service type: headless", "service type: ExternalName", "ExternalName with a cluster IP left over: true",
	"hiding label: proxy-name", "hiding label: proxy-name empty", "hiding label: headless on slices", "hiding label: headless on service",
	"families [IPv4]", "families [IPv6]", "families [IPv4 IPv6]", "families [IPv6 IPv4]", "no ipFamilies, only clusterIP",
	"one port number, TCP and UDP", "port without a name: true", "ingress: hostname", "ingress: v4 Proxy", "ingress: v6 Proxy",
	"external IP: blank", "external IP: not one", "source range: 0.0.0.0/0", "source range: ::/0", "source range: not a range",
	"affinity timeout given: false", "cluster CIDRs: 0", "cluster CIDRs: 1", "cluster CIDRs: 2", "endpoint: ready and terminating",
	"endpoint addresses: 0", "endpoint addresses: 2", "zone of a node: empty", "zone of a node: none",
}
