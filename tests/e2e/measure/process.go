package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// The kernel counts in these units for everyone (USER_HZ).
const ticksPerSecond = 100

// cpuSeconds is the process' own time and that of its children that ended (kube-proxy runs nft).
func cpuSeconds(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name, in parentheses, may hold anything.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	ticks := 0
	for _, field := range fields[11:15] { // utime stime cutime cstime
		n, _ := strconv.Atoi(field)
		ticks += n
	}
	return float64(ticks) / ticksPerSecond
}

// memory is VmRSS and VmHWM, in MB.
func memory(pid int) (rss, peak float64) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kb, _ := strconv.ParseFloat(fields[1], 64)
		switch fields[0] {
		case "VmRSS:":
			rss = kb / 1024
		case "VmHWM:":
			peak = kb / 1024
		}
	}
	return rss, peak
}
