// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"io"
	"testing"
)

func BenchmarkThroughput(b *testing.B) {
	for name, form := range forms {
		b.Run(name, func(b *testing.B) {
			w := start(b, "tcp", Options{form: form})
			chunk := make([]byte, 256<<10)
			b.SetBytes(int64(len(chunk)))
			done := make(chan error, 1)
			go func() {
				_, err := io.Copy(io.Discard, struct{ io.Reader }{w.client})
				done <- err
			}()
			for b.Loop() {
				if _, err := w.origin.Write(chunk); err != nil {
					b.Fatal(err)
				}
			}
			w.origin.CloseWrite()
			if err := <-done; err != nil {
				b.Fatal(err)
			}
			w.client.Close()
			w.end(b)
		})
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	for name, form := range forms {
		b.Run(name, func(b *testing.B) {
			w := start(b, "tcp", Options{form: form})
			go io.Copy(struct{ io.Writer }{w.origin}, struct{ io.Reader }{w.origin})
			buf := make([]byte, 64)
			for b.Loop() {
				w.client.Write(buf)
				if _, err := io.ReadFull(w.client, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
