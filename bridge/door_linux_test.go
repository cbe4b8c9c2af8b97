// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// listenAt makes a socket at path until the test is over.
func listenAt(t *testing.T, network, path string) {
	t.Helper()
	var c interface{ Close() error }
	var err error
	if network == "unixgram" {
		c, err = net.ListenUnixgram(network, &net.UnixAddr{Name: path, Net: network})
	} else {
		c, err = net.Listen(network, path)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
}

// tryInside runs probeDoors in s, with the sockets of services to look for.
func tryInside(t *testing.T, w *world, s Sandbox, services []service, env ...string) []attempt {
	t.Helper()
	input, err := json.Marshal(services)
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := w.command(t, s, self, roleProbeDoors, "-")
	cmd.Stdin, cmd.Stderr, cmd.Env = bytes.NewReader(input), &said, append(os.Environ(), env...)
	out, err := cmd.Output()
	var tried []attempt
	if err == nil {
		err = json.Unmarshal(out, &tried)
	}
	if err != nil {
		t.Fatalf("try doors: %v: %s", err, &said)
	}
	return tried
}

// hostServices are those of the host now, with a socket of this test.
func hostServices(t *testing.T) []service {
	t.Helper()
	listenAt(t, "unix", tempDir(t)+"/socket")
	around, err := lookAround()
	if err != nil {
		t.Fatal(err)
	}
	return findServices(around)
}

// TestSandboxDoors: what is tried on a door comes to nothing, and to something where
// the door is left open.
func TestSandboxDoors(t *testing.T) {
	forEachMode(t, func(t *testing.T, m Mode) {
		w, services := newWorld(t), hostServices(t)
		for _, open := range append([]Door{""}, Doors()...) {
			s := Sandbox{Mode: m}
			if open != "" {
				s.Weaker = []Door{open}
			}
			let := map[Door][]string{}
			for _, a := range tryInside(t, w, s, services, "SSH_AUTH_SOCK=/nowhere", "DBUS_SESSION_BUS_ADDRESS=unix:path=/nowhere") {
				if !a.Refused {
					let[a.Door] = append(let[a.Door], a.What+": "+a.Result)
				}
			}
			for d, what := range let {
				if d != open {
					t.Errorf("%q open: at %s this came through: %q", open, d, what)
				}
			}
			if open != "" && len(let[open]) == 0 {
				t.Errorf("%s open: nothing came through", open)
			}
		}
	})
}

func TestSandboxExplain(t *testing.T) {
	forEachMode(t, func(t *testing.T, m Mode) {
		path := tempDir(t) + "/socket"
		listenAt(t, "unix", path)
		for name, tc := range map[string]struct {
			s    Sandbox
			open []Door
		}{
			"all shut":    {Sandbox{}, nil},
			"some open":   {Sandbox{Weaker: []Door{DoorNetlink, DoorHostVariables}}, []Door{DoorNetlink, DoorHostVariables}},
			"host socket": {Sandbox{HostSockets: []string{path}}, []Door{DoorUnixSockets}},
		} {
			tc.s.Mode = m
			states, err := tc.s.Explain(t.Context())
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			var known []Door
			for _, d := range states {
				known = append(known, d.Door)
				if open := slices.Contains(tc.open, d.Door); open == d.Shut || open && !strings.Contains(d.Why, "left open") {
					t.Errorf("%s: %s: shut %t, %q", name, d.Door, d.Shut, d.Why)
				}
				if d.Shuts == "" || d.How == "" {
					t.Errorf("%s: %s is not explained: %+v", name, d.Door, d)
				}
			}
			for _, d := range append(Doors(), doorNetwork, doorProcesses, doorPrivileges, doorDescriptors, doorSession) {
				if !slices.Contains(known, d) {
					t.Errorf("%s: nothing is said about %s", name, d)
				}
			}
		}
	})
}

// TestExplainTellsWhatCameThrough: a state is what was tried, not what was meant.
func TestExplainTellsWhatCameThrough(t *testing.T) {
	t.Parallel()
	tried := []attempt{
		{Door: DoorNetlink, What: "audit", Result: "worked"}, {Door: DoorNetlink, What: "generic", Refused: true},
		{Door: DoorForeignABI, What: "32-bit program", Refused: true, Absent: true, Result: "this kernel runs none"},
	}
	for _, e := range explanations {
		got := Sandbox{}.state(e, tried, nil)
		switch e.door {
		case DoorNetlink:
			if got.Shut || got.Why != "audit: worked" {
				t.Errorf("netlink: %+v, want it open", got)
			}
		case DoorForeignABI:
			if !got.Shut || got.Why != "32-bit program: this kernel runs none" {
				t.Errorf("foreign-abi: %+v, want it shut, as there is none", got)
			}
		}
		if got := (Sandbox{}).state(e, nil, unix.ENOSYS); got.Shut == slices.Contains(filterDoors, e.door) {
			t.Errorf("without seccomp: %s: shut %t", e.door, got.Shut)
		}
	}
}

// TestSandboxStdio: a standard descriptor is no way out.
func TestSandboxStdio(t *testing.T) {
	forEachMode(t, func(t *testing.T, m Mode) {
		w := newWorld(t)
		c, err := net.Dial("tcp", w.origin)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		tcp, err := c.(*net.TCPConn).File()
		if err != nil {
			t.Fatal(err)
		}
		defer tcp.Close()
		for name, tc := range map[string]struct {
			domain, typ int
			pair        bool
			weaker      []Door
			want        int
		}{
			"connected, Internet": {want: ExitFailed},
			"datagram":            {domain: unix.AF_UNIX, typ: unix.SOCK_DGRAM, pair: true, want: ExitFailed},
			"unconnected":         {domain: unix.AF_UNIX, typ: unix.SOCK_STREAM, want: ExitFailed},
			"vsock or packet":     {domain: unix.AF_NETLINK, typ: unix.SOCK_RAW, want: ExitFailed},
			"pair of streams":     {domain: unix.AF_UNIX, typ: unix.SOCK_STREAM, pair: true},
			"datagram, open":      {domain: unix.AF_UNIX, typ: unix.SOCK_DGRAM, pair: true, weaker: []Door{DoorUnixSockets}},
		} {
			in := tcp
			if tc.domain != 0 {
				var fds [2]int
				if tc.pair {
					fds, err = unix.Socketpair(tc.domain, tc.typ|unix.SOCK_CLOEXEC, 0)
				} else {
					fds[0], err = unix.Socket(tc.domain, tc.typ|unix.SOCK_CLOEXEC, 0)
				}
				if err != nil {
					t.Fatal(err)
				}
				in = os.NewFile(uintptr(fds[0]), name)
				t.Cleanup(func() { in.Close() })
				if tc.pair {
					defer unix.Close(fds[1])
				}
			}
			cmd := w.command(t, Sandbox{Mode: m, Weaker: tc.weaker}, "true")
			cmd.Stdin = in
			out, _ := cmd.CombinedOutput()
			if got := cmd.ProcessState.ExitCode(); got != tc.want || tc.want != 0 && !strings.Contains(string(out), "standard input is a socket") {
				t.Errorf("%s: status %d, says %q; want status %d", name, got, out, tc.want)
			}
		}
	})
}

func TestSandboxDoorsRefuses(t *testing.T) {
	w, dir := newWorld(t), tempDir(t)
	listenAt(t, "unix", dir+"/socket")
	if err := os.WriteFile(dir+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, s := range map[string]Sandbox{
		"there is no door \"window\"": {Weaker: []Door{DoorNetlink, "window"}},
		"is no absolute path":         {HostSockets: []string{"socket"}},
		"no such file or directory":   {HostSockets: []string{dir + "/absent"}},
		"it is no socket":             {HostSockets: []string{dir + "/file"}},
		"is to be hidden":             {HostSockets: []string{dir + "/socket"}, Hide: []string{dir}},
	} {
		if _, err := s.Command(t.Context(), w.Handle, "true"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want an error with %q", s, err, want)
		}
	}
}
