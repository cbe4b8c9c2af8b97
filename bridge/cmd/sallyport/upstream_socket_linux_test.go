// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// openDoors are the options that leave a command sockets with paths, which by themselves would keep it
// from what other means are tested for.
func openDoors(mode string) []string {
	if mode == "none" {
		return nil
	}
	return []string{"--allow-weaker", "unix-sockets,host-services"}
}

// TestRunUpstreamSocketStays: a command that puts a socket of its own where the upstream's was, by renaming the
// directory or replacing a link, is not taken for the upstream and gets no credentials.
func TestRunUpstreamSocketStays(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, mode string) {
		for _, args := range [][]string{{"--upstream", "LINK"}, {"--upstream", "env"}} {
			w, v := startWitness(t, false), &via{user: "u", password: "s3cret"}
			dir := t.TempDir()
			err := errors.Join(os.Mkdir(dir+"/own", 0o700), os.Mkdir(dir+"/links", 0o700), os.Symlink(dir+"/own/s", dir+"/links/s"),
				os.WriteFile(dir+"/own/pid", nil, 0o600)) // so that the directory is in sight
			if err != nil {
				t.Fatal(err)
			}
			inURL := strings.Replace(startVia(t, v, "unix", dir+"/own/s"), "://", "://u:s3cret@", 1)
			path := dir + "/own/s"
			if args[1] == "LINK" {
				path = dir + "/links/s"
				args[1] = strings.Replace(inURL, "/own/", "/links/", 1)
			}
			target := "origin.example:" + w.port
			script := `mv "$0" "$0.old"; mkdir "$0"; exec "$@"`
			args = slices.Concat([]string{"run", "--sandbox", mode, "--allow", target}, openDoors(mode), args,
				[]string{"--", "sh", "-c", script, filepath.Dir(path)}, self(t, "impostor", path, target))
			p := newProc(t, args...)
			p.cmd.Env = append(p.cmd.Env, "HTTPS_PROXY="+inURL)
			if got := p.start().finish(0); got != "200\nhello\n" {
				t.Errorf("%s: got %q, want the answer of the origin through the upstream; stderr:\n%s", path, got, p.stderr)
			}
			w.want(t, 1)
		}
	})
}

// TestRunUpstreamIsNotReachedDirectly: an exception of NO_PROXY that leads to the upstream is not made use of. A command
// that spoke to the upstream itself could ask it for anything.
func TestRunUpstreamIsNotReachedDirectly(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, mode string) {
		v := &via{}
		url := startVia(t, v, "tcp", "127.0.0.1:0")
		addr := strings.TrimPrefix(url, "http://")
		_, port, _ := net.SplitHostPort(addr)
		args := []string{"run", "--sandbox", mode, "--allow", "alias.example:" + port + "," + addr, "--resolve", "alias.example=127.0.0.1", "--upstream", "env", "--"}
		p := newProc(t, append(args, self(t, "connect", "alias.example:"+port)...)...)
		p.cmd.Env = append(p.cmd.Env, "HTTPS_PROXY="+addr, "NO_PROXY=alias.example")
		if got := p.start().finish(0); got != "403\n" || v.asked() != "" {
			t.Errorf("got %q, and the upstream was asked for %q; want a refusal and nothing", got, v.asked())
		}
	})
}

// TestRunUpstreamSocketMadeAnew: when the upstream's proxy is started again while the command runs, its new socket is out of
// sight, too, where the directory is for sockets alone.
func TestRunUpstreamSocketMadeAnew(t *testing.T) {
	t.Parallel()
	eachSandbox(t, func(t *testing.T, mode string) {
		path := filepath.Join(t.TempDir(), "s")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		p := newProc(t, "run", "--sandbox", mode, "--allow", "a.com", "--upstream", "unix://"+path, "--allow-weaker", "unix-sockets,host-services", "--",
			"sh", "-c", `test -S "$0" && echo before; echo ready; read go; test -S "$0" && echo after; echo over`, path).start()
		if got := p.line(); got != "ready" {
			t.Errorf("got %q, want that the socket is not in sight", got)
		}
		l.Close() // removes it
		if l, err = net.Listen("unix", path); err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if _, err := p.stdin.Write([]byte("go\n")); err != nil {
			t.Fatal(err)
		}
		if got := p.finish(0); got != "over\n" {
			t.Errorf("got %q, want that the new socket is not in sight", got)
		}
	})
}
