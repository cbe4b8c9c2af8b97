// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// withBwrap puts a program of that name before the real one, whose path it has as $BWRAP, and has nothing be known of it.
func withBwrap(t *testing.T, script string) {
	t.Helper()
	real, err := exec.LookPath("bwrap")
	if err != nil {
		real = "/nonexistent/bwrap"
	}
	withoutResults(t)
	dir := tempDir(t)
	if err := os.WriteFile(dir+"/bwrap", []byte("#!/bin/sh\nBWRAP="+real+"\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// TestSandboxWays: a way to make a sandbox that comes to nothing runs nothing; under Auto there is another, and what the
// first had to say is not heard. A sandbox that was entered is the one, however it ends.
func TestSandboxWays(t *testing.T) {
	for _, tc := range []struct {
		name, script string
		need         Mode // that must work here, or ""
		mode         Mode
		status       int
		says         string
		runs         int // how often the command ran
	}{
		{"fails, auto", "echo 'bwrap: no' >&2; exit 1", UserNS, Auto, 7, "", 1},
		{"fails, zero value", "echo 'bwrap: no' >&2; exit 1", UserNS, "", 7, "", 1},
		{"fails, bwrap", "echo 'bwrap: no' >&2; exit 1", "", Bwrap, ExitFailed, "has made no sandbox: bwrap: no (exit status 1)", 0},
		{"is killed, auto", "kill -9 $$", UserNS, Auto, 7, "", 1},
		{"is killed, bwrap", "kill -9 $$", "", Bwrap, ExitFailed, "has made no sandbox: signal: killed", 0},
		{"does nothing, auto", "exit 0", UserNS, Auto, 7, "", 1},
		{"does nothing, bwrap", "exit 0", "", Bwrap, ExitFailed, "has made no sandbox: exit status 0", 0},
		{"shares the network, auto", `while [ "$1" != -- ]; do shift; done; shift; exec "$@"`, UserNS, Auto, 7, "", 1},
		{"shares the network, bwrap", `while [ "$1" != -- ]; do shift; done; shift; exec "$@"`, "", Bwrap, ExitFailed, "shares the host's net namespace", 0},
		{"loses the status, auto", `"$BWRAP" "$@"; exit 9`, Bwrap, Auto, 9, "", 1},
		{"says something in the end, auto", `"$BWRAP" "$@"; s=$?; echo much >&2; exit $s`, Bwrap, Auto, 7, "", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := Probe(t.Context(), tc.need); tc.need != "" && err != nil {
				t.Skipf("not tested: %v", err)
			}
			withBwrap(t, tc.script)
			dir := tempDir(t)
			w := newWorld(t)
			cmd := w.command(t, Sandbox{Mode: tc.mode}, "sh", "-c", "echo ran >>"+dir+"/ran; echo heard >&2; exit 7")
			var said bytes.Buffer
			cmd.Stderr = &said
			err := cmd.Run()
			if status, err := waitStatus(cmd, err); status != tc.status || err != nil {
				t.Errorf("status %d, %v, want %d", status, err, tc.status)
			}
			ran, _ := os.ReadFile(dir + "/ran")
			if n := strings.Count(string(ran), "ran"); n != tc.runs {
				t.Errorf("the command ran %d times, want %d", n, tc.runs)
			}
			if tc.runs == 0 && (!strings.HasPrefix(said.String(), messagePrefix) || strings.Count(said.String(), "\n") != 1) {
				t.Errorf("it said %q, want one line of ours", &said)
			}
			if tc.says != "" && !strings.Contains(said.String(), tc.says) || tc.runs > 0 && said.String() != "heard\n" {
				t.Errorf("it said %q, want %q", &said, tc.says)
			}
		})
	}
}

// TestSandboxInterrupted: a bwrap that hangs is no sandbox yet, and ends with the context.
func TestSandboxInterrupted(t *testing.T) {
	mark := marker(t)
	withBwrap(t, "echo up >&2; exec sleep "+mark)
	cmd := newWorld(t).command(t, Sandbox{Mode: Bwrap}, "true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if !eventually(func() bool { return len(processes(t, mark)) > 0 }) {
		t.Fatal("bwrap was not started")
	}
	if err := cmd.Cancel(); err != nil {
		t.Errorf("Cancel: %v", err)
	}
	err := cmd.Wait()
	if status, _ := waitStatus(cmd, err); status != 128+int(unix.SIGKILL) {
		t.Errorf("status %d, want %d", status, 128+int(unix.SIGKILL))
	}
	if left := processes(t, mark); len(left) != 0 {
		t.Errorf("processes %v are left", left)
	}
}

// TestWaysOf: what is known already is an error at once, and Auto is left with the rest.
func TestWaysOf(t *testing.T) {
	broken := errors.New("bridge: it does not work")
	for _, tc := range []struct {
		name  string
		known map[Mode]error
		mode  Mode
		want  []Mode // nil: an error
	}{
		{"nothing known", nil, Auto, []Mode{Bwrap, UserNS}},
		{"bwrap works", map[Mode]error{Bwrap: nil}, Auto, []Mode{Bwrap}},
		{"bwrap does not", map[Mode]error{Bwrap: broken}, Auto, []Mode{UserNS}},
		{"userns does not", map[Mode]error{UserNS: broken}, "", []Mode{Bwrap}},
		{"neither does", map[Mode]error{Bwrap: broken, UserNS: broken}, Auto, nil},
		{"bwrap is wanted and does not", map[Mode]error{Bwrap: broken}, Bwrap, nil},
		{"userns is wanted and does not", map[Mode]error{UserNS: broken}, UserNS, nil},
		{"no mode", nil, "none", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			withBwrap(t, "exit 1")
			probed.results = tc.known
			got, ruledOut, err := waysOf(tc.mode)
			if (tc.want == nil) != (err != nil) || err == nil && !slices.Equal(got, tc.want) {
				t.Errorf("got %v, %v, want %v", got, err, tc.want)
			}
			if len(got) == 1 && tc.mode != Bwrap && tc.mode != UserNS && (ruledOut == nil) != (tc.known[Bwrap] == nil && tc.known[UserNS] == nil) {
				t.Errorf("ruled out: %v", ruledOut)
			}
		})
	}
	withoutResults(t)
	t.Setenv("PATH", tempDir(t))
	if got, ruledOut, err := waysOf(Auto); err != nil || !errors.Is(ruledOut, exec.ErrNotFound) || !slices.Equal(got, []Mode{UserNS}) {
		t.Errorf("without bwrap: %v, %v, want userns", got, err)
	}
	if _, _, err := waysOf(Bwrap); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("bwrap without bwrap: %v, want that it is not found", err)
	}
}

// TestMissing: what is said when nothing worked names the mode that was not even tried.
func TestMissing(t *testing.T) {
	t.Parallel()
	packet, err := encode(message{Params: &params{RuledOut: "bridge: the other"}})
	if err != nil {
		t.Fatal(err)
	}
	tried := errors.New("bridge: this one")
	for _, tc := range []struct {
		mode   Mode
		packet []byte
		want   string
	}{
		{UserNS, packet, ": the other; this one"},
		{Bwrap, packet, ": this one; the other"},
		{Bwrap, []byte(`{"Params":{}}`), "bridge: this one"},
		{Bwrap, nil, "bridge: this one"},
	} {
		if got := noWay(missing(tc.packet, []way{{mode: tc.mode}}, []error{tried})); !strings.HasSuffix(got.Error(), tc.want) {
			t.Errorf("%s: got %q, want %q", tc.mode, got, tc.want)
		}
	}
}

func TestParseWays(t *testing.T) {
	t.Parallel()
	own := []string{"sallyport-init", roleSetup, "sh", "-c"}
	for _, tc := range []struct {
		args []string
		want []way // nil: an error
	}{
		{wayArgs("g", []Mode{UserNS}, nil, []string{"sh", "-c"}), []way{{UserNS, runningProgram, own}}},
		{wayArgs("g", []Mode{Bwrap, UserNS}, []string{"/bwrap", "--"}, []string{"sh", "-c"}),
			[]way{{Bwrap, "/bwrap", []string{"/bwrap", "--", "sh", "-c"}}, {UserNS, runningProgram, own}}},
		{wayArgs("g", []Mode{Bwrap}, nil, []string{"sh"}), nil},
		{wayArgs("g", []Mode{Bwrap}, []string{"/bwrap"}, nil), nil},
		{wayArgs("g", nil, nil, []string{"sh"}), nil},
		{[]string{"g", "userns", "-1", "sh"}, nil},
		{[]string{"g", "userns", "0"}, nil},
		{[]string{"g", "none", "0", "sh"}, nil},
		{[]string{"echo", "ran"}, nil},
	} {
		gate, got, err := parseWays(tc.args)
		if tc.want == nil && err == nil || tc.want != nil && (err != nil || gate != "g" || !reflect.DeepEqual(got, tc.want)) {
			t.Errorf("parseWays(%q) = %q, %q, %v, want %q", tc.args, gate, got, err, tc.want)
		}
	}
}

// TestNoWay: what both modes say is one message, not two with a name in its middle.
func TestNoWay(t *testing.T) {
	t.Parallel()
	err := noWay([]error{errors.New("bridge: sandbox mode bwrap: one"), way{mode: UserNS}.failure(spoken("sallyport: two\nthree\n", io.EOF))})
	const want = "bridge: no way to make a sandbox without a network works here, so nothing is run: sandbox mode bwrap: one; " +
		"sandbox mode userns: namespaces of our own have made no sandbox"
	if text := err.Error(); !strings.HasPrefix(text, want) || !strings.HasSuffix(text, ": two; three (EOF)") || !errors.Is(err, io.EOF) {
		t.Errorf("got %q", text)
	}
}
