// browser looks at sluice's page for people in a headless Chromium:
//
//	browser check URL PROFILE N FROM TO      N service ports are there; moving the file FROM to TO adds Service "added"
//	browser picture URL PROFILE FILE         writes a screenshot
//
// CHROMIUM is the program, chromium otherwise. PROFILE is a folder for its files. One line a check; exit 1 when one fails.
package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"strconv"
	"time"
)

func main() {
	var run func(b *browser) error
	switch {
	case len(os.Args) == 7 && os.Args[1] == "check":
		n, err := strconv.Atoi(os.Args[4])
		if err != nil {
			fatal(err)
		}
		p := &page{url: os.Args[2], n: n, from: os.Args[5], to: os.Args[6]}
		run = p.check
	case len(os.Args) == 5 && os.Args[1] == "picture":
		run = func(b *browser) error { return picture(b, os.Args[2], os.Args[4]) }
	default:
		fmt.Fprintln(os.Stderr, "usage: browser check URL PROFILE N FROM TO | picture URL PROFILE FILE")
		os.Exit(2)
	}
	program := os.Getenv("CHROMIUM")
	if program == "" {
		program = "chromium"
	}
	b, err := startBrowser(program, os.Args[3])
	if err == nil {
		err = run(b)
	}
	if b != nil {
		b.stop()
	}
	if err != nil {
		fatal(err)
	}
}

func fatal(err error) {
	fmt.Fprintf(os.Stderr, "browser: %v\n", err)
	os.Exit(1)
}

func picture(b *browser, url, file string) error {
	size := params{"width": 1200, "height": 900, "deviceScaleFactor": 1, "mobile": false}
	if err := b.call("Emulation.setDeviceMetricsOverride", size, nil); err != nil {
		return err
	}
	if err := b.call("Page.navigate", params{"url": url}, nil); err != nil {
		return err
	}
	time.Sleep(90 * time.Second) // the charts need some readings
	var shot struct{ Data string }
	if err := b.call("Page.captureScreenshot", params{"format": "png"}, &shot); err != nil {
		return err
	}
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		return err
	}
	return os.WriteFile(file, png, 0o644)
}
