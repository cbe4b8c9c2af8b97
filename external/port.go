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

// starting holds the ports handed to children that are not listening yet. The
// kernel does not know them as taken, so without it two concurrent starts in this
// process could be given the same one.
var starting struct {
	mu    sync.Mutex
	ports map[int]bool
}

// choosePort returns the port for a child and a function that ends its
// reservation. A fixed port that is taken is ErrPortInUse. Between here and the
// child's bind another program may still take the port; readiness notices that.
func choosePort(fixed int) (port int, release func(), err error) {
	if fixed != 0 {
		if err := checkFree(fixed); err != nil {
			return 0, nil, err
		}
		if !reserve(fixed) {
			return 0, nil, fmt.Errorf("external: port %d: %w by another start in this process; choose another one or 0", fixed, ErrPortInUse)
		}
		return fixed, func() { unreserve(fixed) }, nil
	}
	const attempts = 64
	for range attempts {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return 0, nil, fmt.Errorf("external: no free port on 127.0.0.1: %w", err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		if reserve(port) {
			return port, func() { unreserve(port) }, nil
		}
	}
	return 0, nil, fmt.Errorf("external: no free port on 127.0.0.1 after %d attempts; start fewer proxies at once", attempts)
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
