// The twin compares two proxies by what traffic does: one random cluster, the same clients and backends around each.
//
//	twin apply -seed N -kubeconfig FILE          makes the cluster in the API server
//	twin probe -plan FILE -from SOURCE           asks every frontend, in the client's network namespace; prints JSON
//	twin compare -plan FILE -from SOURCE A B     compares two such answers with each other, and with the plan
//
// The plan is what the oracle prints for the objects in the API server.
package main

import (
	"fmt"
	"os"
)

var commands = map[string]func(args []string) error{"apply": apply, "probe": probe, "compare": compare}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: twin apply|probe|compare [flags]")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "twin %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}
