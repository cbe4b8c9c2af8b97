// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package conformance says of an egress proxy, and of the sandbox around it, whether it really holds.
//
// SPEC.md has the requirements, [Catalog] the checks, and three functions run them: [Run] from a test,
// [Describe] inside somebody's ginkgo suite, and [Execute] without any framework. What is tested is a
// [Backend]: a name, the features it claims and a function that starts an instance with a given policy.
//
// The suite keeps to six principles.
//
//  1. A check that has no mutant does not count: internal/mutant breaks a reference proxy in one named way
//     after the other, and each time exactly the checks that watch for it must fail.
//  2. A verdict needs two witnesses: what the client saw, and what origin, name server and network saw.
//  3. A check of a refusal carries its own control in the same instance: what is allowed works before and
//     after, so that a dead proxy does not pass for a strict one.
//  4. Checks never skip, never sleep, never match error texts and never use the Internet. Whether one
//     applies is decided by the runner, from what the backend claims.
//  5. A failure of the suite is a failure of the backend. It may miss races; what is flaky is mended or
//     taken out, not repeated.
//  6. "Could not test" is an outcome of its own, and makes the run invalid.
//
// It runs on the fake Internet of module fixtures, on Linux, as root or as an ordinary user: every address
// is local there, names resolve as the suite wants, and every packet is seen. Proxies run in it unmodified.
// Call fixtures.Enter first in TestMain. Elsewhere the package builds, and every run is an error.
//
// It is not a benchmark, makes no ranking, and says nothing about what an allowed host may be used for.
package conformance
