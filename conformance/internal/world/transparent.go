// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package world

import (
	"fmt"
	"net/netip"

	"github.com/sallyport-dev/sallyport/fixtures"
)

// Stranger is a name of a crowd: many names, each with an origin of its own that says who it is before anything else.
type Stranger struct {
	Name string
	Addr netip.Addr
}

// Crowd returns n strangers, with IPv4 and IPv6 addresses in turn; n is at most 200.
func (w *World) Crowd(n int) []Stranger {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := len(w.crowd); i < n; i++ {
		a := netip.AddrFrom4([4]byte{93, 184, 217, byte(i + 1)})
		if i%2 == 1 {
			a = netip.AddrFrom16([16]byte{0x26, 0x06, 0x28, 0, 0x02, 0x1f, 0, 1, 15: byte(i + 1)})
		}
		s := Stranger{fmt.Sprintf("n%d.crowd.example.org", i), a}
		w.fake.SetHost(s.Name, s.Addr)
		w.crowd = append(w.crowd, s)
	}
	return w.crowd[:n:n]
}

// introduce is what the origin of a stranger says first.
func (w *World) introduce(c *fixtures.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.crowd {
		if s.Addr == c.Local().Addr().Unmap() {
			_, err := fmt.Fprintf(c, "%s\n", s.Name)
			return err == nil
		}
	}
	return true
}
