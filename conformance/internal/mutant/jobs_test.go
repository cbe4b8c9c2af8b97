// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package mutant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/internal/rerun"
	"github.com/sallyport-dev/sallyport/fixtures"
)

// The runs wait more than they compute, and a process has one world: so the test binary starts itself for
// every run, several at a time, each in a fake Internet of its own. Nothing a mutant leaves behind, and some
// leave much, is then seen by another.
const (
	envJob  = "CONFORMANCE_TEST_JOB" // a job in JSON
	envOut  = "CONFORMANCE_TEST_OUT" // path of the file for the report
	workers = 6
	// most is how long a run may take: the reference in its sandbox needs most of a minute with -race.
	most = 4 * time.Minute
)

func TestMain(m *testing.M) {
	do, what := work, os.Getenv(envJob)
	if what == "" {
		do, what = inSandbox, os.Getenv(envSandbox)
	}
	if what == "" {
		os.Exit(m.Run())
	}
	if err := fixtures.Enter(); err != nil {
		fmt.Fprintln(os.Stderr, "the fake Internet cannot be entered here:", err)
		os.Exit(1)
	}
	if err := do(what); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// work is the life of a child.
func work(text string) error {
	var j Job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	r, err := j.Run(context.Background())
	if err != nil {
		return err
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(os.Getenv(envOut), b, 0o600)
}

// runJobs returns the reports in the order of the jobs.
func runJobs(t *testing.T, all []Job) []*conformance.Report {
	t.Helper()
	dir := t.TempDir()
	out := make([]*conformance.Report, len(all))
	errs := make([]error, len(all))
	begin := time.Now()
	queue := make(chan int)
	var wg sync.WaitGroup
	for range min(workers, len(all)) {
		wg.Go(func() {
			for i := range queue {
				out[i], errs[i] = child(t, filepath.Join(dir, strconv.Itoa(i)), all[i])
			}
		})
	}
	for i := range all {
		queue <- i
	}
	close(queue)
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d runs in %v", len(all), time.Since(begin).Round(time.Millisecond))
	return out
}

func child(t *testing.T, out string, j Job) (*conformance.Report, error) {
	text, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	env := []string{envJob + "=" + string(text), envOut + "=" + out, "GORACE=atexit_sleep_ms=0"}
	if j.Fault != "" {
		// Many of them at once: threads and collections would cost more than they bring.
		env = append(env, "GOMAXPROCS=1", "GOGC=400")
	}
	ctx, cancel := rerun.Context(t, most)
	defer cancel()
	if said, err := rerun.Output(ctx, env); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", j.Name(), err, said)
	}
	if text, err = os.ReadFile(out); err != nil {
		return nil, err
	}
	r := new(conformance.Report)
	err = json.Unmarshal(text, r)
	return r, err
}
