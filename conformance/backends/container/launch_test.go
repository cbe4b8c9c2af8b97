// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package container

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"github.com/sallyport-dev/sallyport/fixtures/containers"
)

// Roles of this binary as processes of its own: the launcher of a container, and the one that outlives it.
const (
	launchRole = "container-launch"
	watchRole  = "container-watch"
)

// launcher is the command that runs a container on its own standard streams. However it ends, the container does too,
// and until it has, standard output is held open, so that whoever waits for the end of that is not deceived.
func launcher(self string, c containers.Config, name string) *exec.Cmd {
	return exec.Command(self, append([]string{launchRole, name}, c.DockerRun(name)...)...)
}

// runLauncher runs the role that this process was started for, if it was for one, and does not return then.
func runLauncher() {
	if len(os.Args) < 3 {
		return
	}
	switch os.Args[1] {
	case launchRole:
		os.Exit(launch(os.Args[2], os.Args[3:]))
	case watchRole:
		os.Exit(watch(os.Args[2]))
	}
}

// launch runs docker with args, which start the container name, and returns its exit status.
func launch(name string, args []string) int {
	runtime.LockOSThread() // docker is to die with this thread
	self, err := os.Executable()
	if err != nil {
		return failed(err)
	}
	alive, end, err := os.Pipe()
	if err != nil {
		return failed(err)
	}
	watcher := exec.Command(self, watchRole, name)
	watcher.Stdin, watcher.Stdout, watcher.Stderr = alive, os.Stdout, os.Stderr
	watcher.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := watcher.Start(); err != nil {
		return failed(err)
	}
	alive.Close()
	docker := exec.Command("docker", args...)
	docker.Stdin, docker.Stdout, docker.Stderr = os.Stdin, os.Stdout, os.Stderr
	docker.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err = docker.Run()
	var exit *exec.ExitError
	if err == nil || errors.As(err, &exit) && exit.Exited() {
		fmt.Fprintln(end, removed) // by --rm, before docker returns
	} else {
		failed(err)
	}
	end.Close()
	if err := watcher.Wait(); err != nil {
		return failed(err)
	}
	return docker.ProcessState.ExitCode()
}

// removed is what the launcher tells its watcher when there is nothing left to do.
const removed = "removed"

// watch removes the container when the launcher has ended without saying that it is gone.
func watch(name string) int {
	said, err := io.ReadAll(os.Stdin)
	if err != nil {
		return failed(err)
	}
	if len(said) > 0 {
		return 0
	}
	if out, err := exec.Command("docker", "rm", "--force", name).CombinedOutput(); err != nil {
		return failed(fmt.Errorf("%w: %s", err, out))
	}
	return 0
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, "backends: the container's launcher:", err)
	return 1
}
