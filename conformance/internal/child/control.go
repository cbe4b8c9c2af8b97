// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package child

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
)

// Hello is what a process says of itself.
type Hello struct {
	Role string   `json:"role"`
	Args []string `json:"args"` // with the program's name
	Env  []string `json:"env"`
	// Descriptors are the open ones above 2, with what they lead to. They mean something for Main only.
	Descriptors []string `json:"descriptors"`
}

// line is a process's end of its control connection.
type line struct {
	mu   sync.Mutex // of writing
	conn net.Conn
	r    *bufio.Reader
}

// join makes this process known to the suite.
func join(path, role string) (*line, error) {
	c, err := net.Dial("unix", path)
	if err != nil {
		return nil, fmt.Errorf("the suite's socket: %w", err)
	}
	l := &line{conn: c, r: bufio.NewReader(c)}
	hello, err := json.Marshal(Hello{Role: role, Args: os.Args, Env: os.Environ(), Descriptors: inherited})
	if err != nil {
		return nil, err
	}
	l.say(string(hello))
	if said, err := l.hear(); err != nil || said != welcome {
		return nil, fmt.Errorf("the suite says %q: %w", said, err)
	}
	return l, nil
}

// say is for what nobody has to hear: without a suite the process ends anyway.
func (l *line) say(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.conn.Write([]byte(text + "\n"))
}

func (l *line) hear() (string, error) {
	text, err := l.r.ReadString('\n')
	return strings.TrimSuffix(text, "\n"), err
}

// outrun tells the suite the port and waits for its word.
func (l *line) outrun(port int) error {
	if l == nil {
		return errors.New("nobody to be outrun by")
	}
	l.say(fmt.Sprintf("port %d", port))
	said, err := l.hear()
	if said != Go {
		return fmt.Errorf("the suite says %q: %w", said, err)
	}
	return nil
}
