// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"io"
	"testing"
)

// BenchmarkSandboxFirstByte is the time from the start of a sandbox to the first byte that a
// program in it has from outside: by asking the proxy, or knowing of none and looking the
// name up itself.
func BenchmarkSandboxFirstByte(b *testing.B) {
	plain := []string{self, "helper", "connect", "greets.test:22"}
	direct := []string{self, "helper", "visit", "read tcp greets.test:22"}
	for _, m := range []Mode{Bwrap, UserNS} {
		for _, k := range []struct {
			name string
			s    Sandbox
			argv []string
		}{
			{"plain", Sandbox{Mode: m}, plain},
			{"redirect", Sandbox{Mode: m, Transparent: true}, direct},
			{"listen", Sandbox{Mode: m, Transparent: true, listen: true}, direct},
		} {
			b.Run(string(m)+"/"+k.name, func(b *testing.B) {
				n := newInternet(b, transparentPolicy...)
				for b.Loop() {
					firstByte(b, n, k.s, k.argv)
				}
			})
		}
	}
}

// firstByte starts argv in s and returns when it has printed something; what comes after
// is not measured.
func firstByte(b *testing.B, n *internet, s Sandbox, argv []string) {
	cmd, err := s.Command(b.Context(), n.Handle, argv[0], argv[1:]...)
	if err != nil {
		b.Fatal(err)
	}
	cmd.Dir = "/"
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		b.Error(err)
	}
	b.StopTimer()
	defer b.StartTimer()
	if err := cmd.Wait(); err != nil {
		b.Error(err)
	}
	<-n.records
}
