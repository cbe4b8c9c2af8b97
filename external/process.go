// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

const (
	// sweepInterval is how often the process tree is looked at while it ends.
	sweepInterval = 5 * time.Millisecond
	// killPatience bounds the wait for killed processes to disappear: only one in
	// an uninterruptible system call takes longer.
	killPatience = 5 * time.Second
)

// process is a running child and all that descends from it.
type process struct {
	name  string
	grace time.Duration
	tree  *tree
	out   *output

	stopping chan struct{} // closed when we asked the child to end
	killing  chan struct{} // closed when the time to end by itself is over
	ended    chan struct{} // closed when the child has ended, before anything is made of it
	done     chan struct{} // closed when the child is reaped, its tree gone, its output read

	stopOnce, killOnce sync.Once

	// Set before done is closed.
	state   *os.ProcessState
	waitErr error
	leftErr error // processes that could not be ended
}

// launch writes the child's files, starts it and its supervisor.
func launch(s Spec, at place) (*process, error) {
	if err := s.write(at); err != nil {
		return nil, err
	}
	argv := s.argv(at)
	out, childOut, err := newOutput(s.Output)
	if err != nil {
		return nil, err
	}
	mark := rand.Text()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = s.Dir
	cmd.Env = childEnviron(s.host(), s.Env, at, mark)
	cmd.Stdout, cmd.Stderr = childOut, childOut
	// A nil entry closes the descriptor in the child.
	cmd.ExtraFiles = make([]*os.File, inheritedDescriptors())
	cmd.SysProcAttr = sysProcAttr()

	p := &process{
		name:     s.name(),
		grace:    orDefault(s.StopGrace, defaultStopGrace),
		out:      out,
		stopping: make(chan struct{}),
		killing:  make(chan struct{}),
		ended:    make(chan struct{}),
		done:     make(chan struct{}),
	}
	started := make(chan error)
	go p.supervise(cmd, mark, started)
	err = <-started
	childOut.Close()
	if err != nil {
		out.close()
		return nil, fmt.Errorf("external: %s could not be started: %w; check that it is installed and executable", p.name, err)
	}
	return p, nil
}

// supervise starts the child, waits for its end, ends what is left of its tree and
// reaps it. It holds one thread for the whole time: on Linux the child's
// parent-death signal is tied to the thread that forked, not to the process.
func (p *process) supervise(cmd *exec.Cmd, mark string, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	p.tree = newTree(cmd.Process, mark, cmd.Stdout.(*os.File))
	started <- nil
	defer close(p.done)

	if reapsFirst {
		p.waitErr = cmd.Wait()
	} else {
		// Unreaped, the child keeps its process group id from being used again.
		awaitExit(cmd.Process.Pid)
	}
	close(p.ended)
	p.leftErr = p.sweep()
	p.tree.retire(func() {
		if !reapsFirst {
			p.waitErr = cmd.Wait()
		}
	})
	p.state = cmd.ProcessState
	p.out.close()
}

// sweep ends what the child left behind. Processes that were asked to end keep the
// rest of their time; those of a child that died by itself get none.
func (p *process) sweep() error {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for isClosed(p.stopping) && !isClosed(p.killing) && len(p.tree.alive()) > 0 {
		select {
		case <-tick.C:
		case <-p.killing:
		}
	}
	deadline := time.Now().Add(killPatience)
	for {
		// The signal is repeated: a process may have forked between scan and signal.
		p.tree.signal(killSignal)
		left := p.tree.alive()
		if len(left) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("external: processes %v of %s could not be killed; end them by hand", left, p.name)
		}
		<-tick.C
	}
}

// terminate asks the tree to end, once.
func (p *process) terminate() {
	p.stopOnce.Do(func() {
		close(p.stopping)
		p.tree.remember()
		p.tree.signal(termSignal)
	})
}

// kill ends the tree without asking and returns when it is gone; the error names
// the processes that are not.
func (p *process) kill() error {
	p.stopOnce.Do(func() {
		p.tree.remember()
		close(p.stopping)
	})
	p.killOnce.Do(func() {
		close(p.killing)
		p.tree.signal(killSignal)
	})
	<-p.done
	return p.leftErr
}

// close is the handle's Close: terminate, StopGrace, kill.
func (p *process) close() error {
	if p.grace > 0 {
		p.terminate()
		timer := time.NewTimer(p.grace)
		defer timer.Stop()
		select {
		case <-p.done:
		case <-timer.C:
		}
	}
	return p.kill()
}

// shutdown is the handle's Shutdown: terminate, wait for ctx, kill.
func (p *process) shutdown(ctx context.Context) error {
	p.terminate()
	select {
	case <-p.done:
		return p.leftErr
	case <-ctx.Done():
		return errors.Join(
			fmt.Errorf("external: %s did not end in time and was killed: %w", p.name, context.Cause(ctx)), p.kill())
	}
}

// exitError describes the child's end; only after done.
func (p *process) exitError(ready bool) error {
	e := &ExitError{Name: p.name, Code: -1, Status: "unknown status", Output: p.out.lastLines(), Ready: ready}
	if p.state != nil {
		e.Code, e.Status = p.state.ExitCode(), p.state.String()
	} else if p.waitErr != nil {
		e.Status = p.waitErr.Error()
	}
	return e
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
