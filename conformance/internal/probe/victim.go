// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package probe

// Victim is what a process that OpVictim has made says on its standard output, a line each: where its secret is, and
// after the end of its standard input, what has become of it.
const (
	VictimAt       = "at %d"
	VictimIntact   = "intact"   // nobody got at it
	VictimSignaled = "signaled" // it has got SIGWINCH
	VictimChanged  = "changed"  // its memory is another
)
