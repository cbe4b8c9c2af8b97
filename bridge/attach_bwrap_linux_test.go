// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A bwrap command line of the user's own: the root is read-only, one directory is not.
func TestAttachOwnBwrap(t *testing.T) {
	if _, err := Probe(t.Context(), Bwrap); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("in CI bwrap must work: %v", err)
		}
		t.Skipf("not tested: %v", err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	n := newInternet(t, "allowed.test")
	in := (&world{Handle: n.Handle}).control(t, Admission{Transparent: true})
	dir := publicDir(t)
	line := func(c AttachConfig, options string, argv ...string) *exec.Cmd {
		dev := []string{"--dev", "/dev"}
		if c.Transparent { // see BwrapArgs
			dev = []string{"--dev-bind", "/dev", "/dev"}
		}
		args := append([]string{"--ro-bind", "/", "/", "--bind", dir, dir}, append(dev, c.BwrapArgs()...)...)
		args = append(args, "--", program, "container", "attach", in.Path(), options)
		return exec.CommandContext(t.Context(), "bwrap", append(args, argv...)...)
	}
	plain := AttachConfig{Socket: in.Path()}
	if got := output(t, line(plain, "", "sh", "-c", "touch "+dir+"/yes; touch "+filepath.Dir(dir)+"/no; touch "+filepath.Dir(in.Path())+"/no"), 1); strings.Count(got, "Read-only file system") != 2 {
		t.Errorf("got %q, want two refusals", got)
	}
	if !exists(filepath.Join(dir, "yes")) {
		t.Error("the directory that is to be writable is not")
	}
	if got := output(t, line(plain, "", program, "helper", "connect", "denied.test:443"), 0); got != "403\n" {
		t.Errorf("a tunnel that is not allowed says %q", got)
	}
	if got := output(t, line(plain, "transparent", "true"), ExitFailed); !strings.Contains(got, "CAP_NET_ADMIN") {
		t.Errorf("transparent without the capabilities says %q", got)
	}
	transparent := AttachConfig{Socket: in.Path(), Transparent: true}
	if got := output(t, line(transparent, "transparent", program, "helper", "visit", "http tcp allowed.test:443"), 0); got != "93.184.216.34:443\n" {
		t.Errorf("transparent: got %q", got)
	}
	in.sandboxes(t, 0)
}
