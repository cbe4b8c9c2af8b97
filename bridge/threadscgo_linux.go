// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package bridge

import "errors"

// dropsInAllThreads says that the runtime may not know all threads of this process.
const dropsInAllThreads = false

func dropInAllThreads() error { return errors.ErrUnsupported }
