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
}

// ticksPerSecond is the unit of /proc/PID/stat; Linux has no other on any architecture that Go runs on.
const ticksPerSecond = 100

// processUsage reads one process.
func processUsage(pid int) (u usage, err error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return u, fmt.Errorf("bench: %w", err)
	}
	// The name, in parentheses, may hold anything; fields are counted from behind it.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	for _, i := range []int{11, 12} {
		ticks, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return u, fmt.Errorf("bench: %s/stat: %w", dir, err)
		}
		u.CPU += float64(ticks) / ticksPerSecond
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
	children := map[int][]int{}
	dirs, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return usage{}, fmt.Errorf("bench: %w", err)
	}
	for _, path := range dirs {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // gone meanwhile
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		parent, _ := strconv.Atoi(fields[1])
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		children[parent] = append(children[parent], pid)
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
