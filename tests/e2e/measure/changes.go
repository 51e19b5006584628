package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const pause = 100 * time.Millisecond // between changes, so that each is alone

// change replaces one endpoint of some Service, again and again; each time from the API's answer to the kernel's announcement.
func (b *bench) change(count int) ([]time.Duration, error) {
	monitor, err := openMonitor()
	if err != nil {
		return nil, err
	}
	var times []time.Duration
	for round := range count {
		// The high part is the time, so that no run finds another's addresses.
		address := fmt.Sprintf("11.%d.%d.%d", started.Unix()>>2&255, started.Unix()<<6&192|int64(round>>8), round&255)
		took, err := b.changeOnce(monitor, address)
		if err != nil {
			return nil, err
		}
		times = append(times, took)
		time.Sleep(pause)
	}
	return times, nil
}

func (b *bench) changeOnce(m *monitor, address string) (time.Duration, error) {
	ctx, cancel := withTimeout()
	defer cancel()
	slices := b.client.DiscoveryV1().EndpointSlices(namespace)
	slice, err := slices.Get(ctx, nameOf(rand.IntN(b.services)), metav1.GetOptions{})
	if err != nil {
		return 0, err
	}
	slice.Endpoints[rand.IntN(len(slice.Endpoints))].Addresses = []string{address}
	announced := m.expect(address)
	if _, err := slices.Update(ctx, slice, metav1.UpdateOptions{}); err != nil {
		return 0, err
	}
	answered := time.Now()
	select {
	case when := <-announced:
		return max(when.Sub(answered), 0), nil
	case <-time.After(b.timeout):
		return 0, fmt.Errorf("%s/%s: %s is not in the kernel after %s", namespace, slice.Name, address, b.timeout)
	}
}

// reach makes Services with a backend on this node, one at a time; each time from the API's answer to the first connection.
func (b *bench) reach(count int, node string) ([]time.Duration, error) {
	backend, err := net.Listen("tcp4", net.JoinHostPort(node, "0"))
	if err != nil {
		return nil, err
	}
	defer backend.Close()
	go serve(backend)
	var times []time.Duration
	for round := range count {
		took, err := b.reachOnce(fmt.Sprintf("new-%d", round), node, int32(backend.Addr().(*net.TCPAddr).Port))
		if err != nil {
			return nil, err
		}
		times = append(times, took)
		time.Sleep(pause)
	}
	return times, nil
}

func serve(backend net.Listener) {
	for {
		connection, err := backend.Accept()
		if err != nil {
			return
		}
		_, _ = connection.Write([]byte("!"))
		_ = connection.Close()
	}
}

func (b *bench) reachOnce(name, node string, port int32) (time.Duration, error) {
	ctx, cancel := withTimeout()
	defer cancel()
	slices, services := b.client.DiscoveryV1().EndpointSlices(namespace), b.client.CoreV1().Services(namespace)
	if _, err := slices.Create(ctx, makeSlice(name, port, node), metav1.CreateOptions{}); err != nil {
		return 0, err
	}
	defer slices.Delete(ctx, name, metav1.DeleteOptions{})
	service, err := services.Create(ctx, makeService(name), metav1.CreateOptions{})
	if err != nil {
		return 0, err
	}
	defer services.Delete(ctx, name, metav1.DeleteOptions{})
	answered := time.Now()
	address := net.JoinHostPort(service.Spec.ClusterIP, "80")
	// Before it is there it is refused or unanswered: short attempts, one after the other.
	for time.Since(answered) < b.timeout {
		if connection, err := net.DialTimeout("tcp4", address, 20*time.Millisecond); err == nil {
			n, _ := connection.Read(make([]byte, 1))
			_ = connection.Close()
			if n == 1 {
				return time.Since(answered), nil
			}
		}
		time.Sleep(time.Millisecond)
	}
	return 0, fmt.Errorf("%s/%s carries no traffic after %s", namespace, name, b.timeout)
}
