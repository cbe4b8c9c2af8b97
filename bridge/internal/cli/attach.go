// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"os"
	"slices"

	"github.com/spf13/pflag"

	"github.com/sallyport-dev/sallyport/bridge"
)

// doorNetwork is what --allow-weaker of attach knows besides the sandbox's doors: that
// there is another network, which for a sandbox of ours can never be.
const doorNetwork bridge.Door = "network"

// attach is the subcommand attach.
type attach struct {
	set         *pflag.FlagSet
	socket      string
	transparent bool
	weaker      doorList
}

func newAttach() flagged {
	a := &attach{set: newFlagSet("attach"), weaker: newDoorList(doorNetwork)}
	a.set.SetInterspersed(false) // what follows the command is the command's
	a.set.StringVar(&a.socket, "socket", "", "the control socket at `PATH`, made by sallyport proxy --control")
	a.set.BoolVar(&a.transparent, "transparent", false, "capture connections of programs that ignore proxy variables, too; needs CAP_NET_ADMIN here")
	a.set.Var(&a.weaker, "allow-weaker", "leave these doors open; network: run although there is another network here")
	return a
}

func (a *attach) flagSet() *pflag.FlagSet { return a.set }

// run becomes the command's parent, and returns only if it cannot.
func (a *attach) run(s Streams, command []string) int {
	var problems []error
	if a.socket == "" {
		problems = append(problems, errors.New("no control socket; write --socket PATH, where sallyport proxy --control PATH has made it"))
	}
	switch {
	case len(command) == 0:
		problems = append(problems, errors.New("no command; write it at the end, as in: sallyport attach --socket /run/sallyport/a.sock -- curl -sS https://example.com"))
	case command[0] == "":
		problems = append(problems, errors.New("the command is an empty word (\"\"); is it a variable that is not set?"))
	}
	if err := errors.Join(problems...); err != nil {
		complain(s.Stderr, err)
		return bridge.ExitFailed
	}
	return a.exec(s, command)
}

// exec attaches and becomes the command's parent. A signal that asks to end before that
// ends this process, where it is process 1, too, which is sent only what it handles.
func (a *attach) exec(s Streams, command []string) int {
	sigs := catchSignals(context.Background(), runSignals(false))
	defer sigs.stop()
	weaker, network := a.weaker.doors, false
	if i := slices.Index(weaker, doorNetwork); i >= 0 {
		weaker, network = slices.Delete(slices.Clone(weaker), i, i+1), true
	}
	in, err := bridge.Attach(sigs.ctx, bridge.AttachConfig{
		Socket: a.socket, Transparent: a.transparent, Weaker: weaker, OtherNetwork: network,
	})
	if err != nil {
		return sigs.failure(s, err)
	}
	defer in.Close()
	if _, ok := sigs.forward(); !ok {
		return sigs.failure(s, context.Canceled)
	}
	return sigs.failure(s, in.Exec(command, os.Environ()))
}
