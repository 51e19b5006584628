package main

import (
	"fmt"
	"os/exec"
	"strings"
	"sync"
)

// A node of the test is a network namespace that routes. Its Pods hang on it by a veth each, with a host route and no bridge:
// on a bridge the answer of a neighbour would go past the node's connection tracking.
type node struct {
	name, namespace, index string
	address                string // of the node itself

	lock sync.Mutex
	last int
	used map[int]bool
}

// The Pods of node N have 10.244.N.10 to .199, and the same numbers in fd00:244:N::/64.
const firstPod, lastPod = 10, 199

func newNode(name, namespace, index string) *node {
	return &node{name: name, namespace: namespace, index: index, address: "192.168.50.1" + index, last: firstPod - 1, used: map[int]bool{}}
}

// A wire is one Pod's namespace, plugged into its node.
type wire struct {
	node              *node
	number            int
	namespace, v4, v6 string
}

// take gives the number that was free the longest, so that an address is not reused immediately.
func (n *node) take() (int, error) {
	n.lock.Lock()
	defer n.lock.Unlock()
	for range lastPod - firstPod + 1 {
		if n.last++; n.last > lastPod {
			n.last = firstPod
		}
		if !n.used[n.last] {
			n.used[n.last] = true
			return n.last, nil
		}
	}
	return 0, fmt.Errorf("node %s is full", n.name)
}

func (n *node) plug() (*wire, error) {
	number, err := n.take()
	if err != nil {
		return nil, err
	}
	w := &wire{node: n, number: number, namespace: fmt.Sprintf("%s-pod%d", n.namespace, number),
		v4: n.v4(number), v6: n.v6(number)}
	if err := n.connect(w, fmt.Sprintf("pod%d", number)); err != nil {
		w.unplug()
		return nil, err
	}
	return w, nil
}

func (w *wire) unplug() {
	_ = exec.Command("ip", "netns", "delete", w.namespace).Run() // takes the veth along; it may never have come to be
	w.node.lock.Lock()
	delete(w.node.used, w.number)
	w.node.lock.Unlock()
}

func (n *node) v4(number int) string { return fmt.Sprintf("10.244.%s.%d", n.index, number) }
func (n *node) v6(number int) string { return fmt.Sprintf("fd00:244:%s::%x", n.index, number) }

// connect makes the namespace, one veth away from the node, whose own address among the Pods (number 1) is its gateway.
func (n *node) connect(w *wire, device string) error {
	steps := []struct{ namespace, batch string }{
		{"", "netns add " + w.namespace},
		{n.namespace, "link add " + device + " type veth peer name eth0 netns " + w.namespace + `
			link set ` + device + ` up
			address add ` + n.v4(1) + `/32 dev ` + device + `
			address add ` + n.v6(1) + `/128 dev ` + device + ` nodad
			address add fe80::1/64 dev ` + device + ` nodad
			route add ` + w.v4 + `/32 dev ` + device + `
			route add ` + w.v6 + `/128 dev ` + device},
		{w.namespace, `link set lo up
			link set eth0 up
			address add ` + w.v4 + `/32 dev eth0
			address add ` + w.v6 + `/128 dev eth0 nodad
			route add ` + n.v4(1) + ` dev eth0
			route add default via ` + n.v4(1) + `
			route add default via fe80::1 dev eth0`},
	}
	for _, step := range steps {
		args := []string{"-batch", "-"}
		if step.namespace != "" {
			args = append([]string{"-netns", step.namespace}, args...)
		}
		command := exec.Command("ip", args...)
		command.Stdin = strings.NewReader(step.batch)
		if out, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("wiring %s: %w: %s", w.namespace, err, out)
		}
	}
	return nil
}
