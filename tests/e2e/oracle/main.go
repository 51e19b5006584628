// The oracle: kube-proxy's own code says what sluice ought to decide.
//
//	oracle generate -seed N                            print a random cluster as a v1 List
//	oracle expect -manifests FILE -node NAME [...]     print the plan that kube-proxy would carry out
//	oracle count -clusters N                           only generate and decide; print which branches were taken
//	oracle compare -sluice PROGRAM -clusters N         and compare with what `sluice plan` prints
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"

	"k8s.io/klog/v2"
)

func main() {
	if len(os.Args) < 2 {
		fail(2, "usage: oracle generate|expect|count|compare [flags]")
	}
	flags := flag.NewFlagSet("oracle", flag.ExitOnError)
	seed := flags.Uint64("seed", 1, "the first cluster's number")
	clusters := flags.Int("clusters", 500, "how many clusters, each with the next number")
	manifests := flags.String("manifests", "-", "a v1 List in JSON")
	node := flags.String("node", "node-0", "the node to decide for")
	clusterCIDR := flags.String("cluster-cidr", "", "as kube-proxy's")
	masqueradeAll := flags.Bool("masquerade-all", false, "as kube-proxy's")
	eitherLabel := flags.Bool("either-label", false, "expect: either hiding label hides a Service or a slice, as with sluice")
	program := flags.String("sluice", "", "the program to compare with")
	keep := flags.Int("differences", 20, "how many differences to print in full")
	_ = flags.Parse(os.Args[2:])

	// kube-proxy complains about each odd object that it is given; here they are odd on purpose.
	klog.SetLogger(klog.Logger{})

	switch os.Args[1] {
	case "generate":
		check(generate(*seed, nil).write(os.Stdout))
	case "expect":
		objects, err := readFile(*manifests)
		check(err)
		set := settings{node: *node, masqueradeAll: *masqueradeAll, eitherLabel: *eitherLabel}
		if *clusterCIDR != "" {
			set.clusterCIDRs = strings.Split(*clusterCIDR, ",")
		}
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		check(encoder.Encode(expect(objects, set, nil)))
	case "count", "compare":
		run := comparison{program: *program, clusters: *clusters, first: *seed, keep: *keep, seen: tally{}}
		if os.Args[1] == "compare" && run.program == "" {
			fail(2, "compare needs -sluice PROGRAM")
		}
		if !run.all() {
			os.Exit(1)
		}
	default:
		fail(2, "no such command: "+os.Args[1])
	}
}

func readFile(path string) (*cluster, error) {
	if path == "-" {
		return read(os.Stdin)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return read(file)
}

func check(err error) {
	if err != nil {
		fail(1, err.Error())
	}
}

func fail(status int, why string) {
	fmt.Fprintln(os.Stderr, "oracle: "+why)
	os.Exit(status)
}
