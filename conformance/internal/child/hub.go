// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package child

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
)

// Hub is the suite's end of the control socket of one child, or several.
type Hub struct {
	path string
	l    net.Listener
	wg   sync.WaitGroup

	mu      sync.Mutex
	members []*Member     // in the order in which they came; guarded by mu
	came    chan struct{} // closed, and made anew, when a member comes; guarded by mu
	conns   map[net.Conn]bool
	closed  bool
}

// Member is one process of a child.
type Member struct {
	Hello
	conn  net.Conn
	said  chan string
	ended chan struct{}
}

// Listen opens the control socket at path; the caller closes it.
func Listen(path string) (*Hub, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("conformance: the control socket: %w", err)
	}
	h := &Hub{path: path, l: l, came: make(chan struct{}), conns: map[net.Conn]bool{}}
	h.wg.Go(h.accept)
	return h, nil
}

// Path is where children find it.
func (h *Hub) Path() string { return h.path }

// Close ends the connections, upon which every process of a child that is left ends too.
func (h *Hub) Close() {
	h.mu.Lock()
	h.closed = true
	for c := range h.conns {
		c.Close()
	}
	h.mu.Unlock()
	h.l.Close()
	h.wg.Wait()
}

func (h *Hub) accept() {
	for {
		c, err := h.l.Accept()
		if err != nil {
			return
		}
		h.mu.Lock()
		if h.closed {
			c.Close()
		}
		h.conns[c] = true
		h.mu.Unlock()
		h.wg.Go(func() { h.attend(c) })
	}
}

// attend keeps the connection of one process until it ends.
func (h *Hub) attend(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	text, err := r.ReadString('\n')
	m := &Member{conn: c, said: make(chan string, 64), ended: make(chan struct{})}
	if err != nil || json.Unmarshal([]byte(text), &m.Hello) != nil {
		return
	}
	defer close(m.ended)
	h.mu.Lock()
	h.members = append(h.members, m)
	close(h.came)
	h.came = make(chan struct{})
	h.mu.Unlock()
	m.Tell(welcome)
	for {
		text, err := r.ReadString('\n')
		if err != nil {
			return
		}
		select {
		case m.said <- strings.TrimSuffix(text, "\n"):
		default: // nobody listens
		}
	}
}

// Await returns the first process of a role once it has come.
func (h *Hub) Await(ctx context.Context, role string) (*Member, error) {
	for {
		h.mu.Lock()
		came := h.came
		for _, m := range h.members {
			if m.Role == role {
				h.mu.Unlock()
				return m, nil
			}
		}
		h.mu.Unlock()
		select {
		case <-came:
		case <-ctx.Done():
			return nil, fmt.Errorf("conformance: no process %q of the child has come: %w", role, ctx.Err())
		}
	}
}

// Left waits until every process that has come is gone, and returns the roles of those that are not when ctx ends.
func (h *Hub) Left(ctx context.Context) (roles []string) {
	h.mu.Lock()
	all := append([]*Member(nil), h.members...)
	h.mu.Unlock()
	for _, m := range all {
		select {
		case <-m.ended:
			continue
		case <-ctx.Done():
		}
		select {
		case <-m.ended:
		default:
			roles = append(roles, m.Role)
		}
	}
	return roles
}

// Tell sends a command. A process that is gone does not hear it.
func (m *Member) Tell(command string) { _, _ = m.conn.Write([]byte(command + "\n")) }

// Said returns what the process said next.
func (m *Member) Said(ctx context.Context) (string, error) {
	select {
	case text := <-m.said:
		return text, nil
	case <-m.ended:
		return "", fmt.Errorf("conformance: the process %q of the child is gone", m.Role)
	case <-ctx.Done():
		return "", fmt.Errorf("conformance: the process %q of the child says nothing: %w", m.Role, ctx.Err())
	}
}

// Poured waits until the process has said all of FloodBytes.
func (m *Member) Poured(ctx context.Context) error {
	said, err := m.Said(ctx)
	if err == nil && said != poured {
		err = fmt.Errorf("conformance: the process %q of the child says %q", m.Role, said)
	}
	return err
}

// Ended is closed when the process is gone.
func (m *Member) Ended() <-chan struct{} { return m.ended }
