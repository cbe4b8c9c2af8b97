// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// initInside is process 1 in bwrap's namespaces, and setupInside in our own, which
// it makes habitable first, and in which it hides what bwrap hides by itself.
func initInside(argv []string) error {
	return enter(argv, own, func(params) error { return nil })
}

func setupInside(argv []string) error {
	return enter(argv, func(params) error { return furnish() }, func(p params) error { return coverHidden(p.Hide) })
}

// enter hands the listener out, with the capabilities that takes, and then becomes the reaper
// without them. Go has many threads, and a capability dropped in one is kept by the others: the
// runtime drops them in all, or else, with cgo, which can have threads that the runtime does not know, this
// program is executed again.
func enter(argv []string, furnish, hide func(params) error) error {
	if err := closeInherited(fdControl, fdSelf, fdSuper, fdStderr); err != nil {
		return err
	}
	r := reaper{argv: argv}
	if dropsInAllThreads {
		r.signals, r.caught = catchSignals()
	}
	p, where, err := readParams()
	if err != nil {
		return err
	}
	if err := enterNamespaces(p, furnish); err != nil {
		return err
	}
	if err := hide(p); err != nil {
		return err
	}
	if err := furnishDoors(p); err != nil {
		return err
	}
	stay := func() error { return nil }
	if !p.Chdir {
		stay = func() error { return where.enter(p.Changed) }
	}
	if err := stay(); err != nil {
		return err
	}
	if r.env, err = handOff(p); err != nil {
		return err
	}
	if err := dropPrivileges(); err != nil {
		return err
	}
	everywhere := dropsInAllThreads && dropInAllThreads() == nil
	if err := stay(); err != nil { // what the capabilities let in, the command may not be
		return err
	}
	if err := shutDoors(p, everywhere); err != nil {
		return err
	}
	r.tty = p.Terminal
	if everywhere {
		return r.become()
	}
	return r.execute()
}

// enterNamespaces makes the sandbox one, checks that, and tells the supervisor.
func enterNamespaces(p params, furnish func(params) error) error {
	if err := furnish(p); err != nil {
		return err
	}
	if err := checkNamespaces(p.NetNS, p.PIDNS); err != nil {
		return err
	}
	return tellEntered()
}

var errNoSupervisor = errors.New("bridge: the sandbox's supervisor is gone")

// introduce lets the supervisor know this process, which is to get the signals:
// the kernel adds the credentials, with the process id as the supervisor
// sees it, and the supervisor answers when it can pass signals on.
func introduce() error {
	if err := sendFDs(fdSuper, message{Ready: true}); err != nil {
		return fmt.Errorf("bridge: reach the supervisor: %w", err)
	}
	if m, err := receive(fdSuper); err != nil || !m.Ready {
		return errNoSupervisor
	}
	return nil
}

// tellEntered lets the supervisor know that the sandbox is one. From here on, this process and the
// command have the standard error that is meant for them.
func tellEntered() error {
	if err := unix.Dup3(fdStderr, 2, 0); err != nil {
		return fmt.Errorf("bridge: use standard error: %w", err)
	}
	unix.Close(fdStderr)
	if err := sendFDs(fdSuper, message{Entered: true}); err != nil {
		return fmt.Errorf("bridge: reach the supervisor: %w", err)
	}
	return nil
}

// readParams receives what the supervisor tells first.
func readParams() (p params, where directory, err error) {
	if !isControl(fdControl) || !isControl(fdSuper) {
		return p, where, errNotAlone
	}
	m, err := receive(fdSuper)
	if err != nil || m.Params == nil {
		return p, where, hostGone(err)
	}
	d, err := receive(fdSuper)
	if err != nil || d.Directory == nil {
		return p, where, errNoSupervisor
	}
	return *m.Params, *d.Directory, nil
}

func hostGone(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		err = errors.New("the process that started it is gone, or does not want it any more")
	}
	return fmt.Errorf("bridge: sandbox is not needed: %w", err)
}

// handOff opens the sandbox's entrances, passes them out, and returns the
// command's environment once the proxy accepts connections on them.
func handOff(p params) (env []string, err error) {
	if err := checkMounts(); err != nil {
		return nil, err
	}
	all, err := openEntrances(p.wish)
	if err != nil {
		return nil, err
	}
	port := int(all[0].Port)
	if err := passEntrances(fdControl, all); err != nil {
		return nil, err
	}
	m, err := receive(fdControl)
	switch {
	case err != nil:
		return nil, hostGone(err)
	case !m.Attached:
		return nil, errors.New(m.Error)
	}
	return proxycore.Environ(os.Environ(), proxycore.Bouquet{
		ProxyURL: "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		CABundle: p.CABundle,
		NoProxy:  p.NoProxy,

		JavaTrustStore: p.Java,
	}), nil
}

// checkNamespaces makes sure that this process is where it is meant to be. A bwrap
// that did not unshare the network must never lead to an open one.
func checkNamespaces(hostNet, hostPID string) error {
	for _, ns := range []struct{ kind, host string }{{"net", hostNet}, {"pid", hostPID}} {
		here, err := namespace(ns.kind)
		if err != nil {
			return err
		}
		if here == ns.host || ns.host == "" {
			return fmt.Errorf("bridge: the sandbox shares the host's %s namespace: refusing to run the command", ns.kind)
		}
	}
	if err := checkFirst(); err != nil {
		return err
	}
	up, err := loopback(false)
	if err != nil {
		return err
	}
	if !up {
		return errors.New("bridge: the loopback interface in the sandbox is down")
	}
	return nil
}

// checkFirst makes sure that nothing runs in the sandbox yet, and that when this
// process ends, nothing does any more.
func checkFirst() error {
	if os.Getpid() != 1 {
		return errors.New("bridge: the sandbox has no process namespace of its own")
	}
	return nil
}

// loopback reports whether lo is up, and brings it up first if asked to.
func loopback(bringUp bool) (bool, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false, fmt.Errorf("bridge: look at the loopback interface: %w", err)
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return false, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, req); err != nil {
		return false, fmt.Errorf("bridge: look at the loopback interface: %w", err)
	}
	if !bringUp {
		return req.Uint16()&unix.IFF_UP != 0, nil
	}
	req.SetUint16(req.Uint16() | unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req); err != nil {
		return false, fmt.Errorf("bridge: bring the loopback interface up: %w", err)
	}
	return true, nil
}
