// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package vectors

// Policies used by the vectors. "core" needs no feature; the others name theirs.
func Policies() map[string]Policy {
	return map[string]Policy{
		"core":  {Allow: coreNames()},
		"none":  {},
		"mixed": {Allow: []string{"Allowed.Example.COM"}},
		"any":   {Allow: []string{"*"}, Features: []string{"any-name"}},
		"wild": {
			Allow:    []string{"allowed.example.com", "*.wild.example.com"},
			Features: []string{"wildcards"},
		},
		"deep": {
			Allow:    []string{"allowed.example.com", "**.deep.example.com"},
			Features: []string{"deep-wildcards"},
		},
		"ports": {
			Allow: []string{
				"allowed.example.com", "second.example.org:8443", "range.example.com:8440-8450", "every.example.com:*",
			},
			Features: []string{"port-rules"},
		},
		"addresses": {
			Allow: []string{
				"allowed.example.com", "private.example.com", "loopback.example.com", "93.184.215.20",
				"[2606:2800:21f::20]:8443", "10.1.0.0/16:443", "127.0.0.1:8443",
			},
			Features: []string{"address-rules"},
		},
		"deny": {
			Allow:    []string{"allowed.example.com", "second.example.org", "range.example.com"},
			Deny:     []string{"second.example.org", "range.example.com:443"},
			Features: []string{"deny-rules"},
		},
	}
}

func coreNames() []string {
	names := []string{
		"allowed.example.com", "second.example.org", "my_svc.example.com", "six.example.com", "refused.example.com",
		"absent.example.com", "servfail.example.com", "empty.example.com", "blackhole.example.com", "silent.example.com",
		"alias.example.com", "rebind.example.com", "mixed4.example.com", "mixed6.example.com",
		"localalias.example.com",
	}
	for _, s := range specialNames() {
		names = append(names, s.Host)
	}
	return names
}

// specialNames are names on the core allowlist that resolve to addresses nobody may reach by name.
func specialNames() []Name {
	return []Name{
		{"loopback.example.com", []string{"127.0.0.1"}},
		{"loopback6.example.com", []string{"::1"}},
		{"private.example.com", []string{"10.1.2.3"}},
		{"private172.example.com", []string{"172.16.5.4"}},
		{"private192.example.com", []string{"192.168.1.1"}},
		{"ula.example.com", []string{"fd12:3456::1"}},
		{"metadata.example.com", []string{"169.254.169.254"}},
		{"linklocal6.example.com", []string{"fe80::1"}},
		{"cgnat.example.com", []string{"100.64.0.1"}},
		{"multicast.example.com", []string{"224.0.0.1"}},
		{"zero.example.com", []string{"0.0.0.0"}},
		{"zero6.example.com", []string{"::"}},
		{"mapped.example.com", []string{"::ffff:10.1.2.3"}},
		{"nat64.example.com", []string{"64:ff9b::a01:203"}},
		{"sixtofour.example.com", []string{"2002:a01:203::1"}},
		{"teredo.example.com", []string{"2001:0:a01:203::1"}},
	}
}

// Names returns every name of the world that resolves, allowed or not. Names that no vector may resolve
// are here too, so that a proxy at fault is seen reaching them.
func Names() []Name {
	names := []Name{
		{"allowed.example.com", []string{"93.184.215.14"}},
		{"second.example.org", []string{"93.184.215.15"}},
		{"my_svc.example.com", []string{"93.184.215.16"}},
		{"range.example.com", []string{"93.184.215.17"}},
		{"every.example.com", []string{"93.184.215.18"}},
		{"refused.example.com", []string{"93.184.215.19"}},
		{"six.example.com", []string{"2606:2800:21f::14"}},
		{"empty.example.com", nil},
		{"blackhole.example.com", []string{"93.184.215.30"}},
		{"mixed4.example.com", []string{"93.184.215.21", "10.1.2.3"}},
		{"mixed6.example.com", []string{"93.184.215.22", "fd12:3456::1"}},
		{"a.wild.example.com", []string{"93.184.215.23"}},
		{"a.deep.example.com", []string{"93.184.215.24"}},
		{"b.a.deep.example.com", []string{"93.184.215.24"}},
		{"wild.example.com", []string{"45.33.32.10"}},
		{"deep.example.com", []string{"45.33.32.10"}},
		{"b.a.wild.example.com", []string{"45.33.32.10"}},
		{"evilwild.example.com", []string{"45.33.32.10"}},
	}
	for _, h := range []string{
		"denied.example.net", "other.example.net", "evilallowed.example.com", "xallowed.example.com",
		"allowed.example.com.evil.example.net", "allowed.example.comevil.example.net", "sub.allowed.example.com",
		"example.com", "com", "allowed", "evil.example.net", "metadata", "intranet", "llowed.example.com",
		"xn--llowed-2nf.example.com", "metadata.google.internal",
	} {
		names = append(names, Name{h, []string{"45.33.32.156"}})
	}
	return append(names, specialNames()...)
}
