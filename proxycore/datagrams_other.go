// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package proxycore

import (
	"errors"
	"fmt"
	"net"
)

// maxControl is the room for a datagram's control messages, which are not asked for.
const maxControl = 0

// tellDestinations refuses: a reply from another address than the one that was
// asked would be thrown away.
func tellDestinations(*net.UDPConn) error {
	return fmt.Errorf("proxycore: capture: DNS over UDP is answered on Linux only; leave Capture.Queries empty: %w", errors.ErrUnsupported)
}

// replyFrom has nothing to pick from.
func replyFrom([]byte) []byte { return nil }
