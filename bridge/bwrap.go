// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// bwrapOption describes an option of bwrap(1) that callers may pass.
type bwrapOption struct {
	arity  int  // how many arguments follow
	dest   int  // which of them, from 1, is a path in the sandbox that is changed; 0 is none
	source int  // which of them, from 1, is a path of the host; 0 is none
	mount  bool // something is mounted on dest
}

// bwrapOptions are the options about the file system, the working directory and
// the environment. Everything else is refused: --share-net, --cap-add and
// --seccomp would open the sandbox, --args would bring in anything, options that
// take a descriptor cannot work as the caller's descriptors are not passed on, and
// --hostname, --uid and --gid need namespaces that the sandbox does not have.
var bwrapOptions = map[string]bwrapOption{
	"--bind":         {arity: 2, source: 1, dest: 2, mount: true},
	"--bind-try":     {arity: 2, source: 1, dest: 2, mount: true},
	"--ro-bind":      {arity: 2, source: 1, dest: 2, mount: true},
	"--ro-bind-try":  {arity: 2, source: 1, dest: 2, mount: true},
	"--dev-bind":     {arity: 2, source: 1, dest: 2, mount: true},
	"--dev-bind-try": {arity: 2, source: 1, dest: 2, mount: true},
	"--tmpfs":        {arity: 1, dest: 1, mount: true},
	"--dev":          {arity: 1, dest: 1, mount: true},
	"--overlay-src":  {arity: 1, source: 1},
	"--overlay":      {arity: 3, source: 1, dest: 3, mount: true},
	"--tmp-overlay":  {arity: 1, dest: 1, mount: true},
	"--ro-overlay":   {arity: 1, dest: 1, mount: true},
	"--dir":          {arity: 1, dest: 1},
	"--symlink":      {arity: 2, dest: 2},
	"--remount-ro":   {arity: 1, dest: 1},
	"--chmod":        {arity: 2, dest: 2},
	"--perms":        {arity: 1},
	"--size":         {arity: 1},
	"--chdir":        {arity: 1},
	"--setenv":       {arity: 2},
	"--unsetenv":     {arity: 1},
	"--clearenv":     {},
}

// hazards are files of the host that must not be in sight where a bind of a directory
// above them would bring them in. The process inside looks for them again.
type hazards struct {
	procs   []string // mount points of a procfs, which are covered by something empty
	helpers []string // files that are covered by themselves, read-only
	hidden  []cover  // what the caller wants out of sight
}

// nullDevice covers what is hidden and is no directory: to open it is harmless, and to connect
// to it an error.
const nullDevice = "/dev/null"

// cover is something of the host that a sandbox must not see.
type cover struct {
	Path string // the real one: a link in it could lead elsewhere later
	Dir  bool
}

// cover returns bwrap options that cover what a bind of the path source on dest brings in.
func (h hazards) cover(source, dest string) (args []string) {
	at := func(name string) string {
		return path.Join("/", dest, strings.TrimPrefix(name, strings.TrimSuffix(source, "/")))
	}
	for _, name := range h.procs {
		// A procfs that is itself the source was asked for, and is refused inside.
		covered := slices.ContainsFunc(h.procs, func(p string) bool { return p != name && below(p, name) })
		if to := at(name); below(source, name) && !covered && to != "/proc" && !below("/proc", to) {
			args = append(args, "--tmpfs", to, "--remount-ro", to)
		}
	}
	for _, f := range h.hidden {
		to := at(f.Path)
		switch {
		case f.Path != source && !below(source, f.Path):
		case f.Dir:
			args = append(args, "--tmpfs", to, "--remount-ro", to)
		default:
			args = append(args, "--ro-bind", nullDevice, to)
		}
	}
	for _, name := range h.helpers {
		if name == source || below(source, name) {
			args = append(args, "--ro-bind-try", name, at(name))
		}
	}
	return args
}

// below reports whether the clean path name is below dir.
func below(dir, name string) bool {
	return name != dir && strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}

// bwrapLayout is what checking the caller's arguments tells about them.
type bwrapLayout struct {
	root, dev bool     // whether they mount something on / and on /dev
	chdir     bool     // whether they choose the working directory
	args      []string // the arguments, with the hazards that each brings in covered
}

// checkBwrapArgs makes sure that args are whole options from bwrapOptions, and
// that they leave /proc alone.
func checkBwrapArgs(args []string, h hazards) (bwrapLayout, error) {
	var l bwrapLayout
	for i := 0; i < len(args); {
		name := args[i]
		o, ok := bwrapOptions[name]
		if !ok {
			return l, fmt.Errorf("bridge: bwrap argument %q is not allowed: only options about files, "+
				"the working directory and the environment are, such as --bind SRC DEST or --tmpfs DEST", name)
		}
		values := args[i+1:]
		if len(values) < o.arity {
			return l, fmt.Errorf("bridge: bwrap argument %s takes %d arguments and has %d", name, o.arity, len(values))
		}
		values = values[:o.arity]
		if slices.ContainsFunc(values, func(v string) bool { return strings.ContainsRune(v, 0) }) {
			return l, fmt.Errorf("bridge: bwrap argument %s has a NUL byte in %q", name, values)
		}
		if err := checkProc(name, o, values); err != nil {
			return l, err
		}
		if o.mount {
			dest := path.Clean("/" + values[o.dest-1])
			l.root = l.root || dest == "/"
			l.dev = l.dev || dest == "/dev"
		}
		l.chdir = l.chdir || name == "--chdir"
		l.args = append(append(l.args, name), values...)
		if o.mount && o.source == 1 && o.dest == 2 { // a bind
			if source, err := realPath(values[0]); err == nil { // or else there is nothing to bind
				l.args = append(l.args, h.cover(source, values[1])...)
			}
		}
		i += 1 + o.arity
	}
	return l, nil
}

// realPath returns the path of what bwrap will find at name.
func realPath(name string) (string, error) {
	name, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(name)
}

// checkProc refuses the host's /proc as a source, which would show the host's
// processes and let uid 0 set its sysctls, and the sandbox's own as a destination.
func checkProc(name string, o bwrapOption, values []string) error {
	for _, at := range []int{o.source, o.dest} {
		if at == 0 {
			continue
		}
		if p := path.Clean("/" + values[at-1]); p == "/proc" || strings.HasPrefix(p, "/proc/") {
			return fmt.Errorf("bridge: bwrap argument %s %s is not allowed: the sandbox always has its own /proc, "+
				"and never the host's", name, strings.Join(values, " "))
		}
	}
	return nil
}

// protectedProc are files that uid 0 may write without any capability, and by which it
// could have the kernel run a program outside (/proc/sys/kernel/core_pattern). bwrap
// takes them for protected already, as they are for everybody else.
var protectedProc = []string{"/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"}

// bwrapArgs builds the arguments of bwrap that make a sandbox and start inner in it.
//
// The network is unshared first and last, so that neither a reader nor a bwrap
// that stops at its first mistake can miss it. The caller's options come
// between the file system that they amend and the mounts that must stay as they are.
// The init is process 1: a process 1 of bwrap's own could be traced by the command, which would
// forge the exit status and never let the sandbox end. It gets the capabilities
// that it needs to empty the bounding set (which bwrap does not do for root), to mount
// something over the host's sockets and, with network, to set routes and bind ports below
// 1024, and drops them before there is a command.
func bwrapArgs(user []string, h hazards, network bool, inner ...string) ([]string, error) {
	l, err := checkBwrapArgs(user, h)
	if err != nil {
		return nil, err
	}
	args := []string{"--unshare-net"}
	if !l.root {
		args = append(args, "--dev-bind", "/", "/")
		args = append(args, h.cover("/", "/")...)
	}
	args = append(args, l.args...)
	if l.root && !l.dev {
		// A bind of / without device access, or an empty /, has no working /dev/null.
		args = append(args, "--dev", "/dev")
	}
	args = append(args, "--proc", "/proc")
	for _, name := range protectedProc {
		args = append(args, "--ro-bind-try", name, name)
	}
	args = append(args, "--unshare-pid", "--as-pid-1", "--unshare-ipc", "--cap-drop", "ALL", "--cap-add", "CAP_SETPCAP", "--cap-add", "CAP_SYS_ADMIN")
	if network {
		args = append(args, "--cap-add", "CAP_NET_ADMIN", "--cap-add", "CAP_NET_BIND_SERVICE")
	}
	args = append(args, "--die-with-parent", "--new-session", "--unshare-net", "--")
	return append(args, inner...), nil
}
