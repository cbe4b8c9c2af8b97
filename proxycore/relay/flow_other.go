// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package relay

// flow does not exist where there is no epoll; newFlow never gives one.
type flow struct{}

func newFlow(*Tunnel, []byte, []byte) *flow { return nil }

func (*flow) start() {}

func (*flow) cut(error) {}

func keep() (release func()) { return func() {} }
