// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"encoding/base64"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
	"github.com/sallyport-dev/sallyport/conformance/internal/checks"
	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/redact"
	"github.com/sallyport-dev/sallyport/conformance/vectors"
)

// The secrets that are planted, and all forms of them that no file may hold.
const (
	password     = "correct-Horse7"
	machineToken = "tok3n-of-the-machine"
	stored       = "a value nobody could tell"
)

var basic = base64.StdEncoding.EncodeToString([]byte("alice:" + password))

func planted() string {
	return "dial http://alice:" + password + "@proxy.example:3128/ GITHUB_TOKEN=" + machineToken + " --password " + password +
		" then " + basic + " and " + stored + "\n\"CONNECT a:443 HTTP/1.1\\r\\nProxy-Authorization: Basic " + basic + "\\r\\n\\r\\n\"\n" +
		"Authorization: Bearer " + machineToken + "\n"
}

func wantNoSecret(t *testing.T, where, text string) {
	t.Helper()
	for _, s := range []string{password, machineToken, stored, basic, strings.TrimRight(basic, "="), base64.StdEncoding.EncodeToString([]byte(stored))} {
		if strings.Contains(text, s) {
			t.Errorf("%s holds %q", where, s)
		}
	}
}

// plant puts the secrets behind every string there is, and into every list and map that has none.
func plant(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + " " + planted())
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				plant(f)
			}
		}
	case reflect.Slice:
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		for i := range v.Len() {
			plant(v.Index(i))
		}
	case reflect.Map:
		fresh := reflect.MakeMap(v.Type())
		for i := range 2 {
			key, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			key.SetString(strings.Repeat("x", i) + planted())
			plant(e)
			fresh.SetMapIndex(key, e)
		}
		v.Set(fresh)
	}
}

// TestNoSecretIsWritten: whatever text of a report holds a secret, no file does.
func TestNoSecretIsWritten(t *testing.T) {
	t.Setenv("CONFORMANCE_TEST_SECRET", stored)
	all := peers()
	for _, r := range all {
		plant(reflect.ValueOf(r).Elem())
	}
	// Fields that decide which part of a form is written: as they are, and with secrets in them.
	for _, r := range []*Report{all[0], withOutcomes(all[1])} {
		for name, text := range forms(t, r, all) {
			wantNoSecret(t, name, text)
			if !strings.Contains(text, "redacted") {
				t.Errorf("%s shows nothing of what was planted; the test proves nothing", name)
			}
		}
	}
	// badge.json has no text of a backend in it but the version of the specification.
	var b bytes.Buffer
	if err := all[0].WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadReport(&b); err != nil {
		t.Errorf("report.json cannot be read back: %v", err)
	}
}

// withOutcomes gives the checks outcomes that exist again.
func withOutcomes(r *Report) *Report {
	all := []Outcome{Fail, Known, NA, Error, Deselected, Stale}
	for i := range r.Checks {
		r.Checks[i].Outcome = all[i%len(all)]
	}
	return r
}

// TestNoSecretIsReturned: a report is clean before any writer sees it, as ginkgo's output needs.
func TestNoSecretIsReturned(t *testing.T) {
	t.Setenv("CONFORMANCE_TEST_SECRET", stored)
	r := newReport(Backend{Name: "x " + planted(), Version: planted()})
	r.add(checks.All()[0], check.Result{
		ID: checks.All()[0].ID, Outcome: check.Fail, Reason: planted(), Log: planted(), Duration: time.Second,
		Lines: []check.Line{{Label: "Got", Text: planted()}}, Findings: []oracle.Finding{{Kind: oracle.Control, Text: planted()}},
	})
	c := r.Checks[0] // what ginkgo shows, and Progress gets, before the run is over
	r.finish(time.Second, errors.New(planted()))
	for where, text := range map[string]string{
		"Text": c.Text(), "Log": c.Log, "Reason": c.Reason, "Problems": strings.Join(r.Problems, ""), "Summary": r.Summary(),
		"Evidence": c.Evidence[0].Text, "Findings": c.Findings[0].Text, "Version": r.Backend.Version,
	} {
		wantNoSecret(t, where, text)
	}
}

// TestRedactionSparesOurOwn: nothing the suite itself says or sends looks like a secret.
func TestRedactionSparesOurOwn(t *testing.T) {
	t.Parallel()
	texts := strings.Split(specText, "\n")
	for _, c := range Catalog() {
		texts = append(texts, c.ID, c.Summary, c.Rule, c.Anchor)
	}
	for _, v := range vectors.Targets() {
		texts = append(texts, v.ID(), v.Head(), v.Target, strconv.Quote(v.Head()))
	}
	for _, h := range vectors.Heads() {
		texts = append(texts, h.ID(), h.Bytes, strconv.Quote(h.Bytes))
	}
	for _, p := range vectors.Policies() {
		texts = slices.Concat(texts, p.Allow, p.Deny)
	}
	for _, s := range texts {
		if got := (redact.Redactor{}).Text(s); got != s {
			t.Errorf("of %q stays %q", s, got)
		}
	}
}
