package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// serve answers on every given port, TCP as HTTP and UDP, with one line: its name, the address it was asked on, and the
// address it was asked from. On SIGTERM it accepts nothing new, lets running requests finish, and leaves.
func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	name := flags.String("name", "", "what to call itself")
	ports := flags.String("ports", "8080,9090", "ports, each for TCP and UDP")
	_ = flags.Parse(args)

	server := &http.Server{ReadHeaderTimeout: 10 * time.Second}
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if pause, err := time.ParseDuration(r.URL.Query().Get("pause")); err == nil {
			time.Sleep(pause)
		}
		local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		fmt.Fprintf(w, "%s %s %s\n", *name, local, r.RemoteAddr)
	})
	failed := make(chan error, 16)
	for _, port := range strings.Split(*ports, ",") {
		listener, err := net.Listen("tcp", ":"+port)
		if err != nil {
			return err
		}
		go func() {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		}()
		if err := serveUDP(*name, port, failed); err != nil {
			return err
		}
	}
	fmt.Println("ready")

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	select {
	case err := <-failed:
		return err
	case <-stop:
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return server.Shutdown(ctx)
}

// serveUDP listens on each address by itself: an answer has to come from where the question went.
func serveUDP(name, port string, failed chan<- error) error {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return err
	}
	for _, address := range addresses {
		ip := address.(*net.IPNet).IP
		if ip.IsLinkLocalUnicast() {
			continue
		}
		conn, err := net.ListenPacket("udp", net.JoinHostPort(ip.String(), port))
		if err != nil {
			return err
		}
		go func() {
			buffer := make([]byte, 2048)
			for {
				_, from, err := conn.ReadFrom(buffer)
				if err != nil {
					failed <- err
					return
				}
				// An answer to a client that is gone comes back as an error of no interest.
				_, _ = conn.WriteTo(fmt.Appendf(nil, "%s %s %s\n", name, conn.LocalAddr(), from), from)
			}
		}()
	}
	return nil
}
