// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package early is imported by a main package for its effect: SIGQUIT ends the process
// quietly from before main on. It depends on little, so that it is
// initialised before most other packages are.
package early

import (
	"os"
	"strings"

	"github.com/sallyport-dev/sallyport/bridge/internal/quit"
)

func init() {
	// What bridge.Init takes over is sent no signal before it can pass it on.
	if len(os.Args) < 2 || !strings.HasPrefix(os.Args[1], "sallyport:") {
		quit.Arm()
	}
}
