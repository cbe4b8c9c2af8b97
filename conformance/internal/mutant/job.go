// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package mutant

import (
	"bufio"
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
	"github.com/sallyport-dev/sallyport/conformance/internal/refproxy"
)

// Scale shortens what the suite waits for with a mutant: most of its time is spent on what does not come.
const Scale = 0.3

// Job is one run of the suite against one mutant, or against the reference when Fault is "".
type Job struct {
	Fault  refproxy.Fault
	Entry  Entry
	Select []string
}

// Name is the fault and the way in, as the golden file has it.
func (j Job) Name() string { return fmt.Sprintf("%s %s", j.Fault, j.Entry) }

// entry is the way in of a row.
func (m Mutant) entry() Entry {
	if m.Entry == "" {
		return TCP
	}
	return m.Entry
}

// Jobs are the distinct mutants of the table that this kernel can show.
func Jobs() []Job {
	var out []Job
	at := map[string]int{}
	for _, m := range Table() {
		if !probe.Shows(m.Check) {
			continue
		}
		j := Job{Fault: m.Fault, Entry: m.entry()}
		i, ok := at[j.Name()]
		if !ok {
			i = len(out)
			at[j.Name()] = i
			out = append(out, j)
		}
		for _, a := range m.Areas {
			if !slices.Contains(out[i].Select, a) {
				out[i].Select = append(out[i].Select, a)
			}
		}
	}
	return out
}

// References are the runs without a fault, by every way in: everything that applies has to pass.
func References() []Job {
	return []Job{{Entry: TCP}, {Entry: Unix}, {Entry: Sandbox}, {Entry: Bare}, {Entry: Launcher}}
}

// Batches puts the jobs into groups of at most n that may follow each other in one process. What may leave a
// process, a listener or a tunnel behind is alone; a fault of the policy, a parser or an answer leaves nothing.
func Batches(jobs []Job, n int) [][]Job {
	var out [][]Job
	var batch []Job
	for _, j := range jobs {
		clean := slices.ContainsFunc([][]string{requests, parsers, heads, answers, chains}, func(areas []string) bool {
			return slices.Equal(areas, j.Select)
		})
		if !clean {
			out = append(out, []Job{j})
			continue
		}
		if batch = append(batch, j); len(batch) == n {
			out, batch = append(out, batch), nil
		}
	}
	if len(batch) > 0 {
		out = append(out, batch)
	}
	return out
}

// Run runs the job in this process, which has to be inside a fake Internet of its own: some mutants leave things
// behind. Batches says which jobs may share one.
func (j Job) Run(ctx context.Context) (*conformance.Report, error) {
	opts := []conformance.Option{conformance.Select(j.Select...)}
	faults := refproxy.Faults{}
	if j.Fault != "" {
		faults = append(faults, j.Fault)
		opts = append(opts, conformance.TimeoutScale(Scale))
	}
	r, err := conformance.Execute(ctx, Backend(j.Entry, faults...), opts...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", j.Name(), err)
	}
	return r, nil
}

// Failing are the checks that failed, with the kind of evidence the first finding rests on, and what went wrong
// with the run itself.
func Failing(j Job, r *conformance.Report) (failing map[string]string, problems []string) {
	failing = map[string]string{}
	for _, c := range r.Checks {
		switch c.Outcome {
		case conformance.Fail:
			failing[c.ID] = c.Findings[0].Kind
		case conformance.Error:
			problems = append(problems, fmt.Sprintf("%s: %s could not be carried out: %s", j.Name(), c.ID, c.Reason))
		}
	}
	return failing, problems
}

// Survived are the rows of the table for this mutant whose check did not fail, or by another kind of evidence.
func Survived(j Job, failing map[string]string) (out []string) {
	for _, m := range Table() {
		if m.Fault != j.Fault || m.entry() != j.Entry || !probe.Shows(m.Check) {
			continue
		}
		switch kind, failed := failing[m.Check]; {
		case !failed:
			out = append(out, fmt.Sprintf("%s: %s passes", j.Name(), m.Check))
		case kind != string(m.Kind):
			out = append(out, fmt.Sprintf("%s: %s fails by %s, want by %s", j.Name(), m.Check, kind, m.Kind))
		}
	}
	return out
}

// Unexpected are the differences to the golden file.
func Unexpected(j Job, failing map[string]string) (out []string) {
	want := Golden()[j.Name()]
	for id, kind := range want {
		if got, ok := failing[id]; !ok && !probe.Shows(id) {
			continue
		} else if !ok {
			out = append(out, fmt.Sprintf("%s: %s passes, want a failure by %s", j.Name(), id, kind))
		} else if got != kind {
			out = append(out, fmt.Sprintf("%s: %s fails by %s, want by %s", j.Name(), id, got, kind))
		}
	}
	for id, kind := range failing {
		if _, ok := want[id]; !ok {
			out = append(out, fmt.Sprintf("%s: %s fails by %s, and the golden file does not say so", j.Name(), id, kind))
		}
	}
	slices.Sort(out)
	return out
}

//go:embed testdata/mutants.golden
var goldenText string

// Golden is every check each mutant fails, and the kind of evidence, by the names of the jobs. Callers must not change it.
func Golden() map[string]map[string]string { return readGolden() }

// readGolden reads the file once; nobody may change what it returns.
var readGolden = sync.OnceValue(func() map[string]map[string]string {
	out := map[string]map[string]string{}
	name := ""
	for s := bufio.NewScanner(strings.NewReader(goldenText)); s.Scan(); {
		line := s.Text()
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			name = strings.Trim(line, "[]")
			out[name] = map[string]string{}
		default:
			id, kind, _ := strings.Cut(line, " ")
			out[name][id] = kind
		}
	}
	return out
})
