// Package traffic sends requests to the backends of the test, and returns the results.
package traffic

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// An Answer is the result of one request: the backend and the client address that it saw, or the error.
type Answer struct {
	Backend, Address, Source string // from the backend's line
	Failure                  string // "" or Refused, Silent, or the error
}

const (
	Refused = "refused"
	Silent  = "silent"
)

// Ask puts one question on a connection of its own. target is ADDRESS:PORT.
func Ask(protocol, target, query string, timeout time.Duration) Answer {
	line, err := "", error(nil)
	if protocol == "udp" {
		line, err = askUDP(target, timeout)
	} else {
		line, err = askHTTP(target, query, timeout)
	}
	if err != nil {
		return Answer{Failure: failure(err)}
	}
	fields := strings.Fields(line)
	if len(fields) != 3 {
		return Answer{Failure: fmt.Sprintf("answered %q", line)}
	}
	return Answer{Backend: fields[0], Address: fields[1], Source: fields[2]}
}

func askHTTP(target, query string, timeout time.Duration) (string, error) {
	client := http.Client{Timeout: timeout, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + target + "/" + query)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	return string(body), err
}

func askUDP(target string, timeout time.Duration) (string, error) {
	conn, err := net.DialTimeout("udp", target, timeout)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	// A packet refused or dropped in the node's own output path fails at write; read returns which of the two it was.
	if _, err := conn.Write([]byte("who\n")); err != nil && !errors.Is(err, syscall.EPERM) {
		return "", err
	}
	if err := conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return "", err
	}
	buffer := make([]byte, 2048)
	n, err := conn.Read(buffer)
	return string(buffer[:n]), err
}

func failure(err error) string {
	var network net.Error
	var number syscall.Errno
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	case errors.As(err, &network) && network.Timeout():
		return Silent
	case errors.As(err, &number):
		return number.Error()
	}
	return err.Error()
}
