package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
)

// Of kube-proxy, and of sluice under the same name: when the rules were last brought into the kernel, Unix time.
const programmedMetric = `kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv4"} `

type bench struct {
	client    kubernetes.Interface
	services  int
	endpoints int
	timeout   time.Duration
	pid       int
	ended     chan error
}

// proxy prints one line of numbers, tab-separated, in the order of header().
func proxy(args []string) error {
	flags := flag.NewFlagSet("proxy", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "an admin's")
	name := flags.String("name", "", "the first column")
	services := flags.Int("services", 1000, "how many there are")
	endpoints := flags.Int("endpoints", 5, "behind each")
	changes := flags.Int("changes", 50, "how many endpoints to replace, one at a time")
	newServices := flags.Int("new-services", 10, "how many Services to make, one at a time")
	node := flags.String("node", "192.168.50.11", "an address of this node, for a backend")
	timeout := flags.Duration("timeout", 15*time.Minute, "for the first programming, and for each change")
	log := flags.String("log", "/dev/null", "where the proxy's output goes")
	header := flags.Bool("header", false, "print the names of the columns and end")
	_ = flags.Parse(args)

	if *header {
		fmt.Println("proxy\tservices\tstart s\tcpu s\tRSS MB\tpeak MB\tchange p50 ms\tp99 ms\tnew p50 ms\tmax ms\tcpu ms/change\tRSS MB\tpeak MB")
		return nil
	}
	client, err := connect(*kubeconfig)
	if err != nil {
		return err
	}
	b := &bench{client: client, services: *services, endpoints: *endpoints, timeout: *timeout}
	stop, err := b.start(flags.Args(), *log)
	if err != nil {
		return err
	}
	defer stop()
	return b.run(*name, *changes, *newServices, *node)
}

func (b *bench) run(name string, changes, newServices int, node string) error {
	took, err := b.programmed()
	if err != nil {
		return err
	}
	startCPU := cpuSeconds(b.pid)
	startRSS, startPeak := memory(b.pid)
	b.progress("%s: %d Services programmed after %.2f s, %.0f MB", name, b.services, took.Seconds(), startRSS)
	changed, err := b.change(changes)
	if err != nil {
		return err
	}
	changeCPU := (cpuSeconds(b.pid) - startCPU) * 1000 / float64(max(changes, 1))
	b.progress("%s: %d endpoints replaced", name, changes)
	reached, err := b.reach(newServices, node)
	if err != nil {
		return err
	}
	rss, peak := memory(b.pid)
	fmt.Printf("%s\t%d\t%.2f\t%.2f\t%.1f\t%.1f\t%s\t%s\t%s\t%s\t%.0f\t%.1f\t%.1f\n", name, b.services, took.Seconds(), startCPU,
		startRSS, startPeak, at(changed, 50), at(changed, 99), at(reached, 50), at(reached, 100), changeCPU, rss, peak)
	return nil
}

func (b *bench) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "  "+format+"\n", args...)
}

// at is a percentile in milliseconds.
func at(times []time.Duration, percent int) string {
	if len(times) == 0 {
		return "-"
	}
	slices.Sort(times)
	return fmt.Sprintf("%.1f", float64(times[(len(times)-1)*percent/100].Microseconds())/1000)
}

var started time.Time

// start runs the proxy; the answer ends it.
func (b *bench) start(command []string, log string) (func(), error) {
	if len(command) == 0 {
		return nil, errors.New("no command after --")
	}
	output, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	process := exec.Command(command[0], command[1:]...)
	process.Stdout, process.Stderr = output, output
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started = time.Now()
	if err := process.Start(); err != nil {
		return nil, err
	}
	b.pid = process.Process.Pid
	b.ended = make(chan error, 1)
	go func() { b.ended <- process.Wait() }()
	return func() {
		_ = process.Process.Signal(syscall.SIGTERM)
		<-b.ended
	}, nil
}

// programmed waits for the first programming and answers how long after the start it was over.
func (b *bench) programmed() (time.Duration, error) {
	for deadline := time.Now().Add(b.timeout); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		select {
		case err := <-b.ended:
			b.ended <- err
			return 0, fmt.Errorf("the proxy ended: %w", err)
		default:
		}
		seconds := scrape()
		if seconds == 0 {
			continue
		}
		at := time.UnixMicro(int64(seconds * 1e6))
		return at.Sub(started), nil
	}
	return 0, fmt.Errorf("nothing programmed within %s", b.timeout)
}

func scrape() float64 {
	client := http.Client{Timeout: 5 * time.Second}
	answer, err := client.Get("http://127.0.0.1:10249/metrics")
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), programmedMetric); ok {
			seconds, _ := strconv.ParseFloat(value, 64)
			return seconds
		}
	}
	return 0
}
