// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// probeTimeout bounds one attempt to make a sandbox, which takes milliseconds.
const probeTimeout = 10 * time.Second

// probed keeps what the first attempt found out. The system does not change
// under a running process often enough to pay for asking each time.
var probed struct {
	sync.Mutex
	results map[Mode]error
}

func probe(ctx context.Context, m Mode) (Mode, error) {
	switch m {
	case Bwrap:
		return m, probeOnce(ctx, m, tryBwrap)
	case UserNS:
		return m, probeOnce(ctx, m, tryUserNS)
	case Auto, "":
	default:
		return "", unknownMode(m)
	}
	errB := probeOnce(ctx, Bwrap, tryBwrap)
	if errB == nil {
		return Bwrap, nil
	}
	errU := probeOnce(ctx, UserNS, tryUserNS)
	if errU == nil {
		return UserNS, nil
	}
	return "", noWay([]error{errB, errU})
}

// inner is an error of this package within another one, which has said whose it is.
type inner struct{ error }

func (e inner) Error() string { return strings.TrimPrefix(e.error.Error(), errorPrefix) }
func (e inner) Unwrap() error { return e.error }

// probeOnce returns the kept result for m, or finds it out. The lock is held
// meanwhile: whoever else asks needs the answer as well.
func probeOnce(ctx context.Context, m Mode, try func(context.Context) error) error {
	if !initialised.Load() {
		return errors.New("bridge: Init was not called: call bridge.Init() first thing in main (in a test, in TestMain)")
	}
	probed.Lock()
	defer probed.Unlock()
	if err, ok := probed.results[m]; ok {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("bridge: find out whether sandbox mode %s works: %w", m, err)
	}
	bounded, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	err := try(bounded)
	if ctx.Err() != nil {
		return fmt.Errorf("bridge: find out whether sandbox mode %s works: %w", m, ctx.Err())
	}
	if probed.results == nil {
		probed.results = make(map[Mode]error)
	}
	probed.results[m] = err
	return err
}

// probeKept returns the kept result for m, if there is one.
func probeKept(m Mode) (err error, known bool) {
	probed.Lock()
	defer probed.Unlock()
	err, known = probed.results[m]
	return err, known
}

// findBwrap returns the path of bwrap.
func findBwrap() (string, error) {
	path, err := exec.LookPath("bwrap")
	if err != nil {
		return "", fmt.Errorf("bridge: sandbox mode bwrap: bwrap is not in PATH; "+
			"install bubblewrap (apt-get install bubblewrap, dnf install bubblewrap) or use mode userns: %w", err)
	}
	return path, nil
}

func tryBwrap(ctx context.Context) error {
	path, err := findBwrap()
	if err != nil {
		return err
	}
	net, pid, err := hostNamespaces()
	if err != nil {
		return err
	}
	h, err := findHazards()
	if err != nil {
		return err
	}
	args, err := bwrapArgs(nil, h, false, selfInSandbox, roleProbeInit, net, pid)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, runningProgram)
	cmd.Args = append([]string{"sallyport-probe", roleProbeBwrap, path}, args...)
	if err := tryRun(cmd); err != nil {
		return way{mode: Bwrap, path: path}.failure(err)
	}
	return nil
}

func tryUserNS(ctx context.Context) error {
	net, pid, err := hostNamespaces()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, runningProgram)
	cmd.Args = []string{"sallyport-probe", roleProbeSetup, net, pid}
	if cmd.SysProcAttr, err = ownNamespaces(); err != nil {
		return err
	}
	if err := tryRun(cmd); err != nil {
		return way{mode: UserNS}.failure(err)
	}
	return nil
}

func hostNamespaces() (net, pid string, err error) {
	net, errNet := namespace("net")
	pid, errPID := namespace("pid")
	return net, pid, errors.Join(errNet, errPID)
}

// tryRun runs cmd and puts what it said on standard error into the error.
func tryRun(cmd *exec.Cmd) error {
	var said bytes.Buffer
	cmd.Stderr = &said
	cmd.Dir = "/"
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return spoken(said.String(), err)
	}
	return nil
}

// probeInit is initInside as far as it goes without a proxy and a command.
func probeInit(ns []string) error {
	if len(ns) != 2 {
		return errNotAlone
	}
	if err := checkNamespaces(ns[0], ns[1]); err != nil {
		return err
	}
	if err := checkMounts(); err != nil {
		return err
	}
	return dropPrivileges()
}

// probeSetup is setupInside as far as it goes without a proxy and a command.
func probeSetup(ns []string) error {
	if err := furnish(); err != nil {
		return err
	}
	return probeInit(ns)
}

// knob is a setting that keeps an ordinary user from making namespaces.
type knob struct {
	file, bad, remedy string
}

var knobs = []knob{
	{"/proc/sys/kernel/unprivileged_userns_clone", "0",
		"user namespaces are disabled: sysctl -w kernel.unprivileged_userns_clone=1"},
	{"/proc/sys/user/max_user_namespaces", "0",
		"user namespaces are disabled: sysctl -w user.max_user_namespaces=15000"},
	{"/proc/sys/user/max_net_namespaces", "0",
		"network namespaces are disabled: sysctl -w user.max_net_namespaces=15000"},
	{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1",
		"AppArmor restricts user namespaces: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, " +
			"or install an AppArmor profile that allows them (\"userns,\") for this program and for bwrap"},
}

// causes names what is known to be in the way, in brackets, with the remedy.
func causes() string { return explain(os.ReadFile) }

func explain(read func(string) ([]byte, error)) string {
	var found []string
	for _, k := range knobs {
		if b, err := read(k.file); err == nil && strings.TrimSpace(string(b)) == k.bad {
			found = append(found, k.remedy)
		}
	}
	if mounts, err := read("/proc/self/mountinfo"); err == nil && masksProc(string(mounts)) {
		found = append(found, "this is a container that hides parts of /proc, so no new /proc can be mounted: "+
			"start it with --security-opt systempaths=unconfined --security-opt seccomp=unconfined (Docker), "+
			"or procMount: Unmasked (Kubernetes)")
	}
	if _, err := read("/proc/self/ns/user"); errors.Is(err, fs.ErrNotExist) {
		found = append(found, "this kernel has no user namespaces (CONFIG_USER_NS)")
	}
	if status, err := read("/proc/self/status"); err == nil && isBareRoot(string(status)) {
		found = append(found, "this is root without CAP_SETFCAP, which Linux lets make no namespaces for root: "+
			"run as an ordinary user, or leave root its capabilities (Docker: --cap-add SETFCAP)")
	}
	if len(found) == 0 {
		return ""
	}
	return " (" + strings.Join(found, "; ") + ")"
}

// isBareRoot reports whether a process with this /proc/self/status is root, but may not
// map root into a new user namespace.
func isBareRoot(status string) bool {
	root, bare := false, false
	for line := range strings.Lines(status) {
		f := strings.Fields(line)
		switch {
		case len(f) > 2 && f[0] == "Uid:":
			root = f[2] == "0"
		case len(f) > 1 && f[0] == "CapEff:":
			caps, err := strconv.ParseUint(f[1], 16, 64)
			bare = err == nil && caps&(1<<unix.CAP_SETFCAP) == 0
		}
	}
	return root && bare
}

// masksProc reports whether something is mounted over a part of /proc.
func masksProc(mountinfo string) bool {
	for line := range strings.Lines(mountinfo) {
		f := strings.Fields(line)
		if len(f) < 5 || !strings.HasPrefix(f[4], "/proc/") || f[4] == "/proc/sys/fs/binfmt_misc" {
			continue
		}
		return true
	}
	return false
}
