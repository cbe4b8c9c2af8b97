// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package outside

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/sallyport-dev/sallyport/conformance"
)

// process is a started command and all it has started, a process group of their own.
type process struct {
	cmd     *exec.Cmd
	family  family
	grace   time.Duration
	exited  chan struct{} // closed when the first process has ended and was reaped
	died    chan struct{} // closed when it did so without being asked
	waitErr error         // of the first process; valid once exited is closed

	mu      sync.Mutex
	asked   bool // to end; guarded by mu
	stopped sync.Once
	stopErr error
}

// envMark, in the environment of everything that is started, finds what has left the process group.
const envMark = "EGRESSCONFORM_INSTANCE"

// start starts argv in a process group of its own.
func (o Options) start(c conformance.Config, argv []string) (*process, error) {
	mark := envMark + "=" + rand.Text()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), mark)
	out := o.output(c)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// What it leaves behind may hold the output open, and must not hide that it has ended.
	cmd.WaitDelay = 200 * time.Millisecond
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("outside: the command cannot be started: %w", err)
	}
	p := &process{
		cmd: cmd, family: family{mark: mark, groups: []int{cmd.Process.Pid}}, grace: o.grace(),
		exited: make(chan struct{}), died: make(chan struct{}),
	}
	go p.wait()
	return p, nil
}

func (p *process) wait() {
	p.waitErr = p.cmd.Wait()
	p.mu.Lock()
	asked := p.asked
	p.mu.Unlock()
	if !asked {
		close(p.died)
	}
	close(p.exited)
}

// stop ends the command: SIGTERM, and SIGKILL when that does nothing, which is an error. One that has ended by
// itself is none: what it broke by that was for the checks to see.
func (p *process) stop(ctx context.Context) error {
	p.stopped.Do(func() {
		p.mu.Lock()
		p.asked = true
		p.mu.Unlock()
		p.stopErr = p.family.end(ctx, p.grace)
		<-p.exited
	})
	return p.stopErr
}

// kill ends the command without a word, as its sudden death would.
func (p *process) kill(ctx context.Context) error {
	p.family.signal(syscall.SIGKILL)
	select {
	case <-p.exited:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("outside: the command survives SIGKILL: %w", ctx.Err())
	}
}

// accepts reports whether the one who listens at the other end of conn is of the family.
func (p *process) accepts(conn net.Conn) bool {
	members := p.family.members()
	switch c := conn.(type) {
	case *net.UnixConn:
		pid, err := peer(c)
		return err == nil && members[pid]
	case *net.TCPConn:
		return owns(members, listeners(c.RemoteAddr().(*net.TCPAddr).Port))
	}
	return false
}

// elsewhere is the TCP address the command listens at though it was told port, or nil.
func (p *process) elsewhere(port int) net.Addr {
	if port == 0 {
		return nil // the port was ours to choose: it simply does not do what {listen} says
	}
	members := p.family.members()
	for inode, at := range listeners(0) {
		if at.Port != port && owns(members, map[string]*net.TCPAddr{inode: at}) {
			return at
		}
	}
	return nil
}

// family are processes that belong together: some process groups, and whoever carries the mark.
type family struct {
	mark   string
	groups []int
}

func (f family) signal(sig syscall.Signal) {
	for _, g := range f.groups {
		// No such group is what we want in the end.
		_ = syscall.Kill(-g, sig)
	}
}

// end ends the family: by SIGTERM, and by SIGKILL when that takes longer than grace, which is an error.
func (f family) end(ctx context.Context, grace time.Duration) error {
	if f.gone(ctx, grace, syscall.SIGTERM) {
		left := f.members()
		if len(left) == 0 {
			return nil
		}
		f.killAll(left)
		return fmt.Errorf("outside: the command ended and left %d process(es) behind, which were killed", len(left))
	}
	f.killAll(f.members())
	if !f.gone(context.WithoutCancel(ctx), grace, syscall.SIGKILL) {
		return errors.New("outside: the command survives SIGKILL")
	}
	return fmt.Errorf("outside: the command had not ended %v after SIGTERM and was killed", grace)
}

// again is how often a signal is repeated. Some proxies (tinyproxy 1.11 is one) look at the flag of their handler and
// then block in accept: a signal in between is lost on them until the next connection.
const again = 50

// gone sends sig until no process of the groups lives, or for as long as most.
func (f family) gone(ctx context.Context, most time.Duration, sig syscall.Signal) bool {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for n := 0; ; n++ {
		if n%again == 0 {
			f.signal(sig)
		}
		if !f.groupsLive() {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

func (f family) killAll(members map[int]bool) {
	f.signal(syscall.SIGKILL)
	signalAll(members, syscall.SIGKILL)
}

func signalAll(members map[int]bool, sig syscall.Signal) {
	for pid := range members {
		// One that is gone already is what we want.
		_ = syscall.Kill(pid, sig)
	}
}
