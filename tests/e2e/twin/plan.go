package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// The oracle's plan, as far as traffic shows it.
type plan struct {
	Services []struct {
		Namespace, Name, PortName, Protocol, Family string
		AffinitySeconds                             int
		Frontends                                   []frontend
	}
}

type frontend struct {
	Kind, Address  string
	Port           int
	AllowedSources []string
	From           map[string]decision
}

type decision struct {
	Action     string
	Masquerade bool
	Endpoints  []string
}

// A question is one frontend as a client asks it. Those without an expectation are compared between the twins only.
type question struct {
	name, protocol, target string
	sticky                 bool
	expect                 *decision
	goesBack               bool // from outside: not a port of the Service, and the node's route leads to where it came from
	limited                bool // only some sources may use it
	unused                 bool // not a port of a Service
}

// Where nodes have their node ports: on their primary addresses. The second one does not have them.
var (
	nodePortAddresses = map[string][]string{"IPv4": {"192.168.50.11"}, "IPv6": {"fd00:50::11"}}
	secondAddresses   = map[string]string{"IPv4": "192.168.50.111", "IPv6": "fd00:50::111"}
)

func readPlan(path string) (*plan, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	out := &plan{}
	return out, json.Unmarshal(text, out)
}

// questions lists what a client asks: all frontends, and some that are none.
func (p *plan) questions(c client) []question {
	var out []question
	for _, svc := range p.Services {
		if svc.Protocol == "SCTP" || svc.Name == "kubernetes" {
			continue
		}
		for _, f := range svc.Frontends {
			expected := f.From[c.class]
			if len(f.AllowedSources) != 0 && !allows(f.AllowedSources, c.address[svc.Family]) {
				expected = decision{Action: "drop"}
			}
			q := question{protocol: strings.ToLower(svc.Protocol), sticky: svc.AffinitySeconds != 0, expect: &expected, limited: len(f.AllowedSources) != 0}
			add := func(what, host string, port int) {
				q.target = netip.AddrPortFrom(netip.MustParseAddr(host), uint16(port)).String()
				q.name = fmt.Sprintf("%s/%s:%s %s %s %s", svc.Namespace, svc.Name, svc.PortName, what, q.protocol, q.target)
				out = append(out, q)
			}
			if f.Kind != "NodePort" {
				add(f.Kind, f.Address, f.Port)
			} else {
				for _, host := range nodePortAddresses[svc.Family] {
					add(f.Kind, host, f.Port)
				}
				q.expect = nil
				add("NodePort elsewhere", secondAddresses[svc.Family], f.Port)
			}
			if f.Kind == "ClusterIP" || f.Kind == "ExternalIP" {
				q.expect = nil
				q.goesBack = f.Kind == "ExternalIP"
				q.unused = true
				add(f.Kind+" no such port", f.Address, f.Port+1000)
			}
		}
	}
	for _, host := range []string{"10.111.222.111", "fd00:96::dead"} { // unassigned, of the range for Services
		out = append(out, question{name: "nobody " + host, protocol: "tcp", unused: true, target: netip.AddrPortFrom(netip.MustParseAddr(host), 80).String()})
	}
	slices.SortStableFunc(out, func(a, b question) int { return strings.Compare(a.name, b.name) })
	return out
}

func allows(ranges []string, address string) bool {
	ip := netip.MustParseAddr(address)
	return slices.ContainsFunc(ranges, func(text string) bool { return netip.MustParsePrefix(text).Contains(ip) })
}
