// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

// Child is a proxy program that an instance has to start, watch and end. The zero value is a program that
// cannot be started.
type Child struct {
	// Path is the absolute path of the program.
	Path string

	// Args are the arguments behind its name. "{port}" in them stands for the TCP port of 127.0.0.1 the
	// program has to listen on; a backend with another placeholder puts its own in its place.
	Args []string
}
