// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestStartRefusesAnInvalidSpec(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spec Spec
		want string
	}{
		"zero":          {Spec{}, "no command"},
		"empty name":    {Spec{Argv: []string{"", "x"}}, "no command"},
		"negative port": {Spec{Argv: []string{"x"}, Port: -1}, "outside 0 to 65535"},
		"large port":    {Spec{Argv: []string{"x"}, Port: 65536}, "outside 0 to 65535"},
		"no equal sign": {Spec{Argv: []string{"x"}, Env: []string{"NAME"}}, `"NAME"`},
		"no name":       {Spec{Argv: []string{"x"}, Env: []string{"=secret"}}, "NAME=value"},
		"NUL":           {Spec{Argv: []string{"x"}, Env: []string{"A=secret\x00B=1"}}, `"A"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, err := tc.spec.Start(t.Context())
			if h != nil || !errors.Is(err, ErrInvalidSpec) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Start = %v, %v; want ErrInvalidSpec with %q", h, err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error shows a value of the environment: %v", err)
			}
		})
	}
}

// EX-01: a command that cannot be run is an error at once.
func TestStartWithoutProgram(t *testing.T) {
	t.Parallel()
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, argv := range map[string][]string{
		"missing":        {"sallyport-no-such-program"},
		"missing path":   {filepath.Join(t.TempDir(), "absent")},
		"not executable": {plain},
		"directory":      {t.TempDir()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, err := Spec{Argv: argv}.Start(t.Context())
			if h != nil || err == nil || !strings.HasPrefix(err.Error(), "external: ") {
				t.Errorf("Start = %v, %v; want an error of this package", h, err)
			}
		})
	}
}

func TestStartWithEndedContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the user went home")
	cancel(cause)
	if h, err := (Spec{Argv: []string{"x"}}).Start(ctx); h != nil || !errors.Is(err, cause) {
		t.Errorf("Start = %v, %v; want the context's cause", h, err)
	}
}

func TestFixedPortInUse(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{
		"the same":      "127.0.0.1:0",
		"all addresses": "0.0.0.0:0",
		"IPv6 loopback": "[::1]:0",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", address)
			if err != nil {
				t.Skip(err) // a host without IPv6
			}
			defer l.Close()
			port := l.Addr().(*net.TCPAddr).Port
			h, err := Spec{Argv: []string{"sallyport-no-such-program"}, Port: port}.Start(t.Context())
			if h != nil || !errors.Is(err, ErrPortInUse) {
				t.Errorf("Start = %v, %v; want ErrPortInUse before anything is started", h, err)
			}
		})
	}
}

func TestChosenPortsDiffer(t *testing.T) {
	t.Parallel()
	const n = 200
	seen := make(map[int]bool)
	for range n {
		held, err := choosePort(0)
		if err != nil {
			t.Fatal(err)
		}
		defer held.release()
		if held.port <= 0 || seen[held.port] {
			t.Fatalf("choosePort = %d; want a port above 0 that is not taken", held.port)
		}
		seen[held.port] = true
	}
}

// EX-13: placeholders are replaced inside arguments, and nothing else happens to them.
func TestArgv(t *testing.T) {
	t.Parallel()
	s := Spec{Argv: []string{"p{port}", "{port}", "--listen=127.0.0.1:{port},{port}", "$(id); `id` {host} {PORT} {socket} 'a b'", "{{port}} {{{port}} {addr} {dir} {config} {{x}}"}}
	got := s.argv(place{port: 8080, dir: "/d/{port}"})
	want := []string{"p8080", "8080", "--listen=127.0.0.1:8080,8080", "$(id); `id` {host} {PORT} {socket} 'a b'", "{port} {{port} 127.0.0.1:8080 /d/{port} /d/{port}/config {{x}}"}
	if !slices.Equal(got, want) {
		t.Errorf("argv = %q; want %q", got, want)
	}
	if s.Argv[1] != "{port}" {
		t.Error("argv changed the Spec")
	}
}

// EX-14: the child gets what is configured and a base that carries no secrets.
func TestChildEnviron(t *testing.T) {
	t.Parallel()
	host := []string{
		"PATH=/bin", "HOME=/root", "LANG=C", "LC_ALL=C.UTF-8", "TZ=UTC", "AWS_SECRET_ACCESS_KEY=x",
		"HTTP_PROXY=http://h", "https_proxy=http://h", "ALL_PROXY=h", "NO_PROXY=*", "SSH_AUTH_SOCK=/s",
		"LD_PRELOAD=/x.so", "SALLYPORT_PROXY_PORT=1", "SALLYPORT_PROXY_ID=old",
	}
	got := childEnviron(host, []string{"HOME=/srv", "A=1", "A=at {port}", "SALLYPORT_PROXY_PORT=2"}, place{port: 3128}, "m")
	want := []string{"PATH=/bin", "LANG=C", "LC_ALL=C.UTF-8", "TZ=UTC", "HOME=/srv", "A=at 3128", "SALLYPORT_PROXY_PORT=3128", "SALLYPORT_PROXY_ID=m"}
	if !slices.Equal(got, want) {
		t.Errorf("childEnviron = %q; want %q", got, want)
	}
}
