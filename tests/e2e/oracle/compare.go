package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A comparison runs many random clusters, each on every node, with and without masqueradeAll, through the oracle and,
// when there is a program, through that too.
type comparison struct {
	program  string
	clusters int
	first    uint64
	keep     int
	seen     tally

	plans, services, frontends, endpoints, different int
}

// all shares the clusters among the processors.
func (c *comparison) all() bool {
	var (
		next atomic.Int64
		wait sync.WaitGroup
		lock sync.Mutex
	)
	for range runtime.NumCPU() {
		wait.Go(func() {
			part := comparison{program: c.program, keep: c.keep, seen: tally{}}
			dir, err := os.MkdirTemp("", "sluice-oracle-")
			check(err)
			defer os.RemoveAll(dir)
			for i := next.Add(1) - 1; i < int64(c.clusters); i = next.Add(1) - 1 {
				part.one(dir, c.first+uint64(i))
				if (i+1)%100 == 0 {
					fmt.Fprintf(os.Stderr, "  %d clusters\n", i+1)
				}
			}
			lock.Lock()
			defer lock.Unlock()
			c.add(&part)
		})
	}
	wait.Wait()
	return c.verdict()
}

func (c *comparison) add(part *comparison) {
	for branch, n := range part.seen {
		c.seen[branch] += n
	}
	c.plans += part.plans
	c.services += part.services
	c.frontends += part.frontends
	c.endpoints += part.endpoints
	c.different += part.different
}

func (c *comparison) verdict() bool {
	ok := c.different == 0
	c.seen.print(os.Stdout)
	for _, branch := range mustSee() {
		if c.seen[branch] == 0 && c.clusters >= 500 {
			fmt.Printf("never taken: %s\n", branch)
			ok = false
		}
	}
	what := "decided"
	if c.program != "" {
		what = "compared"
	}
	fmt.Printf("oracle: %d clusters from seed %d, %d plans, %d service ports, %d frontends, %d endpoint uses, %d branches %s; %d plans differ\n",
		c.clusters, c.first, c.plans, c.services, c.frontends, c.endpoints, len(c.seen), what, c.different)
	return ok
}

func (c *comparison) one(dir string, seed uint64) {
	manifest := filepath.Join(dir, "cluster.json")
	var text bytes.Buffer
	check(generate(seed, c.seen).write(&text))
	check(os.WriteFile(manifest, text.Bytes(), 0o600))
	objects, err := read(&text) // the objects of the file, not the generated ones
	check(err)

	ranges := cidrs(seed, c.seen)
	nodes := []string{"node-unknown"}
	for _, node := range objects.nodes {
		nodes = append(nodes, node.Name)
	}
	for _, node := range nodes {
		for _, masqueradeAll := range []bool{false, true} {
			set := settings{node: node, clusterCIDRs: ranges, masqueradeAll: masqueradeAll, eitherLabel: true}
			want := expect(objects, set, c.seen)
			c.count(want)
			if c.program != "" {
				c.report(seed, set, c.ask(manifest, set, want))
			}
		}
	}
}

func (c *comparison) count(p *plan) {
	c.plans++
	c.services += len(p.Services)
	for _, svc := range p.Services {
		c.frontends += len(svc.Frontends)
		for _, f := range svc.Frontends {
			for _, d := range f.From {
				c.endpoints += len(d.Endpoints)
			}
		}
	}
}

func (s settings) flags(manifest string) []string {
	args := []string{"plan", "--manifests", manifest, "--hostname-override", s.node, "-o", "json"}
	if len(s.clusterCIDRs) != 0 {
		args = append(args, "--cluster-cidr", strings.Join(s.clusterCIDRs, ","))
	}
	if s.masqueradeAll {
		args = append(args, "--masquerade-all")
	}
	return args
}

// ask runs the program and says where its plan is another.
func (c *comparison) ask(manifest string, set settings, want *plan) []string {
	// Only for a program that hangs: beside other tests, with idle processor time, one run takes a minute.
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, c.program, set.flags(manifest)...)
	var out, errors bytes.Buffer
	command.Stdout, command.Stderr = &out, &errors
	err := command.Run()
	var got plan
	var ignored struct{ Rejected []json.RawMessage }
	if json.Unmarshal(out.Bytes(), &got) != nil || json.Unmarshal(out.Bytes(), &ignored) != nil {
		return []string{fmt.Sprintf("prints no plan: %v: %s", err, strings.TrimSpace(errors.String()))}
	}
	// Status 1 is for input that was ignored, and for that only.
	if status := command.ProcessState.ExitCode(); status != min(1, len(ignored.Rejected)) {
		return []string{fmt.Sprintf("exit status %d with %d rejected: %s", status, len(ignored.Rejected), strings.TrimSpace(errors.String()))}
	}
	return differences(want, &got)
}

func (c *comparison) report(seed uint64, set settings, lines []string) {
	if len(lines) == 0 {
		return
	}
	c.different++
	if c.different > c.keep {
		return
	}
	text := fmt.Sprintf("seed %d, again with: oracle generate -seed %d > m.json; sluice %s\n", seed, seed, strings.Join(set.flags("m.json"), " "))
	for i, line := range lines {
		if i == 10 {
			text += fmt.Sprintf("  ... and %d more\n", len(lines)-i)
			break
		}
		text += "  " + line + "\n"
	}
	fmt.Print(text) // in one write, for others print as well
}
