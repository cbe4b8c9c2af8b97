// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// idle measures what idle tunnels hold, each time in a fresh proxy.
func (b *bench) idle(count int) {
	part := fmt.Sprintf("idle %d", count)
	for i := range pick(b.options, 1, 3) {
		for _, k := range b.wanted() {
			if why := b.tooMany(k, count); why != "" {
				if i == 0 {
					b.leave(part+" "+k.name, why)
				}
				continue
			}
			if err := b.idleOf(k, part, count); err != nil {
				b.fail(part+" "+k.name, err)
			}
		}
	}
}

// tooMany says why a proxy cannot hold so many tunnels here, "" if it can: each takes descriptors, as was seen with fewer.
func (b *bench) tooMany(k kind, count int) string {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return ""
	}
	each := 2.0 // one to the client and one to the origin, whatever the proxy
	for _, fewer := range idleCounts {
		if seen, ok := b.data.median(fmt.Sprintf("idle %d files", fewer), k.name); ok && fewer < count {
			each = max(each, seen)
		}
	}
	if each*float64(count)+100 > float64(limit.Cur) {
		return fmt.Sprintf("it takes %s descriptors a tunnel, and a process may have %d here", number(each, true), limit.Cur)
	}
	return ""
}

// idleCounts are the numbers of idle tunnels.
var idleCounts = []int{1000, 3000, 9500}

// settle is how long a proxy has to become quiet before its memory is read.
const settle = 1500 * time.Millisecond

func (b *bench) idleOf(k kind, part string, count int) error {
	r, err := k.start(b.ctx, b)
	if err != nil {
		return err
	}
	defer r.stop()
	// A few tunnels first, for what the proxy allocates once.
	if _, _, err := b.load(r, "", "-kind", "setup", "-n", "4", "-run", "100ms"); err != nil {
		return err
	}
	time.Sleep(settle)
	before, err := r.usage()
	if err != nil {
		return err
	}
	c, err := b.startClient(r, "", "-kind", "hold", "-n", fmt.Sprint(count), "-from", "127.0.0.77")
	if err != nil {
		return err
	}
	defer c.stop()
	if _, err := c.line(); err != nil {
		return err
	}
	time.Sleep(settle)
	idle, err := r.usage()
	if err != nil {
		return err
	}
	b.data.add(part+" KiB", k.name, float64(idle.Pss-before.Pss)/1024/float64(count))
	b.data.add(part+" files", k.name, float64(idle.Files-before.Files)/float64(count))
	c.stop()
	time.Sleep(settle)
	after, err := r.usage()
	if err != nil {
		return err
	}
	b.data.add(part+" files left", k.name, float64(after.Files-before.Files))
	b.data.add(part+" KiB left", k.name, float64(after.Pss-before.Pss)/1024)
	return nil
}
