// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"io"
	"strings"
	"testing"
)

// RFC 9110 section 9.3.2: a reply to HEAD ends with its head.
func TestRefusedHeadHasNoBody(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		request, status string
		body            bool
	}{
		"HEAD":                       {"HEAD http://github.com/ HTTP/1.1\r\nHost: github.com\r\n\r\n", "405", false},
		"HEAD that is malformed":     {"HEAD http://github.com/ HTTP/1.1\r\n\r\n", "400", false},
		"GET":                        {"GET http://github.com/ HTTP/1.1\r\nHost: github.com\r\n\r\n", "405", true},
		"methods are case-sensitive": {"head http://github.com/ HTTP/1.1\r\nHost: github.com\r\n\r\n", "405", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil, nil)
			reply, err := io.ReadAll(w.client().send(tt.request))
			if err != nil {
				t.Fatal(err)
			}
			head, body, _ := strings.Cut(string(reply), "\r\n\r\n")
			contains(t, "head", head, "HTTP/1.1 "+tt.status+" ", "Proxy-Status: ", "Content-Length: ")
			if (body != "") != tt.body {
				t.Errorf("body %q, want any: %v", body, tt.body)
			}
		})
	}
}
