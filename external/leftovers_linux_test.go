// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// TestSquidLeavesNoSharedMemory: Squid unlinks it only when it ends in peace, which takes two seconds.
func TestSquidLeavesNoSharedMemory(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T, h *proxycore.Handle, mark string){
		"closed": func(t *testing.T, h *proxycore.Handle, _ string) {
			begin := time.Now()
			if err := h.Close(); err != nil {
				t.Error(err)
			}
			if took := time.Since(begin); took > 1500*time.Millisecond {
				t.Errorf("Close took %v", took)
			}
		},
		"killed": func(t *testing.T, h *proxycore.Handle, mark string) {
			for _, pid := range carriers(mark) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			<-h.Done()
		},
	}
	for name, end := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := presetSpec(t, "squid", Policy{})
			service, _, _ := strings.Cut(spec.leftovers[0], "{port}")
			mark := testMark(t)
			spec.Env = append(spec.Env, mark)
			h := start(t, spec)
			if made, err := filepath.Glob(service + "*"); len(made) != len(spec.leftovers) || err != nil {
				t.Errorf("a running Squid has the segments %q (%v), want %d", made, err, len(spec.leftovers))
			}
			end(t, h, mark)
			if left, _ := filepath.Glob(service + "*"); len(left) > 0 {
				t.Errorf("%q are left", left)
			}
		})
	}
}
