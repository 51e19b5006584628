package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// The part of `sluice plan -o json` that kube-proxy's own decisions determine.
type plan struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Node       planNode  `json:"node"`
	Services   []service `json:"services"`
	Conflicts  []any     `json:"conflicts"`
	Rejected   []any     `json:"rejected"`
}

type planNode struct {
	Name string `json:"name"`
	Zone string `json:"zone"`
}

type service struct {
	Namespace           string     `json:"namespace"`
	Name                string     `json:"name"`
	PortName            string     `json:"portName"`
	Protocol            string     `json:"protocol"`
	Family              string     `json:"family"`
	AffinitySeconds     int        `json:"affinitySeconds"`
	HealthCheckNodePort int        `json:"healthCheckNodePort"`
	LocalReadyEndpoints int        `json:"localReadyEndpoints"`
	Frontends           []frontend `json:"frontends"`
}

type frontend struct {
	Kind           string              `json:"kind"`
	Address        string              `json:"address"`
	Port           int                 `json:"port"`
	AllowedSources []string            `json:"allowedSources,omitempty"`
	From           map[string]decision `json:"from"`
}

type decision struct {
	Action     string   `json:"action"`
	Masquerade bool     `json:"masquerade"`
	Endpoints  []string `json:"endpoints"`
}

// Classes of clients: a pod of this node's pod network, this node itself, a client outside.
var sources = []string{"pod", "node", "external"}

func (s service) key() string {
	return fmt.Sprintf("%s/%s:%s/%s/%s", s.Namespace, s.Name, s.PortName, s.Protocol, s.Family)
}

func (f frontend) key() string { return fmt.Sprintf("%s %s:%d", f.Kind, f.Address, f.Port) }

func (p *plan) sort() {
	slices.SortFunc(p.Services, func(a, b service) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name),
			cmp.Compare(a.PortName, b.PortName), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Family, b.Family))
	})
	for i := range p.Services {
		slices.SortFunc(p.Services[i].Frontends, func(a, b frontend) int {
			return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Address, b.Address), cmp.Compare(a.Port, b.Port))
		})
	}
}

// differences says in one line each where got is not what want says; empty when they agree.
func differences(want, got *plan) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }

	if want.APIVersion != got.APIVersion || want.Kind != got.Kind {
		say("is a %s %s, not a %s %s", got.APIVersion, got.Kind, want.APIVersion, want.Kind)
	}
	if want.Node != got.Node {
		say("node: want %+v, got %+v", want.Node, got.Node)
	}
	if len(got.Conflicts) != 0 {
		say("conflicts: none was made, got %v", got.Conflicts)
	}
	gotServices := byKey(got.Services, service.key, say)
	order := func(s service) string {
		return strings.Join([]string{s.Namespace, s.Name, s.PortName, s.Protocol, s.Family}, "\x00")
	}
	if !slices.IsSortedFunc(got.Services, func(a, b service) int { return strings.Compare(order(a), order(b)) }) {
		say("services are not in order")
	}
	for _, w := range want.Services {
		g, found := gotServices[w.key()]
		if !found {
			say("%s: missing", w.key())
			continue
		}
		delete(gotServices, w.key())
		serviceDifferences(w, g, say)
	}
	for key := range gotServices {
		say("%s: not expected", key)
	}
	return out
}

func serviceDifferences(want, got service, say func(string, ...any)) {
	number := func(what string, w, g int) {
		if w != g {
			say("%s: %s: want %d, got %d", want.key(), what, w, g)
		}
	}
	number("affinitySeconds", want.AffinitySeconds, got.AffinitySeconds)
	number("healthCheckNodePort", want.HealthCheckNodePort, got.HealthCheckNodePort)
	number("localReadyEndpoints", want.LocalReadyEndpoints, got.LocalReadyEndpoints)

	frontends := byKey(got.Frontends, frontend.key, say)
	for _, w := range want.Frontends {
		g, found := frontends[w.key()]
		where := want.key() + " " + w.key()
		if !found {
			say("%s: missing", where)
			continue
		}
		delete(frontends, w.key())
		if w.Kind == "LoadBalancer" && !slices.Equal(sorted(w.AllowedSources), sorted(g.AllowedSources)) {
			say("%s: allowedSources: want %v, got %v", where, w.AllowedSources, g.AllowedSources)
		}
		for _, source := range sources {
			wd, gd := w.From[source], g.From[source]
			if wd.Action != gd.Action || wd.Masquerade != gd.Masquerade || !slices.Equal(wd.Endpoints, gd.Endpoints) {
				say("%s from %s: want %+v, got %+v", where, source, wd, gd)
			}
		}
	}
	for key := range frontends {
		say("%s %s: not expected", want.key(), key)
	}
}

func byKey[T any](list []T, key func(T) string, say func(string, ...any)) map[string]T {
	out := make(map[string]T, len(list))
	for _, item := range list {
		if _, twice := out[key(item)]; twice {
			say("%s: stands twice", key(item))
		}
		out[key(item)] = item
	}
	return out
}

func sorted(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return slices.Compact(out)
}
