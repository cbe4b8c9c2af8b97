// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"time"
)

// apart tries actions in a child: one for all of them, and where that one is ended, one for each. A filter of system
// calls may kill the process or only the thread that makes the call, and that is a refusal like others.
func apart(actions []Action) []Result {
	if out, err := inChild(actions, nil); err == nil {
		return out
	}
	var all []Result
	for _, a := range actions {
		out, err := inChild([]Action{a}, nil)
		if err != nil {
			out = []Result{{Action: a, Detail: "the program that tried was ended: " + err.Error()}}
		}
		all = append(all, out...)
	}
	return all
}

// inChild tries actions in a child, which prepare may put into namespaces of its own.
func inChild(actions []Action, prepare func(*exec.Cmd)) ([]Result, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	most := time.Duration(0)
	inner := make([]Action, len(actions))
	for i, a := range actions {
		inner[i] = a
		inner[i].Apart = false
		most = max(most, time.Duration(a.Timeout)*time.Millisecond) // hardly any of them waits for anything
	}
	text, err := json.Marshal(inner)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), most+time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, Argument, OpReport, string(text))
	cmd.Stdin = os.Stdin // which may be the terminal the attempt is about
	if prepare != nil {
		prepare(cmd)
	}
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var r Report
	if err := json.Unmarshal(out, &r); err != nil || len(r.Results) != len(actions) {
		return nil, errors.Join(err, errors.New("no result"))
	}
	for i := range r.Results {
		r.Results[i].Action = actions[i]
	}
	return r.Results, nil
}
