package main

import (
	"slices"

	"sluice/tests/e2e/traffic"
)

// Differences that a mode of sluice may show on the side of the second: see differences.md. The zero value allows none.
type modeRules struct {
	source        string // backends see only this one
	always        bool   // in any case; else the expected sources are right, too
	notOutside    bool   // clients outside have no such difference
	refusesUnused bool   // refuses what no Service has, also where the first is silent
	accepts       bool   // a port with source ranges and without endpoints accepts before it resets; UDP is silent
}

var modes = map[string]modeRules{
	"ebpf":      {source: "client", notOutside: true},
	"userspace": {source: "node", always: true, refusesUnused: true, accepts: true},
}

func (m modeRules) of(from string) modeRules {
	if m.notOutside && from == "outside" {
		return modeRules{}
	}
	return m
}

func (m modeRules) sees(want, got []string) bool {
	if m.source != "" && len(want) != 0 && slices.Equal(got, []string{m.source}) {
		return true
	}
	return (!m.always || len(want) == 0) && slices.Equal(want, got)
}

// normal is the outcome as it would be without the difference between a refusal and a connection that is reset.
func (m modeRules) normal(q question, got outcome) outcome {
	reset := map[string]string{"tcp": "connection reset by peer", "udp": traffic.Silent}[q.protocol]
	if m.accepts && q.limited && q.expect != nil && q.expect.Action == "reject" && got.Failure == reset {
		got.Failure = traffic.Refused
	}
	return got
}
