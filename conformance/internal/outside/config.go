// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package outside

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sallyport-dev/sallyport/conformance"
)

// Options are common to all backends of this package.
type Options struct {
	// Grace is how long a command may take to accept connections, three times over, and to end once it was told to;
	// 0 means 3 s.
	Grace time.Duration
	// Trace also gets what the commands say; nil does not.
	Trace io.Writer
}

func (o Options) grace() time.Duration {
	if o.Grace > 0 {
		return o.Grace
	}
	return 3 * time.Second
}

func (o Options) output(c conformance.Config) io.Writer {
	if o.Trace == nil {
		return c.Log
	}
	return io.MultiWriter(c.Log, o.Trace)
}

// defaultHead is what {head-timeout} is when the suite leaves it to the proxy.
const defaultHead = 10 * time.Second

// values are the placeholders for c; those that name files have them written. fixed says that the policy is none
// of the command line's business.
func (t *Template) values(c conformance.Config, fixed bool) (map[string]string, error) {
	if c.Child != nil {
		return nil, errors.New("outside: a command line launches nothing but itself")
	}
	if c.Transparent {
		return nil, errors.New("outside: a command line has no word for a transparent sandbox")
	}
	if len(c.Deny) > 0 && !t.Uses(Deny, DenyFile) && !fixed {
		return nil, errors.New("outside: the policy has deny lines, and the command line has neither {deny} nor {denyfile}")
	}
	for _, line := range append(append([]string{}, c.Allow...), c.Deny...) {
		if strings.ContainsAny(line, ",\n") {
			return nil, fmt.Errorf("outside: the policy line %q cannot be put into a list", line)
		}
	}
	head := c.HeadTimeout
	if head == 0 {
		head = defaultHead
	}
	v := map[string]string{
		Allow: strings.Join(c.Allow, ","), Deny: strings.Join(c.Deny, ","), Dir: c.Dir, Socket: c.SocketPath,
		HeadTimeout: strconv.Itoa(int((head + time.Second - 1) / time.Second)),
	}
	if err := t.upstream(c, v); err != nil {
		return nil, err
	}
	for name, lines := range map[string][]string{AllowFile: c.Allow, DenyFile: c.Deny} {
		if !t.Uses(name) {
			continue
		}
		v[name] = filepath.Join(c.Dir, name)
		text := strings.Join(append(append([]string{}, lines...), ""), "\n")
		if err := os.WriteFile(v[name], []byte(text), 0o644); err != nil {
			return nil, fmt.Errorf("outside: the file for {%s}: %w", name, err)
		}
	}
	return v, nil
}

// ports below those the kernel takes for connections, so that no tunnel can have one of them.
const firstPort, lastPort = 20000, 30000

var nextPort atomic.Int32

// freePort returns a port of 127.0.0.1 that nobody listens on and that was not handed out before.
func freePort() (int, error) {
	for range lastPort - firstPort {
		port := firstPort + int(nextPort.Add(1))%(lastPort-firstPort)
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		return port, l.Close()
	}
	return 0, errors.New("outside: every port of 127.0.0.1 from 20000 to 30000 is taken")
}
