// measure is what bench/cluster measures with. It runs on the node, in its network namespace:
//
//	measure fill    brings a cluster to so many Services with their EndpointSlices
//	measure proxy   starts a proxy and prints what it takes: the first programming, changes, new Services
package main

import (
	"fmt"
	"os"
)

var commands = map[string]func(args []string) error{
	"fill":  fill,
	"proxy": proxy,
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: measure fill|proxy [flags]")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "measure %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}
