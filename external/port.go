// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"sync"
)

// starting holds the ports handed to children that are not listening yet, for
// those that the kernel does not know as taken.
var starting struct {
	mu    sync.Mutex
	ports map[int]bool
}

// hold keeps a port for a child until it listens.
type hold struct {
	port int
	once sync.Once
	give func() // gives up what the kernel knows of the hold; nil when it knows nothing
}

// choosePort returns a hold on a port for a child. A fixed port that is taken is
// ErrPortInUse.
func choosePort(fixed int) (*hold, error) {
	if fixed != 0 {
		if err := checkFree(fixed); err != nil {
			return nil, err
		}
		if !reserve(fixed) {
			return nil, fmt.Errorf("external: port %d: %w by another start in this process; choose another one or 0", fixed, ErrPortInUse)
		}
		return &hold{port: fixed, give: holdFixed(fixed)}, nil
	}
	const attempts = 64
	var last error
	for range attempts {
		port, give, err := holdFree()
		if err != nil {
			last = err
			continue
		}
		if reserve(port) {
			return &hold{port: port, give: give}, nil
		}
		if give != nil {
			give()
		}
	}
	return nil, fmt.Errorf("external: no free port on 127.0.0.1 after %d attempts (%w); start fewer proxies at once", attempts, last)
}

// kernel reports whether the kernel keeps the port from others, and from a child
// that does not set SO_REUSEADDR.
func (h *hold) kernel() bool { return h != nil && h.give != nil }

// open lets anybody bind the port; within this process it stays taken.
func (h *hold) open() {
	if h.kernel() {
		h.give()
		h.give = nil
	}
}

// release ends the hold. It may be called twice, and for a nil hold.
func (h *hold) release() {
	if h == nil {
		return
	}
	h.once.Do(func() {
		h.open()
		unreserve(h.port)
	})
}

// checkFree tries both loopback addresses, because the child may choose either.
func checkFree(port int) error {
	for _, address := range []string{"127.0.0.1", "::1"} {
		l, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
		if err == nil {
			l.Close()
			continue
		}
		// A port below 1024 may be open to the child and not to us, and a host
		// without IPv6 has no ::1; in both cases the child's own bind decides.
		if errors.Is(err, fs.ErrPermission) || address == "::1" && !isAddrInUse(err) {
			continue
		}
		return fmt.Errorf("external: %w: %w; choose another one, or 0 to have one chosen", ErrPortInUse, err)
	}
	return nil
}

func reserve(port int) bool {
	starting.mu.Lock()
	defer starting.mu.Unlock()
	if starting.ports[port] {
		return false
	}
	if starting.ports == nil {
		starting.ports = make(map[int]bool)
	}
	starting.ports[port] = true
	return true
}

func unreserve(port int) {
	starting.mu.Lock()
	defer starting.mu.Unlock()
	delete(starting.ports, port)
}
