// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package check

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"time"

	"github.com/sallyport-dev/sallyport/conformance/internal/oracle"
	"github.com/sallyport-dev/sallyport/conformance/internal/probe"
)

// TransparentConfig is the configuration for one of the vectors' policies with transparent sandboxes.
func (x *X) TransparentConfig(policy string) Config {
	c := x.PolicyConfig(policy)
	c.Transparent = true
	return c
}

// Transparent returns the instance all checks share that runs one of the vectors' policies with transparent sandboxes.
func (x *X) Transparent(policy string) *Proxy {
	return x.Shared(policy+", transparent", x.TransparentConfig(policy))
}

// Talk is a program in a sandbox that does one thing after another, as it is told.
type Talk struct {
	x    *X
	cmd  *exec.Cmd
	in   *json.Encoder
	out  *json.Decoder
	pipe *os.File
	ends []*os.File
	lost func() // nil or called when it cannot be used any more
}

// TryTalk starts one in a sandbox of p. It ends with the check, or with Close.
func (x *X) TryTalk(p *Proxy) (*Talk, error) {
	t, err := x.talk(p)
	if err == nil {
		x.Defer(t.Close)
	}
	return t, err
}

// SharedTalk is the one that all checks share in a sandbox of a shared instance, which saves each of them the start of a
// sandbox; of an instance of the check's own it is one of its own.
func (x *X) SharedTalk(p *Proxy) *Talk {
	shared := false
	for _, st := range x.s.instances {
		shared = shared || st.p != nil && st.p.Instance == p.Instance
	}
	if !shared {
		return x.Talk(p)
	}
	t := x.s.talks[p.Instance]
	if t == nil {
		var err error
		if t, err = x.talk(p); err != nil {
			x.Fail(oracle.Process, "a program in a transparent sandbox: %v", err)
		}
		x.s.talks[p.Instance] = t
		t.lost = func() { delete(x.s.talks, p.Instance) }
	}
	t.x = x
	return t
}

func (x *X) talk(p *Proxy) (*Talk, error) {
	cmd, err := p.Probe(context.WithoutCancel(x.Ctx), probe.OpTalk)
	if err != nil {
		return nil, err
	}
	inR, inW, err := os.Pipe()
	if err != nil {
		x.Abort("a pipe: %v", err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		x.Abort("a pipe: %v", err)
	}
	cmd.Stdin, cmd.Stdout = inR, outW
	err = cmd.Start()
	inR.Close()
	outW.Close()
	if err != nil {
		inW.Close()
		outR.Close()
		return nil, err
	}
	t := &Talk{x: x, cmd: cmd, in: json.NewEncoder(inW), out: json.NewDecoder(outR), pipe: outR, ends: []*os.File{inW, outR}}
	return t, nil
}

// Talk is TryTalk where a sandbox that cannot be made is a finding.
func (x *X) Talk(p *Proxy) *Talk {
	t, err := x.TryTalk(p)
	if err != nil {
		x.Fail(oracle.Process, "a program in a transparent sandbox: %v", err)
	}
	return t
}

// Try does the actions, one after another, each within the bound. An error says that there was no program to do them.
func (t *Talk) Try(actions ...probe.Action) ([]probe.Result, error) {
	for i := range actions {
		if actions[i].Timeout == 0 {
			actions[i].Timeout = int(t.x.Bound() / time.Millisecond)
		}
	}
	if err := t.in.Encode(actions); err != nil {
		return nil, err
	}
	t.pipe.SetReadDeadline(time.Now().Add(t.x.Patience() + time.Duration(len(actions))*t.x.Bound()))
	var out []probe.Result
	err := t.out.Decode(&out)
	return out, err
}

// Do is Try where it is a finding that there was nobody.
func (t *Talk) Do(actions ...probe.Action) []probe.Result {
	out, err := t.Try(actions...)
	if err != nil || len(out) != len(actions) {
		if t.lost != nil {
			t.lost()
			t.x.Defer(t.Close)
		}
		t.x.Fail(oracle.Process, "the program in a transparent sandbox has ended: %v", err)
	}
	return out
}

// Close ends the program, and waits until its sandbox has ended.
func (t *Talk) Close() {
	for _, f := range t.ends {
		f.Close()
	}
	t.ends = nil
	if t.cmd == nil {
		return
	}
	kill := time.AfterFunc(t.x.Bound(), func() { t.cmd.Process.Kill() })
	defer kill.Stop()
	t.cmd.Wait()
	t.cmd = nil
}

// Captured is Tunnel for a program in a transparent sandbox that connects to the allowed host as if there were a network.
func (x *X) Captured(p *Proxy, network string) *Tunnel {
	take := x.Take(AllowedTarget)
	a, err := json.Marshal(probe.Action{Network: network, Address: AllowedTarget, Timeout: int(x.Bound() / time.Millisecond)})
	if err != nil {
		x.Abort("%v", err)
	}
	cmd, err := p.Probe(context.WithoutCancel(x.Ctx), probe.OpDirect, string(a))
	if err != nil {
		x.Fail(oracle.Process, "%v", err)
	}
	c, err := probe.Pipe(cmd, x.Patience())
	if err != nil {
		x.Fail(oracle.Sandbox, "connecting to %s past the proxy: %v", AllowedTarget, err)
	}
	x.Defer(func() { c.Close() })
	return &Tunnel{Client: &Client{Conn: c, R: bufio.NewReader(c), x: x}, Origin: x.Next(take)}
}
