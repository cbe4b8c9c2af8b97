// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// withoutResults has the modes probed anew, during the test and after it.
func withoutResults(t *testing.T) {
	t.Helper()
	forget := func() {
		probed.Lock()
		defer probed.Unlock()
		probed.results = nil
	}
	forget()
	t.Cleanup(forget)
}

func TestProbe(t *testing.T) {
	forEachMode(t, func(t *testing.T, m Mode) {
		for range 2 { // tried, and remembered
			if got, err := Probe(t.Context(), m); got != m || err != nil {
				t.Errorf("Probe(%s) = %s, %v", m, got, err)
			}
		}
		for _, auto := range []Mode{Auto, ""} {
			if got, err := Probe(t.Context(), auto); err != nil || got != Bwrap && got != UserNS {
				t.Errorf("Probe(%q) = %q, %v", auto, got, err)
			}
		}
	})
	if got, err := Probe(t.Context(), "none"); err == nil || !strings.Contains(err.Error(), `unknown sandbox mode "none"`) {
		t.Errorf("Probe(none) = %q, %v, want an error", got, err)
	}
}

func TestProbeWithoutBwrap(t *testing.T) {
	_, uerr := Probe(t.Context(), UserNS)
	withoutResults(t)
	t.Setenv("PATH", tempDir(t))
	_, err := Probe(t.Context(), Bwrap)
	if err == nil || !strings.Contains(err.Error(), "apt-get install bubblewrap") || !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("Probe(bwrap) without bwrap: %v, want an error that says how to install it", err)
	}
	if got, err := Probe(t.Context(), Auto); uerr == nil && (got != UserNS || err != nil) {
		t.Errorf("Probe(auto) without bwrap = %q, %v, want userns", got, err)
	}
}

// TestProbeBrokenBwrap: one that is installed but does not work is not used, and
// what it says is passed on. One that does nothing at all, but successfully, neither.
func TestProbeBrokenBwrap(t *testing.T) {
	for _, tc := range []struct{ name, script, want string }{
		{"fails", "echo 'bwrap: No permissions to create new namespace' >&2; exit 1", "bwrap: No permissions to create new namespace"},
		{"shares the network", `while [ "$1" != -- ]; do shift; done; shift; exec "$@"`, "shares the host's net namespace"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			withoutResults(t)
			dir := tempDir(t)
			if err := os.WriteFile(dir+"/bwrap", []byte("#!/bin/sh\n"+tc.script+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
			if _, err := Probe(t.Context(), Bwrap); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Probe(bwrap): %v, want an error with %q", err, tc.want)
			}
			if got, _ := Probe(t.Context(), Auto); got == Bwrap {
				t.Error("Probe(auto) = bwrap, which does not work")
			}
		})
	}
}

func TestProbeCancelled(t *testing.T) {
	withoutResults(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Probe(ended, UserNS); !errors.Is(err, context.Canceled) {
		t.Errorf("Probe after the context's end: %v, want context.Canceled", err)
	}
	forEachMode(t, func(t *testing.T, m Mode) {
		if _, err := Probe(t.Context(), m); err != nil {
			t.Errorf("the end of one caller's context was remembered for another: %v", err)
		}
	})
}

func TestExplain(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		files map[string]string
		want  string // "" nothing
	}{
		{"nothing known", map[string]string{"/proc/sys/user/max_user_namespaces": "1000\n"}, ""},
		{"Debian's switch", map[string]string{"/proc/sys/kernel/unprivileged_userns_clone": "0\n"}, "sysctl -w kernel.unprivileged_userns_clone=1"},
		{"limit", map[string]string{"/proc/sys/user/max_user_namespaces": "0\n"}, "sysctl -w user.max_user_namespaces=15000"},
		{"AppArmor", map[string]string{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n"}, "AppArmor restricts user namespaces"},
		{"root without capabilities", map[string]string{"/proc/self/status": "Uid:\t0\t0\t0\t0\nCapEff:\t0000000000000000\n"}, "run as an ordinary user"},
		{"root with capabilities", map[string]string{"/proc/self/status": "Uid:\t0\t0\t0\t0\nCapEff:\t00000000a80425fb\n"}, ""},
		{"ordinary user", map[string]string{"/proc/self/status": "Uid:\t5\t5\t5\t5\nCapEff:\t0000000000000000\n"}, ""},
		{"masked /proc", map[string]string{"/proc/self/mountinfo": "36 35 0:33 / /proc rw - proc proc rw\n37 36 0:34 / /proc/kcore rw - tmpfs tmpfs rw\n"}, "systempaths=unconfined"},
		{"whole /proc", map[string]string{"/proc/self/mountinfo": "36 35 0:33 / /proc rw - proc proc rw\n37 36 0:34 / /proc/sys/fs/binfmt_misc rw - autofs x rw\n"}, ""},
	} {
		got := explain(func(name string) ([]byte, error) {
			if text, ok := tc.files[name]; ok || name == "/proc/self/ns/user" {
				return []byte(text), nil
			}
			return nil, fs.ErrNotExist
		})
		if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
			t.Errorf("%s: explain = %q, want %q", tc.name, got, tc.want)
		}
	}
}

// TestProbeTellsWhoseItIsOnce: what both modes say is one message, not two with a name in its middle.
func TestProbeTellsWhoseItIsOnce(t *testing.T) {
	withoutResults(t)
	probed.results = map[Mode]error{
		Bwrap:  errors.New("bridge: sandbox mode bwrap: one"),
		UserNS: fmt.Errorf("bridge: sandbox mode userns: %w", unix.EPERM),
	}
	_, err := Probe(t.Context(), Auto)
	if err == nil || strings.LastIndex(err.Error(), "bridge:") != 0 || strings.Contains(err.Error(), "\n") || !errors.Is(err, unix.EPERM) {
		t.Errorf("got %q, want one line with one prefix that wraps the causes", err)
	}
}
