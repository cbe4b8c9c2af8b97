// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package oracle

// Child is the evidence of the program a launcher started: what its processes say of themselves over the suite's
// control socket, and that they are gone.
const Child Kind = "child"
