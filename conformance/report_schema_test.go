// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/sallyport-dev/sallyport/conformance/internal/check"
)

func schema(t *testing.T) (*jsonschema.Schema, *jsonschema.Resolved) {
	t.Helper()
	s := new(jsonschema.Schema)
	if err := json.Unmarshal([]byte(Schema()), s); err != nil {
		t.Fatal(err)
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return s, resolved
}

// validate writes r as report.json and holds it against the schema.
func validate(t *testing.T, resolved *jsonschema.Resolved, r *Report) error {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var instance any
	if err := json.Unmarshal(b.Bytes(), &instance); err != nil {
		t.Fatal(err)
	}
	return resolved.Validate(instance)
}

// TestSchema: what the suite writes is valid, and what it never would is not.
func TestSchema(t *testing.T) {
	t.Parallel()
	_, resolved := schema(t)
	good := sample()
	good.Checks = good.Checks[:len(good.Checks)-1] // the last is of another version
	if err := validate(t, resolved, good); err != nil {
		t.Errorf("the sample: %v", err)
	}
	if err := validate(t, resolved, newReport(Backend{Name: "x"})); err != nil {
		t.Errorf("a report without checks: %v", err)
	}
	for name, spoil := range map[string]func(*Report){
		"schemaVersion":     func(r *Report) { r.SchemaVersion = 2 },
		"verdict":           func(r *Report) { r.Verdict = "good" },
		"spec":              func(r *Report) { r.Spec = "" },
		"no name":           func(r *Report) { r.Backend.Name = "" },
		"claimed is null":   func(r *Report) { r.Backend.Claimed = nil },
		"checks are null":   func(r *Report) { r.Checks = nil },
		"allow is null":     func(r *Report) { r.Policies["none"] = PolicyReport{} },
		"outcome":           func(r *Report) { r.Checks[0].Outcome = "ok" },
		"id":                func(r *Report) { r.Checks[0].ID = "CONNECT-1.x" },
		"level":             func(r *Report) { r.Checks[0].Level = "MAY" },
		"negative duration": func(r *Report) { r.Checks[0].Millis = -1 },
		"failure of nothing": func(r *Report) {
			r.Checks[0].Outcome, r.Checks[0].Findings = Fail, nil
		},
		"na without a reason": func(r *Report) { r.Checks[0].Outcome, r.Checks[0].Reason = NA, "" },
	} {
		r := sample()
		r.Checks = r.Checks[:len(r.Checks)-1]
		spoil(r)
		if err := validate(t, resolved, r); err == nil {
			t.Errorf("%s: the schema accepts it", name)
		}
	}
}

// TestSchemaHasEveryField: the schema names the fields that are written, all of them and no others, and
// demands those that are always there.
func TestSchemaHasEveryField(t *testing.T) {
	t.Parallel()
	s, _ := schema(t)
	for _, c := range []struct {
		in reflect.Type
		s  *jsonschema.Schema
	}{
		{reflect.TypeFor[Report](), s},
		{reflect.TypeFor[BackendReport](), s.Defs["backend"]},
		{reflect.TypeFor[HostReport](), s.Defs["host"]},
		{reflect.TypeFor[PolicyReport](), s.Defs["policy"]},
		{reflect.TypeFor[CheckReport](), s.Defs["check"]},
		{reflect.TypeFor[FindingReport](), s.Defs["finding"]},
		{reflect.TypeFor[check.Line](), s.Defs["line"]},
	} {
		var all []string
		for i := range c.in.NumField() {
			tag := c.in.Field(i).Tag.Get("json")
			if tag == "" {
				continue
			}
			name, flags, _ := strings.Cut(tag, ",")
			all = append(all, name)
			if c.s.Properties[name] == nil {
				t.Errorf("the schema does not know %s.%s", c.in.Name(), name)
			}
			if slices.Contains(c.s.Required, name) == strings.Contains(flags, "omitempty") {
				t.Errorf("%s.%s: required %v, flags %q", c.in.Name(), name, slices.Contains(c.s.Required, name), flags)
			}
		}
		for name := range c.s.Properties {
			if !slices.Contains(all, name) {
				t.Errorf("the schema has %s.%s, which nobody writes", c.in.Name(), name)
			}
		}
	}
}
