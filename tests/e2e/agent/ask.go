package main

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

// An answer is what one question came to: who answered and whom it saw, or why nobody did.
type answer struct {
	backend, address, source string // from the backend's line
	failure                  string // "" or refused, silent, or the error
}

// ask puts one question on a connection of its own. target is ADDRESS:PORT.
func ask(protocol, target, query string, timeout time.Duration) answer {
	line, err := "", error(nil)
	if protocol == "udp" {
		line, err = askUDP(target, timeout)
	} else {
		line, err = askHTTP(target, query, timeout)
	}
	if err != nil {
		return answer{failure: failure(err)}
	}
	fields := strings.Fields(line)
	if len(fields) != 3 {
		return answer{failure: fmt.Sprintf("answered %q", line)}
	}
	return answer{backend: fields[0], address: fields[1], source: fields[2]}
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
	if _, err := conn.Write([]byte("who\n")); err != nil {
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
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.As(err, &network) && network.Timeout():
		return "silent"
	}
	return err.Error()
}
