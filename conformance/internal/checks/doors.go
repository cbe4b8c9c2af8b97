// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	. "github.com/onsi/gomega"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
)

// doorChecks are about the ways out that are no IP network.
func doorChecks() []check.Check {
	path := func(network string) probe.Action { return probe.Action{Do: "path", Network: network} }
	return []check.Check{
		{ID: "SANDBOX-011.sockets", Summary: "a further user namespace does not bring the host's sockets back",
			Run: sockets(probe.Action{Do: "unshare", Inner: "path", Network: "unix"})},
		{ID: "SANDBOX-023.stream", Summary: "no stream of the host can be connected to by its path", Run: sockets(path("unix"))},
		{ID: "SANDBOX-023.seqpacket", Summary: "nor a socket of sequenced packets", Run: sockets(path("unixpacket"))},
		{ID: "SANDBOX-023.datagram", Summary: "nor can datagrams be sent to a path, connected or not",
			Run: sockets(path("unixgram"), probe.Action{Do: "path-send", Network: "unixgram"})},
		{ID: "SANDBOX-023.pair", Summary: "nor from the end of a socket pair",
			Run: sockets(probe.Action{Do: "path-pair", Network: "unixgram"})},
		{ID: "SANDBOX-024.pair", Summary: "pairs of streams and of sequenced packets work", Run: pairs},
		{ID: "SANDBOX-025.named", Summary: "services that the host's variables name are not reached", Run: services},
		{ID: "SANDBOX-026.vsock", Summary: "no vsock socket can be made", Run: families(vsock)},
		{ID: "SANDBOX-027.families", Summary: "no socket of a family besides IP can be made", Run: families(exotic...)},
		{ID: "SANDBOX-028.protocols", Summary: "netlink has no protocol but that of routing", Run: netlink},
		{ID: "SANDBOX-028.read", Summary: "interfaces and addresses can be listed", Run: links},
		{ID: "SANDBOX-029.connect", Summary: "io_uring reaches no socket of the host", Run: sockets(probe.Action{Do: "ring", Network: "unix"})},
		{ID: "SANDBOX-030.connect", Summary: "system calls of another ABI reach no socket of the host", Run: sockets(
			probe.Action{Do: "foreign", Network: "i386"}, probe.Action{Do: "foreign", Network: "x32"})},
		{ID: "SANDBOX-031.session", Summary: "a key of the launcher's session cannot be read", Run: keys},
		{ID: "SANDBOX-032.opened", Summary: "bpf, perf_event_open and userfaultfd open nothing", Run: interfaces},
		{ID: "SANDBOX-033.typed", Summary: "nothing can be typed into the caller's terminal", Run: terminal},
		{ID: "SANDBOX-034.variables", Summary: "variables that name services of the host are not there", Run: serviceVariables},
	}
}

// outside does with the probe what is tried inside, so that what does not work inside is known to work at all.
func outside(x *check.X, stdin *os.File, actions ...probe.Action) []probe.Result {
	self, err := os.Executable()
	if err != nil {
		x.Abort("finding the probe: %v", err)
	}
	cmd := exec.CommandContext(x.Ctx, self, probe.Argument, probe.OpReport, script(x, actions))
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	if stdin != nil {
		cmd.Stdin = stdin
		ownTerminal(cmd)
	}
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		x.Abort("the probe outside the sandbox: %v", err)
	}
	r, err := parseReport(out.Bytes(), len(actions))
	if err != nil {
		x.Abort("the probe outside the sandbox: %v", err)
	}
	return r.Results
}

// attempt tries actions inside, each in a process that may be ended for it, and first outside, for the record.
func attempt(x *check.X, actions ...probe.Action) []probe.Result {
	for i := range actions {
		actions[i].Apart = true
	}
	for _, r := range outside(x, nil, actions...) {
		x.Line("Control", "outside, %s: %s", words(r.Action), r.Detail)
	}
	results := ask(x, x.Core(), actions...).Results
	for _, r := range results {
		x.Line("Got", "inside, %s: %s", words(r.Action), r.Detail)
	}
	return results
}

// words are an action without what is only for the program.
func words(a probe.Action) string {
	text := a.Do
	for _, more := range []string{a.Inner, a.Network, a.Address} {
		if more != "" {
			text += " " + more
		}
	}
	return text
}

// sharedDirs are directories outside that a program inside may see: that of temporary files, and that of the
// program itself, which it has to see. A sandbox that shows neither has nothing to keep from it.
func sharedDirs(x *check.X) []string {
	parents := []string{os.TempDir()}
	if self, err := os.Executable(); err == nil {
		parents = append(parents, filepath.Dir(self))
	}
	var out []string
	for i, parent := range parents {
		dir, err := os.MkdirTemp(parent, "eg")
		const longest = 107 - len("/99") // of struct sockaddr_un
		if err == nil && len(dir) <= longest {
			out = append(out, dir)
		}
		if err == nil {
			x.Defer(func() { os.RemoveAll(dir) })
		} else if i == 0 {
			x.Abort("a directory for sockets: %v", err)
		}
	}
	return out
}

// sockets listens on a socket of the host for every action and every directory, and has the actions reach for them:
// first outside, which shows that they can be reached, then inside. What counts is who came.
func sockets(actions ...probe.Action) func(*check.X) {
	return func(x *check.X) {
		var all []probe.Action
		for _, dir := range sharedDirs(x) {
			for i, a := range actions {
				a.Address, a.Text, a.Apart = filepath.Join(dir, strconv.Itoa(i)), "here", a.Do != "unshare"
				all = append(all, a)
			}
		}
		reach(x, all)
	}
}

// reach judges attempts to reach sockets at paths of the host by who came.
func reach(x *check.X, actions []probe.Action) {
	witnesses := make([]*pathWitness, len(actions))
	for i, a := range actions {
		witnesses[i] = listenPath(x, a.Address, a.Network)
	}
	for i, r := range outside(x, nil, actions...) {
		came := witnesses[i].came(x)
		x.Line("Control", "outside, %s: %s; %d came", words(r.Action), r.Detail, came)
		if plain := r.Action.Do == "path" || r.Action.Do == "path-send"; plain && came == 0 {
			x.Abort("the probe does not reach %s outside of the sandbox: %s", r.Action.Address, r.Detail)
		}
	}
	for i, r := range ask(x, x.Core(), actions...).Results {
		came := witnesses[i].came(x)
		x.Line("Got", "inside, %s: %s; %d came", words(r.Action), r.Detail, came)
		if came > 0 {
			x.Note(oracle.Sandbox, "%s reached a socket of the host from inside", words(r.Action))
		}
	}
}

func pairs(x *check.X) {
	for _, r := range attempt(x, probe.Action{Do: "pair", Network: "unix", Text: "through"},
		probe.Action{Do: "pair", Network: "unixpacket", Text: "through"}) {
		x.Saw(oracle.Sandbox).Expect(r.Done).To(BeTrue(), "a socket pair (%s) inside: %s", r.Action.Network, r.Detail)
	}
}

// services puts sockets where programs look for an agent, for session bus, container engine and display.
func services(x *check.X) {
	dir := sharedDirs(x)[0]
	plant(x, "XDG_RUNTIME_DIR", dir)
	plant(x, "SSH_AUTH_SOCK", filepath.Join(dir, "egress-agent"))
	plant(x, "DBUS_SESSION_BUS_ADDRESS", "unix:path="+filepath.Join(dir, "bus"))
	plant(x, "WAYLAND_DISPLAY", "wayland-0")
	var actions []probe.Action
	for _, name := range []string{"egress-agent", "bus", "docker.sock", "wayland-0"} {
		actions = append(actions, probe.Action{Do: "path", Network: "unix", Address: filepath.Join(dir, name), Text: "here", Apart: true})
	}
	reach(x, actions)
}

// vsock is AF_VSOCK. There is nobody to connect to but a hypervisor, which belongs to somebody else: what can be
// proved on any machine is that there is no socket to connect with.
const vsock = 40

// exotic are the families besides unix, IP, netlink, packet and vsock that kernels are built with.
var exotic = []int{3, 4, 5, 9, 11, 15, 21, 24, 26, 29, 30, 31, 33, 36, 37, 38, 39, 41, 42, 43, 44, 45}

func families(numbers ...int) func(*check.X) {
	return func(x *check.X) {
		var actions []probe.Action
		for _, n := range numbers {
			actions = append(actions, probe.Action{Do: "family", Address: strconv.Itoa(n)})
		}
		none(x, "a socket of family", actions)
	}
}

// none expects that no action works inside.
func none(x *check.X, what string, actions []probe.Action) {
	for _, r := range attempt(x, actions...) {
		if r.Done {
			x.Note(oracle.Sandbox, "%s %s inside: %s", what, r.Action.Address, r.Detail)
		}
	}
}

func netlink(x *check.X) {
	var actions []probe.Action
	for n := 1; n <= 22; n++ { // 0 is NETLINK_ROUTE
		actions = append(actions, probe.Action{Do: "netlink", Address: strconv.Itoa(n)})
	}
	none(x, "a netlink socket for protocol", actions)
}

func links(x *check.X) {
	r := attempt(x, probe.Action{Do: "links"})[0]
	x.Saw(oracle.Sandbox).Expect(r.Done).To(BeTrue(), "listing the interfaces inside: %s", r.Detail)
}

func interfaces(x *check.X) {
	var actions []probe.Action
	for _, name := range []string{"bpf", "perf_event_open", "userfaultfd"} {
		actions = append(actions, probe.Action{Do: "kernel", Address: name})
	}
	none(x, "opened", actions)
}

// serviceNames are variables that lead programs to services of the host which act for them, and a value of each that
// does no harm to a launcher that believes it.
var serviceNames = map[string]string{
	"SSH_AUTH_SOCK": "/run/egress/agent", "SSH_AGENT_PID": "1", "GPG_AGENT_INFO": "/run/egress/gpg:1:1",
	"DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/egress/bus", "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/run/egress/system",
	"DOCKER_HOST": "unix:///var/run/docker.sock", "CONTAINER_HOST": "unix:///run/podman/podman.sock",
	"NOTIFY_SOCKET": "/run/egress/notify", "LISTEN_FDS": "1", "LISTEN_PID": "1", "JOURNAL_STREAM": "8:1",
	"DISPLAY": ":77", "WAYLAND_DISPLAY": "wayland-77", "TMUX": "/tmp/egress-tmux,1,0", "STY": "1.egress",
	"KUBERNETES_SERVICE_HOST": "192.0.2.9", "VSCODE_IPC_HOOK_CLI": "/run/egress/vscode.sock",
}

// serviceVariables plants those that the host does not have.
func serviceVariables(x *check.X) {
	p := x.Core()
	for name, value := range serviceNames {
		if _, had := os.LookupEnv(name); !had {
			plant(x, name, value)
		}
	}
	env := environ(ask(x, p).Env)
	for name := range serviceNames {
		if got, there := env[name]; there && got == os.Getenv(name) {
			x.Note(oracle.Sandbox, "%s inside is that of the host", name)
		}
	}
	x.Line("Got", "%d variables", len(env))
}
