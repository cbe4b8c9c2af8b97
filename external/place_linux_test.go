// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The files of a start are the child's alone, complete when it starts, and gone with it.
func TestPrivateDirectory(t *testing.T) {
	t.Parallel()
	path, temp := filepath.Join(t.TempDir(), "report"), t.TempDir()
	mark := testMark(t)
	h := start(t, Spec{
		TempDir: temp,
		Argv:    fake(t, "report", "", path, "{config}", "{dir}", "{addr}"),
		Env:     []string{mark, "WHERE={dir}"},
		Config:  "listen {addr}\nfile {dir}/sub/a b\n{other}\n",
		Files:   map[string]string{"sub/a b": "port {port} {{port}}"},
	})
	raw, err := os.ReadFile(path)
	var got fakeReport
	if err := errors.Join(err, json.Unmarshal(raw, &got)); err != nil {
		t.Fatal(err)
	}
	config, dir := got.Args[0], got.Args[1]
	if got.Args[2] != h.Addr() || filepath.Dir(config) != dir || !strings.Contains(strings.Join(got.Environ, "\n"), "WHERE="+dir) {
		t.Errorf("arguments %q and environment %q; want address %s and directory", got.Args, got.Environ, h.Addr())
	}
	if filepath.Dir(dir) != temp || !slices.Contains(got.Environ, "TMPDIR="+temp) {
		t.Errorf("private directory %s and environment %q; want both in %s", dir, got.Environ, temp)
	}
	_, port, _ := strings.Cut(h.Addr(), ":")
	for name, want := range map[string]struct {
		mode fs.FileMode
		text string
	}{
		dir: {0o700 | fs.ModeDir, ""}, filepath.Join(dir, "sub"): {0o700 | fs.ModeDir, ""},
		config:                        {0o600, "listen " + h.Addr() + "\nfile " + dir + "/sub/a b\n{other}\n"},
		filepath.Join(dir, "sub/a b"): {0o600, "port " + port + " {port}"},
	} {
		info, err := os.Stat(name)
		if err != nil || info.Mode() != want.mode {
			t.Errorf("%s: %v, %v; want mode %v", name, info, err, want.mode)
			continue
		}
		if text, _ := os.ReadFile(name); !info.IsDir() && string(text) != want.text {
			t.Errorf("%s holds %q; want %q", name, text, want.text)
		}
	}
	// SIGKILL leaves no child the time to tidy up.
	for _, pid := range carriers(mark) {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	<-h.Done()
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory after the child's death: %v; want none", err)
	}
}

func TestInvalidPlaces(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spec Spec
		want string
	}{
		"port with Socket":      {Spec{Argv: []string{"x", "{port}"}, Socket: true}, "{port} has nothing"},
		"addr with Socket":      {Spec{Argv: []string{"x"}, Config: "{addr}", Socket: true}, "{addr} has nothing"},
		"socket without Socket": {Spec{Argv: []string{"x"}, Files: map[string]string{"a": "{socket}"}}, "{socket} has nothing"},
		"config without Config": {Spec{Argv: []string{"x", "-f{config}"}}, "{config} has nothing"},
		"Port and Socket":       {Spec{Argv: []string{"x"}, Socket: true, Port: 1}, "exclude"},
		"outside":               {Spec{Argv: []string{"x"}, Files: map[string]string{"../a": ""}}, "relative path"},
		"absolute":              {Spec{Argv: []string{"x"}, Files: map[string]string{"/a": ""}}, "relative path"},
		"not clean":             {Spec{Argv: []string{"x"}, Files: map[string]string{"a//b": ""}}, "relative path"},
		"empty name":            {Spec{Argv: []string{"x"}, Files: map[string]string{"": ""}}, "relative path"},
		"taken":                 {Spec{Argv: []string{"x"}, Files: map[string]string{"config": ""}}, "is taken"},
		"probe without port":    {Spec{Argv: []string{"x"}, Probe: "a"}, "host:port"},
		"probe with a head":     {Spec{Argv: []string{"x"}, Probe: "a\r\nX: y:1"}, "host:port"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, err := tc.spec.Start(t.Context())
			if h != nil || !errors.Is(err, ErrInvalidSpec) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Start = %v, %v; want ErrInvalidSpec with %q", h, err, tc.want)
			}
		})
	}
	if err := (Spec{Argv: []string{"x", "{{port}} {{socket}}"}, Socket: true}).checkPlaceholders(); err != nil {
		t.Errorf("words in double braces: %v", err)
	}
}

// A proxy on a Unix socket: nothing listens on TCP, what is attached gets there.
func TestSocket(t *testing.T) {
	t.Parallel()
	h := start(t, Spec{Argv: fake(t, "socket", "", "{socket}"), Socket: true})
	if h.Addr() != "" || h.Port() != 0 {
		t.Errorf("Addr = %q; want none", h.Addr())
	}
	c := dialAttached(t, h)
	if got := connectOver(t, c, "github.com:443"); got != 200 {
		t.Errorf("CONNECT through the socket = %d; want 200", got)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	awaitEOF(t, c)
}

func TestSocketNotListenedOn(t *testing.T) {
	t.Parallel()
	err := startFails(t, Spec{Argv: fake(t, "serve", "0"), Socket: true, StartTimeout: 100 * time.Millisecond})
	if !errors.Is(err, ErrStartTimeout) || !strings.Contains(err.Error(), "{socket}") {
		t.Errorf("Start: %v; want ErrStartTimeout with the remedy", err)
	}
}

// EX-11: a proxy on a Unix socket must not listen on the network either.
func TestSocketExposed(t *testing.T) {
	t.Parallel()
	if err := startFails(t, Spec{Argv: fake(t, "socket-exposed", "", "{socket}"), Socket: true, StartTimeout: long}); !errors.Is(err, ErrExposed) {
		t.Errorf("Start: %v; want ErrExposed", err)
	}
}

// EX-04: a socket somebody else listens on is not the child's.
func TestStrangerOnTheSocket(t *testing.T) {
	t.Parallel()
	at := place{socket: filepath.Join(t.TempDir(), "s o")}
	l := listenSocket(at.socket)
	defer l.Close()
	p, err := launch(Spec{Argv: fake(t, "never")}, at)
	if err != nil {
		t.Fatal(err)
	}
	defer p.kill()
	if _, err := p.awaitReady(t.Context(), readiness{at: at, limit: long}); !errors.Is(err, ErrStranger) {
		t.Errorf("awaitReady: %v; want ErrStranger", err)
	}
}

// A path that no socket can have is an error before anything is started.
func TestSocketPathTooLong(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("x", 100))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", dir)
	_, err := Spec{Argv: fake(t, "socket", "", "{socket}"), Socket: true}.Start(t.Context())
	left, _ := os.ReadDir(dir)
	if err == nil || !strings.Contains(err.Error(), "TMPDIR") || len(left) > 0 {
		t.Errorf("Start: %v with %v left; want an error about TMPDIR", err, left)
	}
}
