// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package redact

import (
	"encoding/base64"
	"reflect"
	"strings"
	"testing"
)

const secret = "hunter2:s3cr3t"

func TestText(t *testing.T) {
	t.Parallel()
	basic := base64.StdEncoding.EncodeToString([]byte("alice:" + secret))
	for _, c := range []struct{ name, in, want string }{
		{"URL", "dial http://alice:pa@ss@proxy.example:3128/x", "dial http://[redacted]@proxy.example:3128/x"},
		{"URL with a token for a user", "https://0123456789abcdef@host", "https://[redacted]@host"},
		{"URL escaped in JSON", `http:\/\/alice:pass@host`, `http:\/\/[redacted]@host`},
		{"URL without", "http://proxy.example:3128/@x", "http://proxy.example:3128/@x"},
		{"field", "Proxy-Authorization: Basic " + basic + "\nnext", "Proxy-Authorization: [redacted]\nnext"},
		{"field of any scheme", `Authorization: Digest username="a", response="b"` + "\r\nHost: x", "Authorization: [redacted]\r\nHost: x"},
		{"field in a quoted head", `"CONNECT a:443 HTTP/1.1\r\nproxy-authorization: x y\"z\r\nHost: a\r\n"`,
			`"CONNECT a:443 HTTP/1.1\r\nproxy-authorization: [redacted]\r\nHost: a\r\n"`},
		{"folded field", "Authorization: Basic\r\n " + basic + "\r\nHost: x", "Authorization: [redacted]\r\nHost: x"},
		{"field as a map", "map[Authorization:[Bearer abc] Host:[x]]", "map[Authorization:[redacted]"},
		{"field in JSON", `{"Authorization": "Bearer abc"}`, `{"Authorization": [redacted]`},
		{"cookie", "Set-Cookie: a=b", "Set-Cookie: [redacted]"},
		{"variable", "env GITHUB_TOKEN=abc HOME=/root", "env GITHUB_TOKEN=[redacted] HOME=/root"},
		{"quoted variable", `DB_PASSWORD="a b" X=1`, `DB_PASSWORD="[redacted]" X=1`},
		{"escaped quotes", `DB_PASSWORD="a\"b c" X=1`, `DB_PASSWORD="[redacted]" X=1`},
		{"quoted and cut", `DB_PASSWORD="a b`, `DB_PASSWORD="[redacted]`},
		{"single quotes", `DB_PASSWORD='a b' X=1`, `DB_PASSWORD='[redacted]' X=1`},
		{"lower case", "password: abc", "password: [redacted]"},
		{"JSON", `{"api_key":"abc","n":1}`, `{"api_key":"[redacted]","n":1}`},
		{"quoted JSON", `"{\"api_key\":\"abc\",\"n\":1}"`, `"{\"api_key\":\"[redacted]\",\"n\":1}"`},
		{"query", "GET /?access_token=abc HTTP/1.1", "GET /?access_token=[redacted] HTTP/1.1"},
		{"flag", "exec: ./p --auth-token abc -v", "exec: ./p --auth-token [redacted] -v"},
		{"flag in a list", `["./p" "--password" "abc" "-v"]`, `["./p" "--password" "[redacted]" "-v"]`},
		{"curl", "curl -U alice:abc http://x", "curl -U [redacted] http://x"},
		{"bearer", "got Bearer 0123456789abcdef0123", "got Bearer [redacted]"},
		{"base64 alone", "credentials seen: x " + basic + " end", "credentials seen: x " + Mark + " end"},
		{"base64 in the URL alphabet", "(" + base64.RawURLEncoding.EncodeToString([]byte("ab:\u00ff\u00fe?>")) + ")", "(" + Mark + ")"},
		{"GitHub", "x ghp_0123456789abcdefABCDEF0123456789abcd y", "x " + Mark + " y"},
		{"JWT", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_9 y", Mark + " y"},
		{"key", "a -----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY----- b", "a " + Mark + " b"},
		{"key that was cut", "a -----BEGIN PRIVATE KEY-----\nabc", "a " + Mark},
		{"no scheme", "upstream http alice:abc@proxy.example:3128", "upstream http alice:[redacted]@proxy.example:3128"},
		{"arrow", `{"password"=>"abc"}`, `{"password"=>"[redacted]"}`},
		{"npm", "//registry/:_auth=abc", "//registry/:_auth=[redacted]"},
		{"signature", "GET /?X-Amz-Signature=abc", "GET /?X-Amz-Signature=[redacted]"},
		{"a port is no password", "CONNECT allowed.example.com:443@evil.example.net:443", "CONNECT allowed.example.com:443@evil.example.net:443"},
		{"evidence stays", `Sent "CONNECT a:b@allowed.example.com:443 HTTP/1.1\r\n"`, `Sent "CONNECT a:b@allowed.example.com:443 HTTP/1.1\r\n"`},
	} {
		got := Redactor{}.Text(c.in)
		if got != c.want {
			t.Errorf("%s: got  %q\nwant %q", c.name, got, c.want)
		}
		if again := (Redactor{}).Text(got); again != got {
			t.Errorf("%s: a second time makes %q of %q", c.name, again, got)
		}
	}
}

func TestEnviron(t *testing.T) {
	t.Parallel()
	r := newRedactor([]string{
		"MY_TOKEN=" + secret, "MY_TOKEN_2=" + secret + "/+longer", "HTTP_PROXY=http://alice:correct-horse@proxy",
		"SHORT_TOKEN=word", "HOME=/home/alice1",
	})
	in := "a " + secret + "b " + secret + "/+longer " + base64.StdEncoding.EncodeToString([]byte(secret)) +
		" correct-horse hunter2%3As3cr3t word /home/alice1"
	want := strings.Join([]string{"a", Mark + "b", Mark, Mark, Mark, Mark, "word", "/home/alice1"}, " ")
	if got := r.Text(in); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestValue(t *testing.T) {
	t.Parallel()
	type kind string
	type inner struct{ K kind }
	type outer struct {
		S       []string
		M       map[string]inner
		P       *inner
		A       [1]any
		N       int
		private string
	}
	const dirty, clean = "TOKEN=abc", "TOKEN=" + Mark
	make := func(s string) outer {
		return outer{[]string{s, s}, map[string]inner{s: {kind(s)}}, &inner{kind(s)}, [1]any{s}, 1, "TOKEN=abc"}
	}
	in := make(dirty)
	if got := Value(Redactor{}, in); !reflect.DeepEqual(got, make(clean)) {
		t.Errorf("got %+v", got)
	}
	if !reflect.DeepEqual(in, make(dirty)) {
		t.Errorf("the original was changed: %+v", in)
	}
	if got := Value(Redactor{}, outer{}); !reflect.DeepEqual(got, outer{}) {
		t.Errorf("of the zero value: %+v", got)
	}
}
