package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"

	"sluice/tests/e2e/traffic"
)

// compare prints where the answers that two proxies gave differ, and where either is not what the plan says.
// It ends with one line of counts.
func compare(args []string) error {
	flags := flag.NewFlagSet("compare", flag.ExitOnError)
	path := flags.String("plan", "", "what the oracle printed")
	from := flags.String("from", "", "pod, node, outside or backend")
	name := flags.String("mode", "", "of the second: one of those that differ by design")
	_ = flags.Parse(args)
	if flags.NArg() != 2 {
		return errors.New("needs two files")
	}
	p, err := readPlan(*path)
	if err != nil {
		return err
	}
	var answers [2]map[string]outcome
	for i := range answers {
		text, err := os.ReadFile(flags.Arg(i))
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, &answers[i]); err != nil {
			return err
		}
	}
	mode := modes[*name].of(*from)
	asked, again, planned, served, elsewhere, wrong := 0, 0, 0, 0, 0, 0
	complain := func(format string, args ...any) {
		wrong++
		fmt.Printf("  from %s: %s\n", *from, fmt.Sprintf(format, args...))
	}
	asker := clients[*from]
	questions := p.questions(asker)
	for _, q := range questions {
		a, b := answers[0][q.name], mode.normal(q, answers[1][q.name])
		asked += a.Asked + b.Asked
		again += a.Again + b.Again
		if a.Asked == 0 || b.Asked == 0 {
			complain("%s: was not asked", q.name)
			continue
		}
		if len(a.Backends) != 0 {
			served++
		}
		refuses := q.goesBack && *from == "outside" || mode.refusesUnused && q.unused // differences.md
		if refuses && a.Failure == traffic.Silent && b.Failure == traffic.Refused {
			continue
		}
		if !q.same(a, b, mode) {
			complain("%s: the first %s, the second %s", q.name, a, b)
		}
		if !slices.Equal(a.Sources, b.Sources) && mode.sees(a.Sources, b.Sources) {
			elsewhere++
		}
		if q.expect == nil {
			continue
		}
		planned++
		for i, got := range []outcome{a, b} {
			if why := q.unplanned(got, asker, []modeRules{{}, mode}[i]); why != "" {
				complain("%s: the %s: %s", q.name, []string{"first", "second"}[i], why)
			}
		}
	}
	if mode.source != "" && *from == "pod" && elsewhere == 0 {
		complain("no backend of the second saw another source")
	}
	fmt.Printf("from %s: %d frontends, %d of them served, %d held against the oracle, %d with another source by design, %d connections and datagrams (%d rounds again), %d differences\n",
		*from, len(questions), served, planned, elsewhere, asked, again, wrong)
	if wrong != 0 {
		os.Exit(1)
	}
	return nil
}

func (o outcome) String() string {
	out := fmt.Sprintf("%v", o.Backends)
	if len(o.Sources) != 0 {
		out += " sees " + strings.Join(o.Sources, ",")
	}
	if o.Failure != "" {
		out += " " + o.Failure
	}
	return out
}

// same: of a sticky service each twin takes one backend, by chance not the same one; each is held against the plan.
func (q question) same(a, b outcome, mode modeRules) bool {
	if q.sticky && q.expect != nil && len(a.Backends) == 1 && len(b.Backends) == 1 {
		return a.Failure == b.Failure
	}
	return slices.Equal(a.Backends, b.Backends) && mode.sees(a.Sources, b.Sources) && a.Failure == b.Failure
}

// unplanned says how an outcome is not what the plan says, or "".
func (q question) unplanned(got outcome, asker client, mode modeRules) string {
	want := outcome{Backends: q.expect.Endpoints}
	switch q.expect.Action {
	case "reject":
		want.Failure = traffic.Refused
	case "drop":
		want.Failure = traffic.Silent
	default:
		if q.sticky && len(got.Backends) == 1 && slices.Contains(want.Backends, got.Backends[0]) {
			want.Backends = got.Backends
		}
		want.Sources = q.sources(want.Backends, asker)
	}
	if slices.Equal(got.Backends, want.Backends) && mode.sees(want.Sources, got.Sources) && got.Failure == want.Failure {
		return ""
	}
	return fmt.Sprintf("the plan says %s, got %s", want, got)
}

// sources are whom these backends see: the client, or the node in its place when the plan says so, when it is the node,
// and when client and backend are one.
func (q question) sources(backends []string, asker client) []string {
	seen := map[string]bool{}
	for _, backend := range backends {
		ip := netip.MustParseAddrPort(backend).Addr().String()
		itself := ip == asker.address["IPv4"] || ip == asker.address["IPv6"]
		if q.expect.Masquerade || asker.class == "node" || itself {
			seen["node"] = true
		} else {
			seen["client"] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}
