// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Argument makes a binary that imports this package behave as the probe when it is its first argument.
const Argument = "egress-conformance-probe"

// Operations, the second argument.
const (
	OpPipe   = "pipe"   // a connection to the proxy over standard input and output, see Pipe
	OpReport = "report" // the third argument is a []Action in JSON; a Report comes back on standard output
	OpLater  = "later"  // as report, but once standard input has ended; says "ready" on standard error before
	OpExit   = "exit"   // exits with the status of the third argument
	OpSignal = "signal" // kills itself with the signal number of the third argument
	OpLinger = "linger" // starts a child in a session of its own that keeps standard output open, then exits
	OpHold   = "hold"   // writes a line and waits for its death, whatever becomes of standard input
	OpCopy   = "copy"   // copies standard input to standard output
)

func init() {
	if len(os.Args) < 3 || os.Args[1] != Argument {
		return
	}
	go endUnread()
	os.Exit(run(os.Args[2], os.Args[3:]))
}

func run(op string, args []string) int {
	arg := ""
	if len(args) > 0 {
		arg = args[0]
	}
	number, _ := strconv.Atoi(arg)
	var err error
	switch op {
	case OpPipe:
		err = servePipe(os.Stdin, os.Stdout)
	case OpReport:
		err = report(arg)
	case OpLater:
		fmt.Fprintln(os.Stderr, "ready")
		io.Copy(io.Discard, os.Stdin)
		err = report(arg)
	case OpExit:
		return number
	case OpSignal:
		err = killSelf(number)
	case OpLinger:
		err = linger()
	case OpHold:
		fmt.Println("holding")
		if arg == tell {
			os.NewFile(3, "the one who waits").Close()
		}
		block()
	case OpCopy:
		_, err = io.Copy(os.Stdout, os.Stdin)
	default:
		err = fmt.Errorf("unknown operation %q", op)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance: probe:", err)
		return 99
	}
	return 0
}

// block waits far longer than any check does. It ends in the end, because there are sandboxes at fault that leave
// their processes behind, and some of them lose standard output, see endUnread.
func block() { <-time.After(time.Minute) }

// tell is the argument of a hold that closes descriptor 3 once it holds.
const tell = "tell"

// linger leaves a child behind that ignores the end of everything but itself, once it runs.
func linger() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd := exec.Command(self, Argument, OpHold, tell)
	cmd.Stdout, cmd.ExtraFiles = os.Stdout, []*os.File{w}
	detach(cmd)
	err = errors.Join(cmd.Start(), w.Close())
	io.Copy(io.Discard, r)
	return err
}

// Action is one thing the probe tries inside the sandbox.
type Action struct {
	// Do is "dial", "send", "lookup", "proxy", "raw", "configure" or "unshare".
	Do string `json:"do"`
	// Network and Address are for dial and send; Address is the name for lookup, the target for proxy.
	Network string `json:"network,omitempty"`
	Address string `json:"address,omitempty"`
	// Timeout bounds the attempt, in milliseconds.
	Timeout int `json:"timeout"`
}

// Result is what came of an action.
type Result struct {
	Action Action `json:"action"`
	// Done says that it worked: connected, sent, resolved, permitted.
	Done bool `json:"done"`
	// Status is the proxy's answer to the action proxy.
	Status int `json:"status,omitempty"`
	// Detail is for people only.
	Detail string `json:"detail,omitempty"`
	// Millis is how long it took.
	Millis int64 `json:"millis"`
}

// Report is what the probe found inside the sandbox.
type Report struct {
	Env []string `json:"env"`
	// Descriptors are the open ones above 2, with what they lead to.
	Descriptors []string `json:"descriptors"`
	// Capabilities are the sets that are not empty, as "CapEff=…".
	Capabilities []string `json:"capabilities"`
	NoNewPrivs   bool     `json:"noNewPrivs"`
	// Interfaces are the network interfaces apart from loopback.
	Interfaces []string `json:"interfaces"`
	// Processes are the command lines of the visible processes, arguments separated by spaces.
	Processes []string `json:"processes"`
	Results   []Result `json:"results"`
}

func report(arg string) error {
	var actions []Action
	if err := json.Unmarshal([]byte(arg), &actions); err != nil {
		return err
	}
	r := Report{Env: os.Environ(), Descriptors: inherited}
	look(&r)
	ifs, _ := net.Interfaces()
	for _, i := range ifs {
		if i.Flags&net.FlagLoopback == 0 {
			r.Interfaces = append(r.Interfaces, i.Name)
		}
	}
	for _, a := range actions {
		begin := time.Now()
		res := act(a)
		res.Action, res.Millis = a, time.Since(begin).Milliseconds()
		r.Results = append(r.Results, res)
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// ProxyFromEnv returns the address of the proxy the environment names, and the value of the field
// Proxy-Authorization that every client sends to a proxy URL with a user in it (RFC 7617); "" without one.
func ProxyFromEnv(env func(string) string) (addr, authorization string, err error) {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy"} {
		text := env(name)
		if text == "" {
			continue
		}
		u, err := url.Parse(text)
		if err != nil || u.Host == "" {
			return "", "", fmt.Errorf("%s=%q is no proxy URL", name, text)
		}
		if u.User != nil {
			password, _ := u.User.Password()
			authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password))
		}
		return u.Host, authorization, nil
	}
	return "", "", errors.New("neither HTTPS_PROXY nor https_proxy is set")
}

// CommandLine is the content of /proc/PID/cmdline in one line.
func CommandLine(b []byte) string {
	return strings.Join(strings.Split(strings.TrimRight(string(b), "\x00"), "\x00"), " ")
}
