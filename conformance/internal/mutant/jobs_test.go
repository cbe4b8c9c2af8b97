// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package mutant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/internal/refproxy"
	"github.com/sallyport-dev/sallyport/fixtures"
)

// The runs wait more than they compute, and a process has one world: so the test binary starts itself
// several times, each in a fake Internet of its own, and shares the jobs out.
const (
	envJobs = "CONFORMANCE_TEST_JOBS" // path of a file with []job
	envOut  = "CONFORMANCE_TEST_OUT"  // path of the file for []*conformance.Report
	workers = 6
	// scale shortens what the suite waits for: most of a mutant's time is spent on what does not come.
	scale = 0.3
)

func TestMain(m *testing.M) {
	if os.Getenv(envJobs) == "" {
		os.Exit(m.Run())
	}
	if err := fixtures.Enter(); err != nil {
		fmt.Fprintln(os.Stderr, "the fake Internet cannot be entered here:", err)
		os.Exit(1)
	}
	if err := work(os.Getenv(envJobs), os.Getenv(envOut)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// work is the life of a worker.
func work(in, out string) error {
	text, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	var all []job
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	reports := make([]*conformance.Report, len(all))
	for i, j := range all {
		opts := []conformance.Option{conformance.Select(j.Select...)}
		faults := refproxy.Faults{}
		if j.Fault != "" {
			faults = append(faults, j.Fault)
			opts = append(opts, conformance.TimeoutScale(scale))
		}
		r, err := conformance.Execute(context.Background(), Backend(j.Entry, faults...), opts...)
		if err != nil {
			return fmt.Errorf("%s: %w", j.name(), err)
		}
		reports[i] = r
	}
	text, err = json.Marshal(reports)
	if err != nil {
		return err
	}
	return os.WriteFile(out, text, 0o600)
}

// runJobs shares jobs out to workers and returns their reports in the order of the jobs.
func runJobs(t *testing.T, all []job) []*conformance.Report {
	t.Helper()
	dir := t.TempDir()
	n := min(workers, len(all))
	shares := make([][]job, n)
	for i, j := range all {
		shares[i%n] = append(shares[i%n], j)
	}
	results := make([][]*conformance.Report, n)
	errs := make([]error, n)
	begin := time.Now()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { results[i], errs[i] = worker(dir, i, shares[i]) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d runs in %v", len(all), time.Since(begin).Round(time.Millisecond))
	out := make([]*conformance.Report, len(all))
	for i := range all {
		out[i] = results[i%n][i/n]
	}
	return out
}

func worker(dir string, i int, share []job) ([]*conformance.Report, error) {
	in, out := filepath.Join(dir, fmt.Sprint("jobs", i)), filepath.Join(dir, fmt.Sprint("out", i))
	text, err := json.Marshal(share)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(in, text, 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envJobs+"="+in, envOut+"="+out)
	if said, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("worker %d: %w\n%s", i, err, said)
	}
	if text, err = os.ReadFile(out); err != nil {
		return nil, err
	}
	var reports []*conformance.Report
	err = json.Unmarshal(text, &reports)
	return reports, err
}
