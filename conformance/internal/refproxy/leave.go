// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package refproxy

import (
	"fmt"
	"net"
	"sync"
)

// left are the listeners the fault FailedStartStays leaves behind; nobody closes them.
var left struct {
	sync.Mutex
	listeners []net.Listener
}

// leave listens as o says, for nobody.
func leave(o Options) {
	left.Lock()
	defer left.Unlock()
	for network, address := range map[string]string{"tcp4": fmt.Sprintf("127.0.0.1:%d", o.Port), "unix": o.SocketPath} {
		if address == "" {
			continue
		}
		if l, err := net.Listen(network, address); err == nil {
			left.listeners = append(left.listeners, l)
		}
	}
}
