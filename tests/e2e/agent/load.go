package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"sluice/tests/e2e/traffic"
)

// hits asks a number of times and prints one line: who answered (sorted, each once), then what failed and how often.
func hits(args []string) error {
	flags := flag.NewFlagSet("hits", flag.ExitOnError)
	count := flags.Int("n", 40, "how many questions, each on a connection of its own")
	timeout := flags.Duration("timeout", time.Second, "for each")
	protocol := flags.String("protocol", "tcp", "tcp or udp")
	_ = flags.Parse(args)

	names, failures := map[string]int{}, map[string]int{}
	for range *count {
		got := traffic.Ask(*protocol, flags.Arg(0), "", *timeout)
		if got.Failure != "" {
			failures[got.Failure]++
			if got.Failure == traffic.Silent && failures[traffic.Silent] >= 3 {
				break // it will not change its mind, and each costs a whole timeout
			}
			continue
		}
		names[got.Backend]++
	}
	fmt.Println(strings.Join(slices.Sorted(maps.Keys(names)), " ") + listFailures(failures))
	return nil
}

func listFailures(failures map[string]int) string {
	out := ""
	for _, why := range slices.Sorted(maps.Keys(failures)) {
		out += fmt.Sprintf(" !%s=%d", strings.ReplaceAll(why, " ", "_"), failures[why])
	}
	return out
}

// load asks from several workers until SIGTERM, then prints "REQUESTS FAILED BACKENDS" and what failed first.
func load(args []string) error {
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	workers := flags.Int("workers", 4, "how many ask at the same time")
	timeout := flags.Duration("timeout", 5*time.Second, "for each")
	pause := flags.Duration("pause", 20*time.Millisecond, "between two questions of a worker")
	_ = flags.Parse(args)

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	var (
		lock     sync.Mutex
		wait     sync.WaitGroup
		done     = make(chan struct{})
		requests int
		names    = map[string]int{}
		failures []string
	)
	worker := func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(*pause):
			}
			started := time.Now()
			got := traffic.Ask("tcp", flags.Arg(0), "?pause=5ms", *timeout)
			lock.Lock()
			requests++
			if got.Failure != "" {
				failures = append(failures, fmt.Sprintf("%s %s", started.Format("15:04:05.000"), got.Failure))
			} else {
				names[got.Backend]++
			}
			lock.Unlock()
		}
	}
	for range *workers {
		wait.Go(worker)
	}
	<-stop
	close(done)
	wait.Wait()
	fmt.Printf("%d %d %d\n", requests, len(failures), len(names))
	for i, line := range failures {
		if i == 5 {
			break
		}
		fmt.Println(line)
	}
	return nil
}
