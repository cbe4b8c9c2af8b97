// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	termSignal = unix.SIGTERM
	killSignal = unix.SIGKILL

	// reapsFirst is false: waitid(2) with WNOWAIT sees the end and leaves the zombie.
	reapsFirst = false
)

// tree is the child with all that descends from it: its session and process
// group, its descendants, and every process that carries its mark or writes to the
// pipe that takes its output. One that has shed all of these is out of reach.
type tree struct {
	leader int
	mark   []byte
	output string // what /proc calls the pipe; "" for none

	mu      sync.Mutex
	retired bool           // guarded by mu; the leader is reaped, its id may name somebody else
	known   map[int]uint64 // guarded by mu; members seen before: start time by process id
}

// newTree is made while output, an end of the pipe for the child's output, is open.
func newTree(leader *os.Process, mark string, output *os.File) *tree {
	t := &tree{leader: leader.Pid, mark: []byte(markVariable + "=" + mark), known: make(map[int]uint64)}
	if output != nil {
		t.output, _ = os.Readlink(fmt.Sprintf("/proc/self/fd/%d", output.Fd()))
	}
	return t
}

// sysProcAttr gives the child a session of its own, so that no terminal signal
// meant for the host reaches it, and ties its life to ours. The kernel forgets the
// latter when the child changes its user.
func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}

// inheritedDescriptors returns how many descriptors from 3 upwards must be closed
// in the child: all up to the last one that this process itself inherited without
// close-on-exec.
func inheritedDescriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	last := 2
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= last {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			last = fd
		}
	}
	return last - 2
}

// awaitExit returns when the child has ended, without reaping it.
func awaitExit(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return
		}
	}
}

// retire reaps the leader; the tree has no members and gets no signal afterwards.
func (t *tree) retire(reap func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.retired = true
	reap()
}

// remember notes the present members, so that they are found again after their
// parent has ended.
func (t *tree) remember() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range t.members() {
		t.known[m.pid] = m.start
	}
}

// signal sends sig to every member that is alive. A member that is gone or not
// ours to signal is left to alive, which reports it.
func (t *tree) signal(sig syscall.Signal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.retired {
		return
	}
	_ = unix.Kill(-t.leader, sig)
	for _, m := range t.members() {
		t.known[m.pid] = m.start
		if m.group != t.leader && !m.dead {
			signalStray(m, sig)
		}
	}
}

// signalStray signals a member outside the process group. The descriptor pins the
// process, so that the signal cannot reach another one under the same id.
func signalStray(m procStat, sig syscall.Signal) {
	fd, err := unix.PidfdOpen(m.pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if now, err := readStat(m.pid); err == nil && now.start == m.start {
		_ = unix.PidfdSendSignal(fd, sig, nil, 0)
	}
}

// alive returns the members that still run.
func (t *tree) alive() []int {
	t.mu.Lock()
	defer t.mu.Unlock()
	var pids []int
	for _, m := range t.members() {
		if !m.dead {
			pids = append(pids, m.pid)
		}
	}
	return pids
}

// members looks for the tree in /proc; t.mu is held.
func (t *tree) members() []procStat {
	if t.retired {
		return nil
	}
	all := readAllStats()
	first := all[t.leader].start
	verdict := make(map[int]bool, len(all))
	var in func(pid int) bool
	in = func(pid int) bool {
		s, ok := all[pid]
		if !ok || s.start < first {
			return false
		}
		if v, ok := verdict[pid]; ok {
			return v
		}
		verdict[pid] = false // ends a cycle that a reused id might make
		start, known := t.known[pid]
		v := pid == t.leader || s.group == t.leader || s.session == t.leader ||
			known && start == s.start || in(s.parent) || t.marked(pid) || t.writes(pid)
		verdict[pid] = v
		return v
	}
	var found []procStat
	for pid, s := range all {
		if in(pid) {
			found = append(found, s)
		}
	}
	return found
}

// marked reports whether pid was started with our mark in its environment. What
// may not be read is not ours to signal either.
func (t *tree) marked(pid int) bool {
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	for entry := range bytes.SplitSeq(env, []byte{0}) {
		if bytes.Equal(entry, t.mark) {
			return true
		}
	}
	return false
}

// writes reports whether pid's standard output or error is the pipe for the child's.
func (t *tree) writes(pid int) bool {
	for fd := 1; fd <= 2 && t.output != ""; fd++ {
		if to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd)); err == nil && to == t.output {
			return true
		}
	}
	return false
}

// procStat is the part of /proc/PID/stat (proc_pid_stat(5)) that matters here.
type procStat struct {
	pid, parent, group, session int
	start                       uint64 // clock ticks after boot: with pid, unique
	dead                        bool   // a zombie, or about to be
}

func readAllStats() map[int]procStat {
	all := make(map[int]procStat)
	dir, err := os.Open("/proc")
	if err != nil {
		return all
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if s, err := readStat(pid); err == nil {
			all[pid] = s
		}
	}
	return all
}

func readStat(pid int) (procStat, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return procStat{}, err
	}
	// The program name in parentheses may itself hold spaces and parentheses.
	text := string(raw)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	const state, parent, group, session, start = 0, 1, 2, 3, 19
	if len(fields) <= start {
		return procStat{}, fmt.Errorf("external: /proc/%d/stat has %d fields", pid, len(fields))
	}
	s := procStat{pid: pid, dead: fields[state] == "Z" || fields[state] == "X"}
	s.parent, _ = strconv.Atoi(fields[parent])
	s.group, _ = strconv.Atoi(fields[group])
	s.session, _ = strconv.Atoi(fields[session])
	s.start, err = strconv.ParseUint(fields[start], 10, 64)
	return s, err
}
