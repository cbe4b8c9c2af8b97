// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// Applies says whether a check applies to a subject, and if not, why. It depends on what the backend
// claims, on what it declared that it cannot be asked, and on nothing else.
func (s *Session) Applies(c Check) (bool, string) {
	for _, f := range c.Needs {
		if !s.subject.Features[f] {
			return false, "the backend does not claim the feature " + f
		}
	}
	if c.Unclaimed != "" && s.subject.Features[c.Unclaimed] {
		return false, "the backend claims the feature " + c.Unclaimed
	}
	if c.Slow && s.subject.FixedHeadTimeout != "" {
		return false, s.subject.FixedHeadTimeout
	}
	return true, ""
}

// Run executes one check, in the goroutine of the caller as far as it is concerned: it returns when the
// check is over, or when it has hung for far longer than any check takes.
func (s *Session) Run(ctx context.Context, c Check) Result {
	if ok, why := s.Applies(c); !ok {
		return Result{ID: c.ID, Outcome: NA, Reason: why}
	}
	ctx, cancel := context.WithTimeout(ctx, s.checkBound())
	defer cancel()
	x := &X{Ctx: ctx, World: s.world, s: s, result: Result{ID: c.ID}}
	begin := time.Now()
	before := s.pulse.lost(begin)
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer x.clean()
		defer x.recovered()
		c.Run(x)
	}()
	hung := false
	select {
	case <-over:
	case <-ctx.Done():
		select {
		case <-over:
		case <-time.After(s.stopBound()):
			hung = true
		}
	}
	end := ending{hung: hung, bound: s.checkBound(), lost: s.pulse.lost(time.Now()) - before + x.lost}
	if hung {
		end.where = bodies()
	}
	r := x.conclude(end)
	r.Duration = time.Since(begin)
	if r.Outcome != Pass {
		r.Log = s.logs()
	}
	return r
}

// checkBound is far beyond what any check takes; reaching it is a defect of the suite or of a Stop.
func (s *Session) checkBound() time.Duration { return 20*s.bound + 10*s.head + 10*time.Second }

// clean runs the deferred functions; one that ends the check early must not keep the others from running.
func (x *X) clean() {
	for len(x.cleanup) > 0 {
		f := x.cleanup[len(x.cleanup)-1]
		x.cleanup = x.cleanup[:len(x.cleanup)-1]
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer x.recovered()
			f()
		}()
		<-done
	}
}

// recovered turns a panic into the outcome error. Goexit, by which a check ends early, passes through.
func (x *X) recovered() {
	if v := recover(); v != nil {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.result.Outcome = Error
		x.result.Reason = fmt.Sprintf("the check panicked: %v\n%s", v, debug.Stack())
	}
}

// bodies are the goroutines of check bodies, those that hang among them: without them a hang in somebody's Stop or
// sandbox is a riddle.
func bodies() string {
	buf := make([]byte, 1<<20)
	var out []string
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(stack, "/internal/checks.") {
			out = append(out, stack)
		}
	}
	return strings.Join(out, "\n\n")
}

// ending is how the body of a check came to its end.
type ending struct {
	hung  bool
	bound time.Duration // that a check which hung has gone beyond
	where string        // it hung
	lost  time.Duration // for which this process did not run meanwhile
}

func (x *X) conclude(e ending) Result {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := x.result
	r.Lines, r.Findings = append([]Line(nil), r.Lines...), append(r.Findings[:0:0], r.Findings...)
	switch {
	case e.hung:
		r.Outcome, r.Reason = Error, fmt.Sprintf("the check hung for more than %v\n%s", e.bound, e.where)
	case r.Outcome == Error:
	case r.Outcome == NA && len(r.Findings) == 0:
	case len(r.Findings) > 0 && e.lost > 0:
		r.Outcome, r.Reason = Error, fmt.Sprintf("the machine stood still for %v, so that what ran out of time meanwhile says nothing "+
			"about the backend; run it again. Seen was: %s", e.lost.Round(100*time.Millisecond), r.Findings[0].Text)
		r.Findings = nil
	case len(r.Findings) > 0:
		r.Outcome = Fail
	default:
		r.Outcome = Pass
	}
	return r
}

func (s *Session) logs() string {
	var parts []string
	for name, st := range s.instances {
		if st.p != nil {
			if text := st.p.log.String(); text != "" {
				parts = append(parts, "["+name+"] "+text)
			}
		}
	}
	return strings.Join(parts, "\n")
}
