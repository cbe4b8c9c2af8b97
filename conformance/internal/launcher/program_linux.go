// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package launcher

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sallyport-dev/sallyport/conformance/internal/refproxy"
)

// program is a child with everything it has started.
type program struct {
	cmd      *exec.Cmd
	faults   refproxy.Faults
	exited   chan struct{} // closed when the first process is gone, and with it, without faults, all of them
	stopping chan struct{} // closed when it was asked to end
	drained  chan struct{} // closed when everything it said before its end was read
	mark     *os.File      // the pipe's other end: what comes behind the NUL in it was said after the end
	once     sync.Once

	mu   sync.Mutex
	said []byte // its end; guarded by mu
}

// run starts the program in a PID namespace of its own, with its output in a pipe that is always read.
func run(o Options, scratch string, port int) (*program, error) {
	f := o.Faults
	p := &program{faults: f, exited: make(chan struct{}), stopping: make(chan struct{}), drained: make(chan struct{})}
	args := arguments(o.Args, port)
	p.cmd = exec.Command(o.Path, args...)
	if f.Has(ArgumentsByShell) {
		p.cmd = exec.Command("/bin/sh", "-c", "exec "+o.Path+" "+strings.Join(args, " "))
	}
	p.cmd.Dir = scratch
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + scratch, "TMPDIR=" + scratch}
	if f.Has(EnvironmentPassed) {
		p.cmd.Env = os.Environ()
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWPID}
	if f.Has(KillsFirst) || f.Has(KillsGroup) {
		p.cmd.SysProcAttr.Cloneflags = 0
	}
	if !f.Has(DescriptorsPassed) {
		closeOnExec()
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stdout, p.cmd.Stderr, p.mark = w, w, w
	started := make(chan error)
	go p.supervise(r, started)
	if err = <-started; err != nil {
		r.Close()
		return nil, err
	}
	if f.Has(PipeUnread) {
		close(p.drained)
	} else {
		go p.drain(r, o.Log)
	}
	return p, nil
}

// closeOnExec marks the descriptors that this process was handed or has made carelessly.
func closeOnExec() {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, e := range entries {
		var fd int
		if _, err := fmt.Sscan(e.Name(), &fd); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
}

// supervise starts the program and waits for its end, on one thread: the kernel ends the program with the thread.
func (p *program) supervise(r io.Closer, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer p.mark.Close()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.cmd.Wait()
	close(p.exited)
	if !p.faults.Has(PipeUnread) {
		p.mark.Write([]byte{0})
	}
	if p.faults.Has(PipeUnread) {
		r.Close()
	}
}

// drain reads what the program says, to the last word of whoever holds the pipe.
func (p *program) drain(r *os.File, log io.Writer) {
	drained := sync.OnceFunc(func() { close(p.drained) })
	defer drained()
	defer r.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		text, end := buf[:n], bytes.IndexByte(buf[:n], 0)
		if end >= 0 {
			text = slices.Delete(text, end, end+1)
		}
		p.hear(text, log)
		if end >= 0 {
			drained()
		}
		if err != nil {
			return
		}
	}
}

func (p *program) hear(text []byte, log io.Writer) {
	if p.faults.Has(WordsLost) {
		return
	}
	log.Write(text)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said = append(p.said, text...)
	p.said = p.said[max(0, len(p.said)-1024):]
}

// words are the end of what the program said, once it has ended.
func (p *program) words() string {
	<-p.drained
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.said)
}

func (p *program) status() string { return p.cmd.ProcessState.String() }

func (p *program) kill() {
	if p.faults.Has(KillsGroup) {
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	}
	p.cmd.Process.Kill()
}

// stop asks the program to end and makes it end. The death of the first process of a PID namespace is the death of
// all, and Wait returns when they are gone.
func (p *program) stop() {
	p.once.Do(func() { close(p.stopping) })
	p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.exited:
		if p.faults.Has(KillsGroup) {
			p.kill()
		}
		return
	case <-timer.C:
	}
	if !p.faults.Has(TermOnly) {
		p.kill()
		<-p.exited
	}
}

// listens reports whether a process of the program listens on the port. The error says that it does so on an address
// that others reach.
func (p *program) listens(port int) (bool, error) {
	if !occupied(port) {
		return false, nil
	}
	at := listeners(port)
	if len(at) == 0 {
		return false, nil
	}
	own := p.sockets()
	for socket, address := range at {
		if !own[socket] {
			continue
		}
		if !strings.HasPrefix(address, "0100007F:") {
			return false, fmt.Errorf("launcher: the program listens on %s, beyond the loopback interface", address)
		}
		return true, nil
	}
	return false, nil
}

// occupied reports whether anybody listens on the port. It takes microseconds and the kernel's tables milliseconds. A
// socket that is bound and does not listen keeps nobody away, nor is it kept away, with SO_REUSEADDR on both.
func occupied(port int) bool {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return true // the tables know better
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return true
	}
	return unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}) != nil
}

// listeners are the sockets that listen on the port, and where.
func listeners(port int) map[string]string {
	out := map[string]string{}
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // a kernel without IPv6
		}
		for line := range strings.Lines(string(text)) {
			const local, state, inode, listen = 1, 3, 9, "0A"
			f := strings.Fields(line)
			if len(f) > inode && f[state] == listen && strings.HasSuffix(f[local], fmt.Sprintf(":%04X", port)) {
				out["socket:["+f[inode]+"]"] = f[local]
			}
		}
	}
	return out
}

// sockets are those that the processes of the namespace hold.
func (p *program) sockets() map[string]bool {
	out := map[string]bool{}
	space, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", p.cmd.Process.Pid))
	if err != nil {
		return out
	}
	own, _ := os.Readlink("/proc/self/ns/pid")
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range processes {
		in, err := os.Readlink(dir + "/ns/pid")
		if err != nil || in != space {
			continue
		}
		if space == own && dir != fmt.Sprintf("/proc/%d", p.cmd.Process.Pid) {
			continue // without a namespace, as some faults have it, there is only the first
		}
		descriptors, _ := filepath.Glob(dir + "/fd/*")
		for _, d := range descriptors {
			if to, err := os.Readlink(d); err == nil {
				out[to] = true
			}
		}
	}
	return out
}
