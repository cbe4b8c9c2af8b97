// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// repetitions is how often a run is repeated before anything that it leaves behind must have shown.
const repetitions = 200

func TestManyRunsLeaveNothing(t *testing.T) {
	curl := lookPath(t, "curl")
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			b := newBench(t)
			before := traces(t)
			for i := range repetitions {
				r := b.run(t, "run", "--sandbox", mode, "--allow", allowed, "--", curl, "-sS", "https://"+allowed+"/")
				if r.status != 0 || r.stdout != greeted {
					t.Fatalf("run %d of %d: %s", i+1, repetitions, r)
				}
			}
			gone(t, b.marker)
			if left := b.left(t); len(left) > 0 {
				t.Errorf("files left: %s", strings.Join(left, ", "))
			}
			var more []string
			settled := func() bool {
				more = slices.DeleteFunc(traces(t), func(line string) bool { return slices.Contains(before, line) })
				return len(more) == 0
			}
			if !within(10*time.Second, settled) {
				t.Errorf("left in the kernel:\n%s", strings.Join(more, "\n"))
			}
		})
	}
}

// traces lists what a run could leave outside its sandbox: listening and bound sockets, mounts, and descriptors of
// this process, which starts the runs.
func traces(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, file := range []string{"/proc/net/unix", "/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6", "/proc/self/mountinfo"} {
		all = append(all, linesOf(t, file)...)
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			all = append(all, "descriptor "+to)
		}
	}
	return all
}

// linesOf reads one table of the kernel, in a form that is the same for the same thing at another time.
func linesOf(t *testing.T, file string) []string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var lines []string
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Fields(s.Text())
		switch {
		case strings.Contains(file, "/tcp") && len(fields) > 3 && fields[3] != listening:
			continue // connections of the origins that are closing
		case strings.Contains(file, "/tcp"), strings.Contains(file, "/udp"):
			lines = append(lines, file+" "+strings.Join(fields[1:min(4, len(fields))], " "))
		default:
			lines = append(lines, file+" "+s.Text())
		}
	}
	return lines
}

// listening is TCP_LISTEN in /proc/net/tcp.
const listening = "0A"
