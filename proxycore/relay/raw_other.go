// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package relay

import "net"

func (r *direction) moveRaw(bool) (handled bool, err error) { return false, nil }

func watchReset(net.Conn) error { return nil }
