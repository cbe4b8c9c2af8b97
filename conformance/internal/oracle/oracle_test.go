// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"net/netip"
	"slices"
	"testing"
)

var (
	right = netip.MustParseAddrPort("93.184.215.14:443")
	wrong = netip.MustParseAddrPort("10.1.2.3:443")
)

func kinds(f []Finding) []Kind {
	var out []Kind
	for _, x := range f {
		out = append(out, x.Kind)
	}
	return out
}

func TestContained(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		e    Evidence
		x    Expectation
		want []Kind
	}{
		{"refused", Evidence{Status: 403}, Expectation{}, nil},
		{"closed without a word", Evidence{Ended: true}, Expectation{}, nil},
		{"no answer at all", Evidence{TimedOut: true}, Expectation{}, nil},
		{"any other status", Evidence{Status: 502}, Expectation{}, nil},
		{"never asked", Evidence{Unreached: true}, Expectation{}, []Kind{Control}},
		{"tunnel", Evidence{Status: 200}, Expectation{}, []Kind{ClientStatus}},
		{"refused after dialling", Evidence{Status: 403, Dials: []netip.AddrPort{right}}, Expectation{}, []Kind{OriginDial}},
		{"refused after asking", Evidence{Status: 403, Queries: []string{"A x"}}, Expectation{}, []Kind{DNSQuery}},
		{"asked where it may", Evidence{Status: 403, Queries: []string{"A x"}}, Expectation{Lookup: true}, nil},
		{"everything at once", Evidence{Status: 204, Dials: []netip.AddrPort{right}, Queries: []string{"A x"}}, Expectation{},
			[]Kind{OriginDial, DNSQuery, ClientStatus}},
		{"the client was told 403, the origin was connected, the echo came back",
			Evidence{Status: 403, Echo: true, Dials: []netip.AddrPort{wrong}}, Expectation{}, []Kind{OriginDial}},
	} {
		if got := kinds(Contained(c.e, c.x)); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestAnswered(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		e    Evidence
		x    Expectation
		want []Kind
	}{
		{"as wanted", Evidence{Status: 403}, Expectation{Status: []int{403}}, nil},
		{"one of two", Evidence{Status: 400}, Expectation{Status: []int{403, 400}}, nil},
		{"another", Evidence{Status: 404}, Expectation{Status: []int{403}}, []Kind{ClientStatus}},
		{"closed where it may", Evidence{Ended: true}, Expectation{Status: []int{400}, MayClose: true}, nil},
		{"closed where it may not", Evidence{Ended: true}, Expectation{Status: []int{400}}, []Kind{ClientStatus}},
		{"silence where it may close", Evidence{TimedOut: true}, Expectation{Status: []int{400}, MayClose: true}, []Kind{ClientStatus}},
		{"a wrong status, then closed", Evidence{Status: 500, Ended: true}, Expectation{Status: []int{400}, MayClose: true}, []Kind{ClientStatus}},
		{"nothing expected", Evidence{}, Expectation{}, []Kind{ClientStatus}},
		{"never asked", Evidence{Unreached: true}, Expectation{Status: []int{400}, MayClose: true}, []Kind{Control}},
	} {
		if got := kinds(Answered(c.e, c.x)); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestAllowed(t *testing.T) {
	t.Parallel()
	x := Expectation{Status: []int{200}, Reach: []netip.AddrPort{right}}
	for _, c := range []struct {
		name string
		e    Evidence
		want []Kind
	}{
		{"tunnel", Evidence{Status: 200, Echo: true, Dials: []netip.AddrPort{right}}, nil},
		{"refused", Evidence{Status: 403}, []Kind{ClientStatus}},
		{"never asked", Evidence{Unreached: true}, []Kind{Control}},
		{"200 and no echo", Evidence{Status: 200, Dials: []netip.AddrPort{right}}, []Kind{ClientStream}},
		{"somewhere else", Evidence{Status: 200, Echo: true, Dials: []netip.AddrPort{wrong}}, []Kind{OriginDial}},
		{"there and somewhere else", Evidence{Status: 200, Echo: true, Dials: []netip.AddrPort{right, wrong}}, []Kind{OriginDial}},
		{"an echo from nowhere", Evidence{Status: 200, Echo: true}, []Kind{OriginDial}},
	} {
		if got := kinds(Allowed(c.e, x)); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}
