// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

// Package trust makes the files by which programs come to trust a proxy that
// intercepts TLS (mitmdump, Squid with ssl_bump, a corporate agent):
//
//	ca, err := trust.FindCA("") // or the file that the proxy's documentation names
//	if err != nil {
//		return err
//	}
//	bundle, err := trust.Bundle(dir, ca) // the system's roots and that CA
//	if err != nil {
//		return err
//	}
//	store, err := trust.TrustStore(dir, bundle) // the same for Java
//	if err != nil {
//		return err
//	}
//	h, fail := proxycore.NewHandle(proxycore.HandleConfig{Addr: addr, CABundle: bundle, JavaTrustStore: store})
//
// The handle's Environ then points child processes at both. Only certificates are
// ever written: a private key in a file that is read stays there.
//
// It changes no trust of the system or of a user: the files are for the processes
// that are told about them. It does not judge whether a CA deserves trust.
package trust
