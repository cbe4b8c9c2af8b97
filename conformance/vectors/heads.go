// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package vectors

import "strings"

// Head is a whole request as it goes over the wire, judged under the policy "core".
type Head struct {
	// Name identifies the head in its group, the requirement Group.
	Name, Group string
	// Bytes is the request.
	Bytes string
	// Want is the verdict. Deny means: nothing is resolved and nothing is dialled.
	Want Verdict
	// Status lists the accepted statuses, the preferred one first.
	Status []int
	// MayClose says that ending the connection without a response is accepted too.
	MayClose bool
	// EOF says that the client shuts its sending side down behind the bytes.
	EOF bool
	// Cases are the ids of the case catalogue the head came from.
	Cases []string
}

// ID is the head's name with its group, unique over all tables.
func (h Head) ID() string { return h.Group + "/" + h.Name }

const (
	line   = "CONNECT allowed.example.com:443 HTTP/1.1\r\n"
	host   = "Host: allowed.example.com:443\r\n"
	target = "allowed.example.com:443"
)

// Heads returns all request heads, in the order of the specification.
func Heads() []Head {
	var out []Head
	for _, table := range [][]Head{
		lineHeads(), fieldHeads(), endingHeads(), hostHeads(), framingHeads(), goodHeads(), truncatedHeads(), methodHeads(),
	} {
		out = append(out, table...)
	}
	return out
}

// HeadGroup returns the heads of one requirement; none is a programming error and panics.
func HeadGroup(id string) []Head {
	var out []Head
	for _, h := range Heads() {
		if h.Group == id {
			out = append(out, h)
		}
	}
	if len(out) == 0 {
		panic("vectors: no head belongs to " + id)
	}
	return out
}

func bad(group, name, bytes string, cases ...string) Head {
	return Head{Name: name, Group: group, Bytes: bytes, Want: Deny, Status: malformed, Cases: cases}
}

func lineHeads() []Head {
	version := func(name, v string, cases ...string) Head {
		h := bad("HEAD-001", name, "CONNECT "+target+" "+v+"\r\n"+host+"\r\n", cases...)
		h.Status, h.MayClose = []int{400, 505}, true
		return h
	}
	garbage := func(name, bytes string, cases ...string) Head {
		h := bad("HEAD-008", name, bytes, cases...)
		h.Status, h.MayClose, h.EOF = []int{400, 405, 501, 505}, true, true
		return h
	}
	return []Head{
		version("http-2", "HTTP/2.0", "HP-22"),
		version("http-3", "HTTP/3.0", "HP-22"),
		version("lower-case", "http/1.1", "HP-22"),
		version("leading-zero", "HTTP/01.1", "HP-22"),
		version("no-minor", "HTTP/1.", "HP-22"),
		version("http-0.9", "HTTP/0.9", "HP-22"),
		bad("HEAD-001", "no-version", "CONNECT "+target+"\r\n"+host+"\r\n", "HP-22"),
		bad("HEAD-001", "two-spaces", "CONNECT  "+target+" HTTP/1.1\r\n"+host+"\r\n", "HM-38"),
		bad("HEAD-001", "two-spaces-behind", "CONNECT "+target+"  HTTP/1.1\r\n"+host+"\r\n", "HM-38"),
		bad("HEAD-001", "tab", "CONNECT\t"+target+"\tHTTP/1.1\r\n"+host+"\r\n", "HM-38"),
		bad("HEAD-001", "space-before", " CONNECT "+target+" HTTP/1.1\r\n"+host+"\r\n", "HM-38"),
		bad("HEAD-001", "space-at-end", "CONNECT "+target+" HTTP/1.1 \r\n"+host+"\r\n", "HM-38"),
		bad("HEAD-001", "no-method", " "+target+" HTTP/1.1\r\n"+host+"\r\n", "HP-44"),
		bad("HEAD-001", "no-target", "CONNECT HTTP/1.1\r\n"+host+"\r\n", "HP-44"),

		garbage("tls-hello", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03"+strings.Repeat("\x5a", 64)+"\r\n\r\n", "HP-46"),
		garbage("socks-5", "\x05\x01\x00", "HP-46"),
		garbage("http-2-preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HP-21"),
		garbage("letters", strings.Repeat("x", 600)+"\r\n\r\n", "HP-46"),
	}
}

func fieldHeads() []Head {
	field := func(name, text string, cases ...string) Head {
		return bad("HEAD-002", name, line+host+text+"\r\n\r\n", cases...)
	}
	return []Head{
		field("no-colon", "X-Field value", "HP-26"),
		field("no-name", ": value", "HP-26"),
		field("space-before-colon", "X-Field : value", "HP-26"),
		field("folded", "X-Field: a\r\n b", "HP-23"),
		field("blank-line-of-spaces", "  ", "HP-68"),
		field("nul", "X-Field: a\x00b", "HP-26"),
		field("carriage-return", "X-Field: a\rb", "HP-24"),
		field("name-with-space", "X Field: a", "HP-26"),
		bad("HEAD-002", "space-before-first", line+" "+host+"\r\n", "HP-26"),
	}
}

func endingHeads() []Head {
	return []Head{
		bad("HEAD-003", "line-feed-everywhere", strings.ReplaceAll(line+host+"\r\n", "\r\n", "\n"), "HP-24"),
		bad("HEAD-003", "line-feed-behind-line", "CONNECT "+target+" HTTP/1.1\n"+host+"\r\n", "HP-24"),
		bad("HEAD-003", "line-feed-behind-field", line+"X-Field: a\n"+host+"\r\n", "HP-24"),
		bad("HEAD-003", "line-feed-at-end", line+host+"\n", "HP-24"),
		bad("HEAD-003", "carriage-returns", line+"X-Field: a\r"+host+"\r\n", "HP-24"),
	}
}

func hostHeads() []Head {
	return []Head{
		bad("HEAD-004", "none", line+"\r\n", "HP-20"),
		bad("HEAD-004", "twice", line+host+host+"\r\n", "HP-25"),
		bad("HEAD-004", "two-different", line+host+"Host: denied.example.net\r\n\r\n", "HP-25"),
		bad("HEAD-004", "list", line+"Host: allowed.example.com, denied.example.net\r\n\r\n", "HP-25"),
		bad("HEAD-004", "user", line+"Host: a@allowed.example.com:443\r\n\r\n", "HP-25"),
		bad("HEAD-004", "path", line+"Host: allowed.example.com/path\r\n\r\n", "HP-25"),
	}
}

func framingHeads() []Head {
	field := func(name, text string) Head { return bad("HEAD-005", name, line+host+text+"\r\n\r\n", "HP-28") }
	return []Head{
		field("content-length", "Content-Length: 5"),
		field("content-length-sign", "Content-Length: +0"),
		field("content-length-list", "Content-Length: 0, 5"),
		field("transfer-encoding", "Transfer-Encoding: chunked"),
		field("both", "Content-Length: 5\r\nTransfer-Encoding: chunked"),
	}
}

func goodHeads() []Head {
	good := func(group, name, bytes string, cases ...string) Head {
		return Head{Name: name, Group: group, Bytes: bytes, Want: Allow, Status: ok, Cases: cases}
	}
	return []Head{
		good("HEAD-006", "crlf-before", "\r\n"+line+host+"\r\n", "HP-27"),
		good("HEAD-006", "many-fields", line+host+strings.Repeat("X-Field: value\r\n", 40)+"\r\n"),
		good("HEAD-006", "field-without-space", line+"Host:"+target+"\r\n\r\n"),
		good("HEAD-006", "field-any-case", line+"hOsT: "+target+"\r\nproxy-CONNECTION: keep-alive\r\n\r\n"),
		good("HEAD-006", "empty-field", line+host+"X-Field:\r\n\r\n"),
	}
}

func truncatedHeads() []Head {
	cut := func(name, bytes string) Head {
		h := bad("HEAD-007", name, bytes, "HP-66")
		h.MayClose, h.EOF = true, true
		return h
	}
	return []Head{
		cut("in-line", "CONNECT allowed.example.com:443"),
		cut("behind-line", line),
		cut("in-field", line+"Host: allowed"),
		cut("before-empty-line", line+host),
		cut("in-empty-line", line+host+"\r"),
	}
}

func methodHeads() []Head {
	method := func(group, name, text string, cases ...string) Head {
		return Head{
			Name: name, Group: group, Bytes: text + " HTTP/1.1\r\nHost: allowed.example.com\r\n\r\n",
			Want: Deny, Status: []int{405}, Cases: cases,
		}
	}
	lower := func(name, text string) Head {
		h := method("CONNECT-009", name, text+" "+target, "HP-18")
		h.Status = []int{405, 400, 501}
		return h
	}
	return []Head{
		method("CONNECT-008", "get-allowed", "GET http://allowed.example.com/", "HP-09"),
		method("CONNECT-008", "get-denied", "GET http://denied.example.net/", "HP-09"),
		method("CONNECT-008", "post", "POST http://allowed.example.com/", "HP-09"),
		method("CONNECT-008", "head", "HEAD http://denied.example.net/", "HP-59"),
		method("CONNECT-008", "trace", "TRACE http://allowed.example.com/", "HP-59"),
		method("CONNECT-008", "options-star", "OPTIONS *", "HP-59"),
		method("CONNECT-008", "get-origin-form", "GET /", "HP-10"),
		method("CONNECT-008", "get-https", "GET https://allowed.example.com/", "HP-11"),
		method("CONNECT-008", "ftp", "GET ftp://allowed.example.com/", "HP-12"),
		lower("lower-case", "connect"),
		lower("mixed-case", "Connect"),
		lower("longer", "CONNECTX"),
	}
}
