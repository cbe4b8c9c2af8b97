// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"reflect"
	"testing"
)

// TestReply: answers as servers send them, and such as nobody should.
func TestReply(t *testing.T) {
	t.Parallel()
	ask := Ask{Name: "a.example", Type: TypeA, EDNS: true}
	m, err := ask.message()
	if err != nil {
		t.Fatal(err)
	}
	question := string(ask.question(m))
	const yes = "\x1d\x0e\x81\x80\x00\x01"
	record := func(kind byte, data string) string {
		return "\xc0\x0c\x00" + string(kind) + "\x00\x01\x00\x00\x00\x3c\x00" + string(byte(len(data))) + data
	}
	for _, c := range []struct {
		name, message string
		want          *Reply
	}{
		{"address", yes + "\x00\x01\x00\x00\x00\x00" + question + record(TypeA, "\x01\x02\x03\x04"),
			&Reply{Response: true, Available: true, Question: true, Answers: 1, Addrs: []string{"1.2.3.4"}}},
		{"alias and address", yes + "\x00\x02\x00\x00\x00\x00" + question + record(5, "\x01b\x00") + record(TypeA, "\x01\x02\x03\x04"),
			&Reply{Response: true, Available: true, Question: true, Answers: 2, Addrs: []string{"1.2.3.4"}}},
		{"an address that is no answer", yes + "\x00\x00\x00\x00\x00\x01" + question + record(TypeA, "\x01\x02\x03\x04"),
			&Reply{Response: true, Available: true, Question: true}},
		{"blocked", "\x1d\x0e\x81\x83\x00\x01\x00\x00\x00\x00\x00\x01" + question +
			"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x0a\x00\x0f\x00\x06\x00\x0ftext",
			&Reply{RCode: 3, Response: true, Available: true, Question: true, OPT: 1, Extended: []int{15}}},
		{"an option that is cut off", "\x1d\x0e\x81\x83\x00\x01\x00\x00\x00\x00\x00\x01" + question +
			"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x06\x00\x0f\x00\x06\x00\x0f",
			&Reply{RCode: 3, Response: true, Available: true, Question: true, OPT: 1}},
		{"another case", yes + "\x00\x00\x00\x00\x00\x00" + "\x01A\x07example\x00\x00\x01\x00\x01", &Reply{Response: true, Available: true}},
		{"no question", "\x1d\x0e\x81\x81\x00\x00\x00\x00\x00\x00\x00\x00", &Reply{RCode: 1, Response: true, Available: true}},
		{"truncated", "\x1d\x0e\x83\x80\x00\x01\x00\x00\x00\x00\x00\x00" + question, &Reply{Response: true, Available: true, Question: true, Truncated: true}},
		{"fewer records than it says", yes + "\x00\x02\x00\x00\x00\x00" + question + record(TypeA, "\x01\x02\x03\x04"), nil},
		{"data behind the end", yes + "\x00\x01\x00\x00\x00\x00" + question + record(TypeA, "\x01\x02\x03\x04")[:14], nil},
		{"a question behind the end", yes + "\x00\x00\x00\x00\x00\x00\x3fa", nil},
	} {
		got, err := parseReply([]byte(c.message), []byte(question))
		if !reflect.DeepEqual(got, c.want) || (err != nil) != (c.want == nil) {
			t.Errorf("%s: got %+v, %v, want %+v", c.name, got, err, c.want)
		}
	}
}
