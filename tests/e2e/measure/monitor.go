package main

import (
	"bytes"
	"net/netip"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

const (
	netlinkNetfilter = 12
	groupNftables    = 7 // NFNLGRP_NFTABLES
	solNetlink       = 270
	receiveBuffer    = 128 << 20
)

// A monitor hears what the kernel announces of nftables in this network namespace, and looks for one address in it:
// sluice puts it into a set's element, kube-proxy into a rule, and either way these are its bytes in network order.
type monitor struct {
	fd    int
	lock  sync.Mutex
	want  []byte
	found chan time.Time
}

func openMonitor() (*monitor, error) {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, netlinkNetfilter)
	if err != nil {
		return nil, err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return nil, err
	}
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUFFORCE, receiveBuffer)
	group := uint32(groupNftables)
	if _, _, errno := syscall.Syscall6(syscall.SYS_SETSOCKOPT, uintptr(fd), solNetlink, syscall.NETLINK_ADD_MEMBERSHIP,
		uintptr(unsafe.Pointer(&group)), unsafe.Sizeof(group), 0); errno != 0 {
		return nil, errno
	}
	m := &monitor{fd: fd}
	go m.read()
	return m, nil
}

func (m *monitor) read() {
	buffer := make([]byte, 1<<20)
	for {
		n, _, err := syscall.Recvfrom(m.fd, buffer, 0)
		now := time.Now()
		if err == syscall.EINTR || err == syscall.ENOBUFS {
			continue
		}
		if err != nil {
			return
		}
		m.lock.Lock()
		if m.want != nil && bytes.Contains(buffer[:n], m.want) {
			m.want = nil
			m.found <- now
		}
		m.lock.Unlock()
	}
}

// expect starts to look; the channel gets the time of the first announcement of the address.
func (m *monitor) expect(address string) <-chan time.Time {
	bytes := netip.MustParseAddr(address).As4()
	m.lock.Lock()
	defer m.lock.Unlock()
	m.want, m.found = bytes[:], make(chan time.Time, 1)
	return m.found
}
