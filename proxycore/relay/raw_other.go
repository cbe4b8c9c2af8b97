// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package relay

func (d *direction) moveRaw(bool) (handled bool, err error) { return false, nil }

func (t *Tunnel) watchReset(*direction) error { return nil }

func closeIdlePipes() {}
