// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"testing"
)

// Whatever a file holds, what is written is certificates that were in it, each
// whole, and nothing else; and every program reads the same ones back.
func FuzzParse(f *testing.F) {
	good := ca(f, "good", nil)
	f.Add([]byte(good.keyPEM(f) + good.pem()))
	f.Add([]byte("# a\r\n" + good.pem() + "text" + good.pem()[:60] + "\n" + good.pem()))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\n\naGVsbG8=\n-----END CERTIFICATE-----\n"))
	f.Add([]byte("-----BEGIN TRUSTED CERTIFICATE-----\n-----END TRUSTED CERTIFICATE-----"))
	f.Add(good.cert.Raw)
	f.Fuzz(func(t *testing.T, text []byte) {
		b := parse(text)
		written := encode(unique(b.certs))
		again := parse(written)
		if again.bad != nil || again.keys > 0 || !slices.EqualFunc(again.certs, unique(b.certs), (*x509.Certificate).Equal) {
			t.Errorf("%d certificates were written, %d read back, with %d keys and error %v", len(b.certs), len(again.certs), again.keys, again.bad)
		}
		for rest := written; len(rest) > 0; {
			var block *pem.Block
			begin := rest
			block, rest = pem.Decode(rest)
			if block == nil || block.Type != certificateBlock || len(block.Headers) > 0 || !bytes.HasPrefix(begin, []byte("-----BEGIN CERTIFICATE-----\n")) {
				t.Fatalf("the bundle holds %q", begin)
			}
		}
	})
}
