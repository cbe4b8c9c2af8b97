// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// kind is one proxy that is measured.
type kind struct {
	name    string
	about   string
	program string // "" for this program in a role
	connect bool   // speaks CONNECT
	config  string // its configuration; see fill for the words in braces
	args    []string
	leaves  string // files that are left when it is killed
	whole   bool   // the whole process tree is the proxy; else the clients in it are not
}

const haproxyConfig = `
global
	maxconn 9900
defaults
	mode tcp
	timeout connect 10s
	timeout client 1h
	timeout server 1h
frontend in
	bind 127.0.0.1:{port}
	default_backend out
backend out
	server origin {target}
`

// spliceConfig has fewer pipes than HAProxy would take: its descriptor limit would not allow them.
var spliceConfig = strings.NewReplacer("mode tcp\n", "mode tcp\n\toption splice-auto\n", "maxconn 9900", "maxconn 9700\n\tmaxpipes 200").Replace(haproxyConfig)

// kinds are the proxies, the floor first and ours last. Each has the strictest policy of one entry.
var kinds = []kind{
	{name: "haproxy", about: "HAProxy in TCP mode: no CONNECT, no policy. The floor", program: "haproxy", whole: true,
		config: haproxyConfig, args: []string{"-db", "-f", "{config}"}},
	{name: "haproxy-splice", about: "the same with option splice-auto", program: "haproxy", whole: true,
		config: spliceConfig, args: []string{"-db", "-f", "{config}"}},
	{name: "squid", about: "Squid", program: "squid", connect: true, whole: true, config: `
http_port 127.0.0.1:{port}
acl origin dst 127.0.0.1
http_access allow CONNECT origin
http_access deny all
cache deny all
access_log none
cache_log {dir}/cache.log
cache_store_log none
pid_filename none
coredump_dir {dir}
max_filedescriptors 20000
client_lifetime 1 day
shutdown_lifetime 0 seconds
pinger_enable off
`, args: []string{"-N", "-n", "bench{port}", "-f", "{config}"}, leaves: "/dev/shm/bench{port}-*.shm"},
	{name: "tinyproxy", about: "tinyproxy", program: "tinyproxy", connect: true, whole: true, config: `
Port {port}
Listen 127.0.0.1
Timeout 3600
MaxClients 10000
LogLevel Critical
LogFile "{dir}/log"
Filter "{dir}/filter"
FilterDefaultDeny Yes
FilterExtended On
`, args: []string{"-d", "-c", "{config}"}},
	{name: "goproxy", about: "goproxy, with a handler of our own", program: "goproxy", connect: true, whole: true,
		args: []string{"127.0.0.1:{port}", "{target}"}},
	{name: "built-in", about: "Sallyport's built-in proxy", connect: true},
}

// fill replaces the words of a configuration.
func fill(text string, words map[string]string) string {
	for word, value := range words {
		text = strings.ReplaceAll(text, "{"+word+"}", value)
	}
	return text
}

// running is a proxy that was started.
type running struct {
	kind
	cmd  *exec.Cmd
	addr netip.AddrPort
	role *role // if it is this program's built-in proxy
}

// start starts a proxy that leads to target.
func (k kind) start(ctx context.Context, b *bench) (*running, error) {
	if k.program == "" {
		return k.startBuiltIn(ctx, b)
	}
	dir, err := os.MkdirTemp(b.tmp, k.name)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	words := map[string]string{"dir": dir, "port": fmt.Sprint(port), "target": b.target.String(), "config": filepath.Join(dir, "config")}
	files := map[string]string{"config": fill(k.config, words), "filter": "^127\\.0\\.0\\.1$\n"}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, fmt.Errorf("bench: %w", err)
		}
	}
	// Squid, started by root, becomes another user.
	if err := errors.Join(os.Chmod(b.tmp, 0o755), os.Chmod(dir, 0o777)); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	args := make([]string, len(k.args))
	for i, a := range k.args {
		args[i] = fill(a, words)
	}
	program := k.program
	if program == "goproxy" {
		program = b.goproxy
	}
	log, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("bench: start %s: %w; run ./scripts/bench, which installs it", k.name, err)
	}
	r := &running{kind: k, cmd: cmd, addr: netip.AddrPortFrom(loopback, port)}
	r.leaves = fill(k.leaves, words)
	if err := awaitPort(ctx, r.addr); err != nil {
		text, _ := os.ReadFile(log.Name())
		r.stop()
		return nil, fmt.Errorf("bench: %s does not listen: %w: %s", k.name, err, text)
	}
	return r, nil
}

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// startBuiltIn starts this program as a proxy.
func (k kind) startBuiltIn(ctx context.Context, b *bench) (*running, error) {
	r, err := startRole(ctx, "proxy", b.target.String())
	if err != nil {
		return nil, err
	}
	line, err := r.line()
	if err != nil {
		return nil, err
	}
	addr, err := netip.ParseAddrPort(line)
	if err != nil {
		return nil, fmt.Errorf("bench: the built-in proxy says %q: %w", line, err)
	}
	return &running{kind: k, cmd: r.cmd, addr: addr, role: r}, nil
}

// stop ends the proxy and its children.
func (r *running) stop() {
	if r.role != nil {
		r.role.stop()
		return
	}
	syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
	r.cmd.Wait()
	left, _ := filepath.Glob(r.leaves)
	for _, path := range left {
		os.Remove(path)
	}
}

// usage reads what the proxy has used and holds.
func (r *running) usage() (usage, error) {
	if r.whole {
		return treeUsage(r.cmd.Process.Pid)
	}
	u, err := processUsage(r.cmd.Process.Pid)
	if err != nil {
		return u, err
	}
	u.beside, err = sandboxCPU(r.cmd.Process.Pid)
	return u, err
}

// freePort gives a port that is free now: the programs cannot tell which one they took.
func freePort() (uint16, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("bench: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort().Port(), nil
}

// awaitPort waits until something listens.
func awaitPort(ctx context.Context, ap netip.AddrPort) error {
	deadline := time.Now().Add(20 * time.Second)
	for {
		c, err := net.DialTimeout("tcp", ap.String(), time.Second)
		if err == nil {
			return c.Close()
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}
