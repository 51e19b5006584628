package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"sluice/tests/e2e/traffic"
)

// An outcome is what a question came to, over many connections.
type outcome struct {
	Backends []string `json:"backends"` // ADDRESS:PORT of those that answered
	Sources  []string `json:"sources"`  // whom they saw: client, node, or another address
	Failure  string   `json:"failure"`  // refused, silent, or another error
	Asked    int      `json:"asked"`
	Again    int      `json:"again"` // how often it was asked from the start again
}

// A client of the test: what it is to the proxy, and its address in each family.
type client struct {
	class   string
	address map[string]string
}

// The backend is a Pod that is an endpoint itself.
var clients = map[string]client{
	"pod":     {"pod", map[string]string{"IPv4": "10.244.1.2", "IPv6": "fd00:244:1::2"}},
	"node":    {"node", map[string]string{"IPv4": "192.168.50.11", "IPv6": "fd00:50::11"}},
	"outside": {"external", map[string]string{"IPv4": "192.168.50.100", "IPv6": "fd00:50::100"}},
	"backend": {"pod", map[string]string{"IPv4": "10.244.1.10", "IPv6": "fd00:244:1::a"}},
}

// Which sources are the node's own: its addresses, and the one it has among its Pods.
var nodeAddresses = []string{"192.168.50.11", "fd00:50::11", "192.168.50.111", "fd00:50::111", "10.244.1.1", "fd00:244:1::1"}

func probe(args []string) error {
	flags := flag.NewFlagSet("probe", flag.ExitOnError)
	path := flags.String("plan", "", "what the oracle printed")
	from := flags.String("from", "", "pod, node, outside or backend")
	workers := flags.Int("workers", 16, "questions at the same time")
	_ = flags.Parse(args)

	p, err := readPlan(*path)
	if err != nil {
		return err
	}
	asker, known := clients[*from]
	if !known {
		return fmt.Errorf("-from %q", *from)
	}
	var (
		lock  sync.Mutex
		wait  sync.WaitGroup
		out   = map[string]outcome{}
		queue = make(chan question)
	)
	for range *workers {
		wait.Go(func() {
			for q := range queue {
				got := q.ask(asker.address)
				lock.Lock()
				out[q.name] = got
				lock.Unlock()
			}
		})
	}
	for _, q := range p.questions(asker) {
		queue <- q
	}
	close(queue)
	wait.Wait()
	return json.NewEncoder(os.Stdout).Encode(out)
}

// ask asks from the start again when only some of the questions met silence: on a busy machine that is how a lost datagram or
// a late answer looks. What counts is one whole round, in which each question came to the same: an answer, or that failure.
func (q question) ask(own map[string]string) outcome {
	var asked int
	for again := 0; ; again++ {
		out, failures := q.round(own)
		asked += out.Asked
		mixed := failures[traffic.Silent] > 0 && (len(failures) > 1 || len(out.Backends) != 0)
		if !mixed || again == maxAgain {
			out.Asked, out.Again = asked, again
			return out
		}
	}
}

const (
	maxAgain = 3
	timeout  = 1500 * time.Millisecond // a refusal lost to IPv6's socket lock comes again after one second
)

// round continues until one more backend has become very unlikely: the last that answers of N equal ones stays unseen for 14·N
// questions less than once in a hundred thousand times.
func (q question) round(own map[string]string) (out outcome, failures map[string]int) {
	backends, sources := map[string]bool{}, map[string]bool{}
	failures = map[string]int{}
	for since, limit := 0, 20; since < limit; since++ {
		got := traffic.Ask(q.protocol, q.target, "", timeout)
		out.Asked++
		if got.Failure != "" {
			failures[got.Failure]++
			if failures[got.Failure] >= 2 {
				break
			}
			continue
		}
		sources[classify(got.Source, own)] = true
		if !backends[got.Address] {
			backends[got.Address] = true
			since, limit = 0, max(20, 14*len(backends))
		}
	}
	out.Backends, out.Sources = slices.Sorted(maps.Keys(backends)), slices.Sorted(maps.Keys(sources))
	out.Failure = strings.Join(slices.Sorted(maps.Keys(failures)), " ")
	return out, failures
}

func classify(source string, own map[string]string) string {
	ip := netip.MustParseAddrPort(source).Addr().Unmap().String()
	switch {
	case slices.Contains(nodeAddresses, ip):
		return "node"
	case ip == own["IPv4"] || ip == own["IPv6"]:
		return "client"
	}
	return ip
}
