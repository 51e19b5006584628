package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"
)

// browser is a headless Chromium with one page, driven over a pipe by the DevTools protocol
// (https://chromedevtools.github.io/devtools-protocol/): messages in JSON, each ended by a zero byte.
type browser struct {
	command *exec.Cmd
	to      *os.File
	session string

	mu      sync.Mutex
	lastID  int
	waiting map[int]chan message
	closed  chan struct{}
	// Of all requests that the page made.
	requested []string
}

type message struct {
	ID     int             `json:"id,omitempty"`
	Method string          `json:"method,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
	SessionID string `json:"sessionId,omitempty"`
}

const answerTime = 60 * time.Second

func startBrowser(program, profile string) (*browser, error) {
	theirs, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	from, answers, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	b := &browser{to: to, waiting: map[int]chan message{}, closed: make(chan struct{})}
	// The test is root in namespaces of its own, where Chromium's own sandbox cannot be had.
	b.command = exec.Command(program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--user-data-dir="+profile, "--remote-debugging-pipe", "about:blank")
	b.command.ExtraFiles = []*os.File{theirs, answers} // 3 and 4
	if err := b.command.Start(); err != nil {
		return nil, err
	}
	theirs.Close()
	answers.Close()
	go b.receive(from)
	return b, b.openPage()
}

func (b *browser) receive(from *os.File) {
	defer close(b.closed)
	for in := bufio.NewReader(from); ; {
		text, err := in.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(text[:len(text)-1], &m) == nil {
			b.handle(m)
		}
	}
}

func (b *browser) handle(m message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c, ok := b.waiting[m.ID]; ok && m.ID != 0 {
		delete(b.waiting, m.ID)
		c <- m
	}
	if m.Method == "Network.requestWillBeSent" {
		var p struct {
			Request struct {
				URL string `json:"url"`
			} `json:"request"`
		}
		if json.Unmarshal(m.Params, &p) == nil {
			b.requested = append(b.requested, p.Request.URL)
		}
	}
}

// call waits for the answer, and stores its result unless that is nil.
func (b *browser) call(method string, params any, result any) error {
	text, err := json.Marshal(params)
	if err != nil {
		return err
	}
	answer := make(chan message, 1)
	b.mu.Lock()
	b.lastID++
	m := message{ID: b.lastID, Method: method, Params: text, SessionID: b.session}
	b.waiting[m.ID] = answer
	b.mu.Unlock()
	if text, err = json.Marshal(m); err != nil {
		return err
	}
	if _, err := b.to.Write(append(text, 0)); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case m = <-answer:
	case <-b.closed:
		return fmt.Errorf("%s: Chromium has ended", method)
	case <-time.After(answerTime):
		return fmt.Errorf("%s: no answer within %v", method, answerTime)
	}
	if m.Error != nil {
		return fmt.Errorf("%s: %s", method, m.Error.Message)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(m.Result, result)
}

type params map[string]any

func (b *browser) openPage() error {
	var target struct{ TargetID string }
	if err := b.call("Target.createTarget", params{"url": "about:blank"}, &target); err != nil {
		return err
	}
	var attached struct{ SessionID string }
	if err := b.call("Target.attachToTarget", params{"targetId": target.TargetID, "flatten": true}, &attached); err != nil {
		return err
	}
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Network"} {
		if err := b.call(domain+".enable", params{}, nil); err != nil {
			return err
		}
	}
	return nil
}

// eval stores the value of a JavaScript expression; a promise is waited for.
func (b *browser) eval(expression string, value any) error {
	var r struct {
		Result struct {
			Value json.RawMessage
		}
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	err := b.call("Runtime.evaluate", params{"expression": expression, "awaitPromise": true, "returnByValue": true}, &r)
	if err != nil {
		return err
	}
	if e := r.ExceptionDetails; e != nil {
		return fmt.Errorf("%s: %s %s", expression, e.Text, e.Exception.Description)
	}
	if value == nil {
		return nil
	}
	return json.Unmarshal(r.Result.Value, value)
}

// press presses one key, "Tab" or "Enter".
func (b *browser) press(key string) error {
	codes := map[string]int{"Tab": 9, "Enter": 13}
	down := params{"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
	if key == "Enter" {
		down["text"] = "\r"
	}
	if err := b.call("Input.dispatchKeyEvent", down, nil); err != nil {
		return err
	}
	up := params{"type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
	return b.call("Input.dispatchKeyEvent", up, nil)
}

func (b *browser) requests() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.requested...)
}

func (b *browser) stop() {
	_ = b.command.Process.Kill()
	_ = b.command.Wait()
}
