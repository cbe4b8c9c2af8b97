// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

// EX-05 and EX-15: a proxy that does not say no is not started, and what it said instead is told.
func TestDenyProbe(t *testing.T) {
	t.Parallel()
	const line = "HTTP/1.1 "
	for name, tc := range map[string]struct {
		answer string
		spec   Spec
		want   error // nil: started
	}{
		"403":                  {answer: line + "403 Forbidden\r\n\r\n"},
		"403 of HTTP/1.0":      {answer: "HTTP/1.0 403 Forbidden\r\n\r\n"},
		"403 without a reason": {answer: line + "403\r\n\r\n"},
		"407":                  {answer: line + "407 Proxy Authentication Required\r\n\r\n"},
		"closed":               {answer: ""},
		"100 and 403":          {answer: line + "100 Continue\r\n\r\n" + line + "403 Forbidden\r\n\r\n"},
		"200":                  {answer: line + "200 OK\r\n\r\n", want: ErrOpen},
		"299":                  {answer: line + "299 Fine\r\n\r\n", want: ErrOpen},
		"100 and 200":          {answer: line + "100 Continue\r\n\r\n" + line + "200 OK\r\n\r\n", want: ErrOpen},
		"502":                  {answer: line + "502 Bad Gateway\r\n\r\n", want: ErrOpen},
		"404":                  {answer: line + "404 No such domain\r\n\r\n", want: ErrOpen},
		"302":                  {answer: line + "302 Found\r\n\r\n", want: ErrOpen},
		"not HTTP":             {answer: "SSH-2.0-OpenSSH\r\n", want: ErrOpen},
		"no end":               {answer: strings.Repeat("x", 2*probeBytes), want: ErrOpen},
		"own name, 503":        {answer: line + "503 Unavailable\r\n\r\n", spec: Spec{Probe: "denied.example:443"}},
		"own name, 404":        {answer: line + "404 Not Found\r\n\r\n", spec: Spec{Probe: "denied.example:443"}},
		"own name, 200":        {answer: line + "200 OK\r\n\r\n", spec: Spec{Probe: "denied.example:443"}, want: ErrOpen},
		"nobody's, 403":        {answer: line + "403 Forbidden\r\n\r\n", spec: Spec{Probe: deniedTargets[0]}},
		"nobody's, 503":        {answer: line + "503 Unavailable\r\n\r\n", spec: Spec{Probe: deniedTargets[0]}, want: ErrOpen},
		"nobody's, 404":        {answer: line + "404 Not Found\r\n\r\n", spec: Spec{Probe: "Any.Thing.invalid.:1"}, want: ErrOpen},
		"a blank line":         {answer: "\r\n" + line + "200 OK\r\n\r\n", want: ErrOpen},
		"blank lines":          {answer: strings.Repeat("\n", 2*probeBytes), want: ErrOpen},
		"unfiltered":           {answer: line + "200 OK\r\n\r\n", spec: Spec{Unfiltered: true}},
		"locked, 407":          {answer: line + "407 Who?\r\n\r\n", spec: Spec{Unfiltered: true, credentials: &credentials{"u", "p"}}},
		"locked, 403":          {answer: line + "403 No\r\n\r\n", spec: Spec{Unfiltered: true, credentials: &credentials{"u", "p"}}, want: ErrOpen},
		"locked, 200":          {answer: line + "200 OK\r\n\r\n", spec: Spec{Unfiltered: true, credentials: &credentials{"u", "p"}}, want: ErrOpen},
		"locked, closed":       {answer: "", spec: Spec{Unfiltered: true, credentials: &credentials{"u", "p"}}, want: ErrOpen},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := tc.spec
			s.Argv, s.StartTimeout = fake(t, "answer", "", tc.answer), long
			if tc.want == nil {
				start(t, s)
				return
			}
			err := startFails(t, s)
			first, _, _ := strings.Cut(tc.answer[:min(len(tc.answer), 40)], "\r\n")
			if !errors.Is(err, tc.want) || strings.HasPrefix(first, line) && !strings.Contains(err.Error(), first[len(line):]) && !strings.HasPrefix(first, line+"100") {
				t.Errorf("Start: %v; want %v with the answer %q", err, tc.want, first)
			}
		})
	}
}

// A child that accepts and says nothing is not waited for without end.
func TestSilentProxy(t *testing.T) {
	t.Parallel()
	err := startFails(t, Spec{Argv: fake(t, "silent"), StartTimeout: 300 * time.Millisecond})
	if !errors.Is(err, ErrStartTimeout) || !strings.Contains(err.Error(), "did not answer") {
		t.Errorf("Start: %v; want ErrStartTimeout because of the probe", err)
	}
}

// An answer without end is no answer; only its beginning is read.
func TestEndlessAnswer(t *testing.T) {
	t.Parallel()
	if err := startFails(t, Spec{Argv: fake(t, "endless"), StartTimeout: long}); !errors.Is(err, ErrOpen) || len(err.Error()) > 2*probeBytes {
		t.Errorf("Start: %.300v; want ErrOpen", err)
	}
}

// A crash at the first connection is not taken for a refusal.
func TestCrashIsNoRefusal(t *testing.T) {
	t.Parallel()
	err := startFails(t, Spec{Argv: fake(t, "die-at-once"), StartTimeout: long})
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Code != 9 {
		t.Errorf("Start: %v; want an *ExitError with status 9", err)
	}
}

// A proxy that may be reached from the network is reached over loopback from here.
func TestAllowExposed(t *testing.T) {
	t.Parallel()
	for behaviour, host := range map[string]string{"expose": "127.0.0.1", "expose-other": "127.0.0.1", "expose6": ""} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			h := start(t, Spec{Argv: fake(t, behaviour), AllowExposed: true})
			if got, _, _ := net.SplitHostPort(h.Addr()); got != host && (host != "" || !net.ParseIP(got).IsLoopback()) {
				t.Errorf("Addr = %q; want a loopback address", h.Addr())
			}
			dial(t, h)
		})
	}
}
