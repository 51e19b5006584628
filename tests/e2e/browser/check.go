package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

type page struct {
	url      string
	n        int
	from, to string
}

// Before each document: what blocks the page, and what its policy refuses.
const watch = `
window.longest = 0; window.refused = 0;
new PerformanceObserver((list) => {
	for (const e of list.getEntries()) window.longest = Math.max(window.longest, e.duration);
}).observe({ type: "longtask", buffered: true });
document.addEventListener("securitypolicyviolation", () => window.refused++);`

func patience() time.Duration {
	n, err := strconv.Atoi(os.Getenv("PATIENCE"))
	if err != nil || n < 1 {
		return 1
	}
	return time.Duration(n)
}

// await evaluates the expression until it is true; it may fail while the page loads.
func await(b *browser, what, expression string, limit time.Duration) error {
	limit *= patience()
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		var is bool
		err := b.eval(expression, &is)
		if is {
			fmt.Printf("ok      %s (%.2f s)\n", what, time.Since(start).Seconds())
			return nil
		}
		if time.Since(start) > limit {
			var text string
			_ = b.eval(`document.body.innerText.slice(0, 2000)`, &text)
			return fmt.Errorf("not ok  %s, after %v: %s: %v\n%s", what, limit, expression, err, text)
		}
	}
}

// tabTo presses Tab until the expression is true of the focused element e.
func tabTo(b *browser, what, expression string) error {
	for i := 0; i < 40; i++ {
		var is bool
		if err := b.eval(`((e) => `+expression+`)(document.activeElement)`, &is); err != nil {
			return err
		}
		if is {
			fmt.Printf("ok      %s by keyboard alone\n", what)
			return nil
		}
		if err := b.press("Tab"); err != nil {
			return err
		}
	}
	return fmt.Errorf("not ok  %s: Tab does not reach it", what)
}

func shows(n, of int) string {
	return fmt.Sprintf(`document.getElementById("shown").textContent.startsWith("%d of %d service ports")`, n, of)
}

func (p *page) check(b *browser) error {
	steps := []func(b *browser) error{p.loads, p.filters, p.sorts, p.updates, p.fitsAPhone, p.hasTwoColours, p.isAlone, p.isSmooth}
	for _, step := range steps {
		if err := step(b); err != nil {
			return err
		}
	}
	return nil
}

func (p *page) loads(b *browser) error {
	if err := b.call("Page.addScriptToEvaluateOnNewDocument", params{"source": watch}, nil); err != nil {
		return err
	}
	if err := b.call("Page.navigate", params{"url": p.url}, nil); err != nil {
		return err
	}
	if err := await(b, fmt.Sprintf("%d service ports are there", p.n), shows(p.n, p.n), 10*time.Second); err != nil {
		return err
	}
	if err := await(b, "the state is there", `document.getElementById("state").textContent.startsWith("in sync")`, 5*time.Second); err != nil {
		return err
	}
	return await(b, "the daemon started minutes ago", `fetch("status").then((r) => r.json()).then((s) => {
		const sec = (Date.now() - Date.parse(s.started)) / 1000; return 0 <= sec && sec < 600; })`, time.Second)
}

func (p *page) filters(b *browser) error {
	if err := tabTo(b, "the filter is reached", `e.id === "search"`); err != nil {
		return err
	}
	if err := b.call("Input.insertText", params{"text": "svc-00042"}, nil); err != nil {
		return err
	}
	if err := await(b, "the filter leaves one", shows(1, p.n), time.Second); err != nil {
		return err
	}
	row := `document.getElementById("services").tBodies[0].rows[0].cells[0].textContent.includes("/svc-00042:")`
	if err := await(b, "it is the right one, and the page's address keeps the filter",
		row+` && location.hash === "#q=svc-00042"`, time.Second); err != nil {
		return err
	}
	return b.eval(`void (location.hash = "#q=")`, nil)
}

func (p *page) sorts(b *browser) error {
	if err := tabTo(b, "a column's title is reached", `e.textContent === "Service"`); err != nil {
		return err
	}
	if err := b.press("Enter"); err != nil {
		return err
	}
	table := `document.getElementById("services")`
	return await(b, "the order is reversed", fmt.Sprintf(
		`%s.tBodies[0].rows[0].cells[0].textContent.includes("/svc-%05d:") && %s.tHead.rows[0].cells[0].ariaSort === "descending"`,
		table, p.n-1, table), time.Second)
}

func (p *page) updates(b *browser) error {
	if err := os.Rename(p.from, p.to); err != nil {
		return err
	}
	if err := await(b, "a new Service appears without a reload", shows(p.n+1, p.n+1), 10*time.Second); err != nil {
		return err
	}
	return await(b, "and among the last changes", `[...document.getElementById("events").tBodies[0].rows].some((r) =>
		r.cells[1].textContent.includes("/added:") && r.cells[2].textContent === "ServiceAdded")`, 5*time.Second)
}

func (p *page) fitsAPhone(b *browser) error {
	phone := params{"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": true}
	if err := b.call("Emulation.setDeviceMetricsOverride", phone, nil); err != nil {
		return err
	}
	err := await(b, "it fits into 360 pixels", `innerWidth === 360 && document.documentElement.scrollWidth <= 360`, time.Second)
	if err != nil {
		return err
	}
	return b.call("Emulation.clearDeviceMetricsOverride", params{}, nil)
}

func (p *page) hasTwoColours(b *browser) error {
	for scheme, sign := range map[string]string{"dark": "<", "light": ">"} {
		features := []params{{"name": "prefers-color-scheme", "value": scheme}}
		if err := b.call("Emulation.setEmulatedMedia", params{"features": features}, nil); err != nil {
			return err
		}
		err := await(b, "it is "+scheme+" when that is preferred",
			`+getComputedStyle(document.body).backgroundColor.match(/\d+/)[0] `+sign+` 128`, time.Second)
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *page) isAlone(b *browser) error {
	requests := b.requests()
	for _, url := range requests {
		if !strings.HasPrefix(url, p.url) && !strings.HasPrefix(url, "data:") {
			return fmt.Errorf("not ok  a request left the server: %s", url)
		}
	}
	fmt.Printf("ok      all of %d requests went to the server itself\n", len(requests))
	if err := await(b, "its policy refused nothing of its own", `refused === 0`, time.Second); err != nil {
		return err
	}
	forbidden := `(() => { const s = document.createElement("script"); s.textContent = "window.ran = 1"; document.body.append(s);
		fetch("http://127.0.0.2:9/").catch(() => {}); })()`
	if err := b.eval(forbidden, nil); err != nil {
		return err
	}
	return await(b, "it refuses other scripts, and requests to others", `refused >= 2 && !window.ran`, 2*time.Second)
}

// Long tasks are those over 50 ms; the page does not react meanwhile.
func (p *page) isSmooth(b *browser) error {
	var longest float64
	if err := b.eval(`longest`, &longest); err != nil {
		return err
	}
	fmt.Printf("        longest task of the page: %.0f ms\n", longest)
	return await(b, "no task of the page took over a second", fmt.Sprintf(`longest < %d`, 1000*patience()), time.Second)
}
