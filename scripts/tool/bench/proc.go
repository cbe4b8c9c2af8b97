// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// usage is what a proxy has used and holds.
type usage struct {
	CPU   float64 // seconds, user and system
	Pss   int64   // bytes: its share of the memory, pages of shared files divided by those who share them
	Files int     // descriptors

	beside map[int]float64 // CPU seconds of the processes beside it in a sandbox
}

// ticksPerSecond is the unit of /proc/PID/stat; Linux has no other on any architecture that Go runs on.
const ticksPerSecond = 100

// processUsage reads one process.
func processUsage(pid int) (u usage, err error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	fields, err := readStat(dir)
	if err != nil {
		return u, err
	}
	if u.CPU, err = cpuOf(fields); err != nil {
		return u, fmt.Errorf("bench: %s/stat: %w", dir, err)
	}
	if u.Pss, err = pss(dir); err != nil {
		return u, err
	}
	files, err := os.ReadDir(dir + "/fd")
	if err != nil {
		return u, fmt.Errorf("bench: %w", err)
	}
	u.Files = len(files)
	return u, nil
}

func pss(dir string) (int64, error) {
	f, err := os.Open(dir + "/smaps_rollup")
	if err != nil {
		return 0, fmt.Errorf("bench: %w", err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if v, ok := strings.CutPrefix(s.Text(), "Pss:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(v, "kB")), 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("bench: no Pss in %s/smaps_rollup", dir)
}

// treeUsage adds up a process and all that descend from it.
func treeUsage(root int) (usage, error) {
	children, err := processChildren()
	if err != nil {
		return usage{}, err
	}
	var sum usage
	for todo := []int{root}; len(todo) > 0; {
		u, err := processUsage(todo[0])
		if err != nil {
			return usage{}, err
		}
		sum.CPU += u.CPU
		sum.Pss += u.Pss
		sum.Files += u.Files
		todo = append(todo[1:], children[todo[0]]...)
	}
	return sum, nil
}

// sandboxCPU gives the CPU times of what descends from a process, but for the clients among it: what runs in a sandbox
// beside them works for the proxy.
func sandboxCPU(root int) (map[int]float64, error) {
	children, err := processChildren()
	if err != nil {
		return nil, err
	}
	times := map[int]float64{}
	for todo := children[root]; len(todo) > 0; {
		pid := todo[0]
		todo = append(todo[1:], children[pid]...)
		dir := filepath.Join("/proc", strconv.Itoa(pid))
		args, _ := os.ReadFile(dir + "/cmdline")
		if isClient(string(args)) {
			continue
		}
		if fields, err := readStat(dir); err == nil { // it may be gone meanwhile
			if times[pid], err = cpuOf(fields); err != nil {
				return nil, fmt.Errorf("bench: %s/stat: %w", dir, err)
			}
		}
	}
	return times, nil
}

// isClient recognises this program as a client by its arguments, each of which ends in a NUL.
func isClient(args string) bool {
	words := strings.Split(args, "\x00")
	return len(words) > 2 && words[1] == "role" && words[2] == "client"
}

// since gives the CPU time between two readings. A process that came meanwhile counts with all it used, one that is
// gone not at all.
func (u usage) since(before usage) float64 {
	sum := u.CPU - before.CPU
	for pid, cpu := range u.beside {
		sum += cpu - before.beside[pid]
	}
	return sum
}

// processChildren gives the children of every process.
func processChildren() (map[int][]int, error) {
	children := map[int][]int{}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	for _, dir := range dirs {
		fields, err := readStat(dir)
		if err != nil {
			continue // gone meanwhile
		}
		parent, _ := strconv.Atoi(fields[1])
		pid, _ := strconv.Atoi(filepath.Base(dir))
		children[parent] = append(children[parent], pid)
	}
	return children, nil
}

// readStat gives the fields of /proc/PID/stat from the state on. The name before it, in parentheses, may hold anything.
func readStat(dir string) ([]string, error) {
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return nil, fmt.Errorf("bench: %s/stat is %q", dir, stat)
	}
	return fields, nil
}

// cpuOf adds up the user's and the system's time in the fields of readStat, in seconds.
func cpuOf(fields []string) (sum float64, err error) {
	for _, i := range []int{11, 12} {
		ticks, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += float64(ticks) / ticksPerSecond
	}
	return sum, nil
}
