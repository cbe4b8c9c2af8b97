// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// roles are what a re-executed test binary can be instead of running the tests.
var roles = map[string]func(){}

const roleVariable = "PROXYCORE_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := roles[os.Getenv(roleVariable)]; role != nil {
		role()
		return
	}
	code := m.Run()
	if code == 0 {
		if left := leftover(5 * time.Second); left != "" {
			fmt.Fprintf(os.Stderr, "goroutines left after the tests:\n%s\n", left)
			code = 1
		}
	}
	os.Exit(code)
}

// leftover gives the stacks of this package's goroutines that do not end within
// the limit.
func leftover(limit time.Duration) string {
	deadline := time.Now().Add(limit)
	for {
		buf := make([]byte, 4<<20)
		buf = buf[:runtime.Stack(buf, true)]
		var left []string
		for _, g := range strings.Split(string(buf), "\n\n") {
			if strings.Contains(g, "sallyport/proxycore") && !strings.Contains(g, "TestMain") {
				left = append(left, g)
			}
		}
		if len(left) == 0 || time.Now().After(deadline) {
			return strings.Join(left, "\n\n")
		}
		runtime.Gosched()
	}
}
