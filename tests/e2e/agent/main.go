// The agent is what a test cluster needs besides Kubernetes itself:
//
//	agent kubelet   plays the kubelets: gives each Pod a network namespace, a backend and a status
//	agent serve     the backend: answers over TCP (HTTP) and UDP who it is and whom it sees
//	agent hits      asks an address a number of times and prints who answered
//	agent load      sends requests without a pause until it is stopped, and prints the failures
//	agent flood     creates many Services while the API server runs
package main

import (
	"fmt"
	"os"
)

var commands = map[string]func(args []string) error{
	"kubelet": kubelet,
	"serve":   serve,
	"hits":    hits,
	"load":    load,
	"flood":   flood,
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: agent kubelet|serve|hits|load|flood [flags]")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "agent %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}
