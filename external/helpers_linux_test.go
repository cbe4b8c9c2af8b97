// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package external

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/proxycore"
)

// long is a time limit that no healthy test reaches.
const long = 30 * time.Second

// noRaceDelay keeps the race detector from delaying every exit of a fake by a second.
const noRaceDelay = "GORACE=atexit_sleep_ms=0"

// await polls until cond holds.
func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(long); !cond(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("still waiting after %v: %s", long, what)
		}
	}
}

// start starts a fake proxy that must become ready.
func start(t *testing.T, s Spec) *proxycore.Handle {
	t.Helper()
	if s.StartTimeout == 0 {
		s.StartTimeout = long
	}
	s.Env = append(slices.Clone(s.Env), noRaceDelay)
	h, err := s.Start(t.Context())
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// startFails starts a fake proxy that must not become ready, and checks that no
// process of it is left.
func startFails(t *testing.T, s Spec) error {
	t.Helper()
	mark := testMark(t)
	s.Env = append(slices.Clone(s.Env), mark, noRaceDelay)
	h, err := s.Start(t.Context())
	if err == nil {
		h.Close()
		t.Fatal("Start succeeded; want an error")
	}
	if left := carriers(mark); len(left) > 0 {
		t.Errorf("processes %v are left after a failed start", left)
	}
	return err
}

// carriers lists the processes, zombies not counted, with entry in their environment.
func carriers(entry string) []int {
	var found []int
	for pid, s := range readAllStats() {
		if !s.dead && (&tree{mark: []byte(entry)}).marked(pid) {
			found = append(found, pid)
		}
	}
	return found
}

func exists(pid int) bool {
	s, err := readStat(pid)
	return err == nil && !s.dead
}

// readPid waits for a process id that a fake writes.
func readPid(t *testing.T, path string) int {
	t.Helper()
	var pid int
	await(t, "process id in "+path, func() bool {
		raw, err := os.ReadFile(path)
		if err == nil {
			pid, err = strconv.Atoi(string(raw))
		}
		return err == nil
	})
	return pid
}

// freePort returns a port that was free a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	held, err := choosePort(0)
	if err != nil {
		t.Fatal(err)
	}
	held.release()
	return held.port
}

func dial(t *testing.T, h *proxycore.Handle) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", h.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(long))
	return c
}

// awaitEOF waits for the end of c, by end of file or reset.
func awaitEOF(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is still open")
	}
}

// testMark is an environment entry by which the processes of one test are found.
func testMark(t *testing.T) string {
	return fmt.Sprintf("EXTERNAL_TEST=%s-%d", t.Name(), os.Getpid())
}
