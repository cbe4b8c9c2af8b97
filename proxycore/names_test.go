// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
)

func TestNamePoolIsBoundedAndNeverReused(t *testing.T) {
	t.Parallel()
	var p namePool
	seen := make(map[netip.Addr]string)
	for i := range maxNames {
		name := fmt.Sprintf("n%d.test", i)
		v4, v6, ok := p.addresses(name)
		if !ok || !pool4.Contains(v4) || !pool6.Contains(v6) {
			t.Fatalf("the addresses of name %d = %v, %v, %v", i, v4, v6, ok)
		}
		if last := v4.As4()[3]; last == 0 || last == 255 {
			t.Fatalf("name %d has %v, which looks like a network or a broadcast", i, v4)
		}
		for _, a := range []netip.Addr{v4, v6} {
			if other := seen[a]; other != "" {
				t.Fatalf("%v is both %s's and %s's", a, other, name)
			}
			seen[a] = name
		}
	}
	if v4, v6, ok := p.addresses("one.more.test"); ok || v4.IsValid() || v6.IsValid() {
		t.Errorf("name %d got %v, %v", maxNames+1, v4, v6)
	}
	for a, want := range seen {
		if got, pooled := p.name(a); got != want || !pooled {
			t.Fatalf("the name of %v = %q, %v; want %q", a, got, pooled, want)
		}
	}
	if v4, _, ok := p.addresses("n0.test"); !ok || seen[v4] != "n0.test" {
		t.Errorf("n0.test has moved to %v", v4)
	}
}

func TestNamePoolAddressesNobodyWasTold(t *testing.T) {
	t.Parallel()
	var p namePool
	p.addresses("github.com")
	for addr, pooled := range map[string]bool{
		"198.18.0.1": true, "198.18.0.0": true, "198.18.0.2": true, "198.18.0.255": true, "198.18.1.0": true, "198.19.255.255": true,
		"fd73:616c:6c79::": true, "fd73:616c:6c79::1": true, "fd73:616c:6c79::2": true, "fd73:616c:6c79::1:0:0:1": true,
		"fd73:616c:6c79:1::1": true, "fd73:616c:6c79:ffff:ffff:ffff:ffff:ffff": true, "fd73:616c:6c79::ffff:ffff": true,
		"198.17.255.255": false, "198.20.0.0": false, "fd73:616c:6c78::1": false, "fd73:616c:6c7a::1": false, "127.0.0.1": false, "::1": false,
	} {
		want := ""
		if addr == "198.18.0.1" || addr == "fd73:616c:6c79::1" {
			want = "github.com"
		}
		if name, got := p.name(netip.MustParseAddr(addr)); name != want || got != pooled {
			t.Errorf("the name of %s = %q, pooled %v; want %q, %v", addr, name, got, want, pooled)
		}
	}
}

func TestNamePoolConcurrently(t *testing.T) {
	t.Parallel()
	var p namePool
	var wg sync.WaitGroup
	var got [8][100]netip.Addr
	for i := range got {
		wg.Go(func() {
			for j := range got[i] {
				got[i][j], _, _ = p.addresses(fmt.Sprint("n", j, ".test"))
				p.name(got[i][j])
			}
		})
	}
	wg.Wait()
	for i := range got {
		if got[i] != got[0] {
			t.Errorf("goroutine %d was told other addresses than goroutine 0", i)
		}
	}
}
