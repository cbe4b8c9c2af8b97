// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// secrets makes a directory with a file, a socket and a directory with another file in it.
func secrets(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.Mkdir(dir+"/sub", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/file", "/sub/file", "/open"} {
		if err := os.WriteFile(dir+name, []byte("in sight of "+name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("unix", dir+"/sock")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := os.Symlink("file", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestSandboxHide: what is hidden cannot be read, reached, uncovered, moved or removed, and the
// host keeps it.
func TestSandboxHide(t *testing.T) {
	forEachMode(t, func(t *testing.T, m Mode) {
		dir := secrets(t)
		hide := []string{dir + "/link", dir + "/sub", dir + "/sock"}
		script := `cd ` + dir + `; cat file sub/file open; ls -A sub | wc -l; test -S sock && echo socket
			umount file sock sub; mv file moved; rm -f file sock; ln file second; rmdir sub; mv sub moved; echo x >sub/new; cat file; mv ` + dir + " " + dir + `2; cat ` + dir + `2/file`
		out, err := newWorld(t).command(t, Sandbox{Mode: m, Hide: hide}, "sh", "-c", script).Output()
		if err != nil {
			t.Logf("%v", err) // the last cat
		}
		if got := string(out); strings.TrimSpace(got) != "in sight of /open\n0" {
			t.Errorf("got %q, want only what is not hidden", got)
		}
		if _, err := os.Stat(dir + "2"); err == nil {
			dir += "2"
		}
		for _, name := range []string{"/file", "/sub/file"} {
			if data, err := os.ReadFile(dir + name); err != nil || string(data) != "in sight of "+name+"\n" {
				t.Errorf("on the host: got %q, %v, want it untouched", data, err)
			}
		}
		if c, err := net.Dial("unix", dir+"/sock"); err != nil {
			t.Errorf("on the host: %v", err)
		} else {
			c.Close()
		}
	})
}

// TestSandboxHideUnderOtherNames: a bind of the caller's brings nothing hidden back.
func TestSandboxHideUnderOtherNames(t *testing.T) {
	if _, err := Probe(t.Context(), Bwrap); err != nil {
		t.Skipf("no bwrap here: %v", err)
	}
	dir := secrets(t)
	s := Sandbox{Hide: []string{dir + "/file", dir + "/sub"}, BwrapArgs: []string{
		"--bind", dir, "/mnt", "--ro-bind", dir + "/file", dir + "/file", "--bind", dir + "/sub", dir + "/sub"}}
	out, _ := newWorld(t).command(t, s, "sh", "-c", "cat /mnt/file /mnt/sub/file /mnt/open "+dir+"/file "+dir+"/sub/file").Output()
	if got := string(out); got != "in sight of /open\n" {
		t.Errorf("got %q, want only what is not hidden", got)
	}
}

func TestSandboxHideRefuses(t *testing.T) {
	t.Parallel()
	h, err := proxycore.BuiltIn{Port: -1}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for name, want := range map[string]string{
		"relative":                           "is no absolute path",
		filepath.Join(t.TempDir(), "absent"): "must be there before",
		"/proc/self":                         "cannot be hidden",
		"/":                                  "cannot be hidden",
	} {
		if _, err := (Sandbox{Hide: []string{name}}).Command(t.Context(), h, "true"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Hide %q: got %v, want an error with %q", name, err, want)
		}
	}
}
