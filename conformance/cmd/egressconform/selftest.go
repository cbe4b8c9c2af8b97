// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sallyport-dev/sallyport/conformance"
	"github.com/sallyport-dev/sallyport/conformance/internal/mutant"
	"github.com/sallyport-dev/sallyport/fixtures"
)

// never is the Start of a backend that only serves to ask the suite about names.
func never(context.Context, conformance.Config) (*conformance.Instance, error) {
	return nil, errors.New("egressconform: nothing to start")
}

// matrix is what selftest found out.
type matrix struct {
	Mutants int `json:"mutants"`
	Killed  int `json:"killed"`
	// Survivors are mutants whose check did not notice them, or not by the evidence it should rest on.
	Survivors []string `json:"survivors"`
	// Unexpected are failures that were not to be, and missing ones that were.
	Unexpected []string `json:"unexpected"`
	// Problems are runs that could not be carried out.
	Problems []string `json:"problems"`
	Millis   int64    `json:"millis"`
}

// selftest is the command selftest. Mutants that may leave things behind have a process and a fake Internet of their
// own; all wait more than they compute, so several run at once.
func (a *app) selftest(args []string) int {
	f := a.flags("selftest")
	asJSON := f.Bool("json", false, "print JSON")
	job := f.String("job", "", "run jobs and write their reports to --out")
	out := f.String("out", "", "see --job")
	f.MarkHidden("job")
	f.MarkHidden("out")
	if done, status := a.parse(f, args); done {
		return status
	}
	if f.NArg() > 0 {
		return a.wrong(fmt.Errorf("selftest: what is %q for?", f.Arg(0)))
	}
	if *job != "" {
		return a.job(*job, *out)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	begin := time.Now()
	m, err := a.matrix(ctx)
	if err != nil {
		return a.invalid(err)
	}
	m.Millis = time.Since(begin).Milliseconds()
	if *asJSON {
		a.printJSON(m)
	} else {
		a.printMatrix(m)
	}
	switch {
	case len(m.Problems) > 0:
		return exitInvalid
	case len(m.Survivors)+len(m.Unexpected) > 0:
		return exitFailed
	}
	return exitOK
}

func (a *app) printMatrix(m *matrix) {
	for _, list := range []struct {
		label string
		lines []string
	}{{"SURVIVED  ", m.Survivors}, {"UNEXPECTED", m.Unexpected}, {"PROBLEM   ", m.Problems}} {
		for _, l := range list.lines {
			fmt.Fprintln(a.stdout, list.label, l)
		}
	}
	fmt.Fprintf(a.stdout, "%d mutants: %d killed as they should be, %d survivors, %d unexpected results, %d problems; %.1f s\n",
		m.Mutants, m.Killed, len(m.Survivors), len(m.Unexpected), len(m.Problems), float64(m.Millis)/1000)
}

// batch is how many jobs share a process at most: setting up a fake Internet costs more than many a job.
const batch = 4

// matrix runs everything.
func (a *app) matrix(ctx context.Context) (*matrix, error) {
	dir, err := os.MkdirTemp("", "egressconform-")
	if err != nil {
		return nil, fmt.Errorf("selftest: %w", err)
	}
	defer os.RemoveAll(dir)
	// The references take longest: they go first.
	jobs := mutant.Batches(append(mutant.References(), mutant.Jobs()...), batch)
	total := len(mutant.References()) + len(mutant.Jobs())
	m := &matrix{Mutants: len(mutant.Jobs()), Survivors: []string{}, Unexpected: []string{}, Problems: []string{}}
	queue := make(chan int)
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range max(8, 4*runtime.NumCPU()) {
		wg.Go(func() {
			for i := range queue {
				reports, err := child(ctx, filepath.Join(dir, strconv.Itoa(i)), jobs[i])
				mu.Lock()
				if err != nil {
					m.Problems = append(m.Problems, err.Error())
				}
				for k, r := range reports {
					m.weigh(jobs[i][k], r)
				}
				done += len(jobs[i])
				a.count(done, total, jobs[i][0].Name())
				mu.Unlock()
			}
		})
	}
	for i := range jobs {
		queue <- i
	}
	close(queue)
	wg.Wait()
	if terminal(a.stderr) {
		fmt.Fprint(a.stderr, "\r\033[K")
	}
	return m, nil
}

func (a *app) count(done, total int, name string) {
	switch {
	case terminal(a.stderr):
		fmt.Fprintf(a.stderr, "\r\033[K%d/%d  %s", done, total, name)
	case done == total:
		fmt.Fprintf(a.stderr, "%d runs\n", total)
	}
}

// weigh enters the result of a job.
func (m *matrix) weigh(j mutant.Job, r *conformance.Report) {
	if j.Fault == "" {
		if r.Verdict != conformance.VerdictConformant {
			m.Unexpected = append(m.Unexpected, "without a fault: "+r.Summary())
		}
		return
	}
	failing, problems := mutant.Failing(j, r)
	survived, unexpected := mutant.Survived(j, failing), mutant.Unexpected(j, failing)
	m.Problems = append(m.Problems, problems...)
	m.Survivors = append(m.Survivors, survived...)
	m.Unexpected = append(m.Unexpected, unexpected...)
	if len(problems)+len(survived)+len(unexpected) == 0 {
		m.Killed++
	}
}

// longest is how long a process may take: more than a minute for the references on a busy machine.
const longest = 4 * time.Minute

// child runs jobs in a process of their own and returns their reports, or none.
func child(ctx context.Context, out string, jobs []mutant.Job) ([]*conformance.Report, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("selftest: finding this program: %w", err)
	}
	text, err := json.Marshal(jobs)
	if err != nil {
		return nil, fmt.Errorf("selftest: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, "selftest", "--job", string(text), "--out", out)
	cmd.Env = os.Environ()
	if jobs[0].Fault != "" {
		// Many of them at once: threads and collections would cost more than they bring.
		cmd.Env = append(cmd.Env, "GOMAXPROCS=1", "GOGC=400")
	}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second // some mutants leave processes behind that hold the output open
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return nil, fmt.Errorf("%v: %w: %s", jobs, err, strings.TrimSpace(said.String()))
	}
	var reports []*conformance.Report
	for i := range jobs {
		r, err := read(out + "." + strconv.Itoa(i))
		if err != nil {
			return nil, fmt.Errorf("%v: %w", jobs, err)
		}
		reports = append(reports, r)
	}
	return reports, nil
}

func read(path string) (*conformance.Report, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return conformance.ReadReport(file)
}

// job is the life of a child.
func (a *app) job(text, out string) int {
	var jobs []mutant.Job
	if err := json.Unmarshal([]byte(text), &jobs); err != nil {
		return a.wrong(fmt.Errorf("selftest --job: %w", err))
	}
	if err := fixtures.Enter(); err != nil {
		return a.invalid(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	for i, j := range jobs {
		r, err := j.Run(ctx)
		if err == nil {
			err = save(r, out+"."+strconv.Itoa(i))
		}
		if err != nil {
			return a.invalid(err)
		}
	}
	return exitOK
}

func save(r *conformance.Report, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(r.WriteJSON(file), file.Close())
}
