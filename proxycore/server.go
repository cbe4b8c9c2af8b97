// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"context"
	"net"
)

// Server is a CONNECT proxy for any number of listeners.
type Server struct{ done chan struct{} }

// NewServer checks cfg and returns a server that listens to nothing yet.
func NewServer(cfg Config) (*Server, error) { return &Server{done: make(chan struct{})}, nil }

// Serve accepts connections of l until the server or l is closed.
func (s *Server) Serve(l net.Listener, o Listening) error { return nil }

// SetFilter replaces the server's filter.
func (s *Server) SetFilter(f *Filter) {}

// Done is closed when the server has ended.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err says why the server ended by itself.
func (s *Server) Err() error { return nil }

// Shutdown drains.
func (s *Server) Shutdown(ctx context.Context) error { return nil }

// Close cuts.
func (s *Server) Close() error { return nil }
