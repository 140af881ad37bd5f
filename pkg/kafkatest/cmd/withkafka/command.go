package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is the file descriptor that is asked for the terminal: standard input.
const terminal = 0

// grace is how long the command may take to end after it was told to.
const grace = 15 * time.Second

// runCommand runs the command with env added and returns its exit code, as a shell would have it: 127 where there is
// no such command, 128 and the signal where it died of one.
//
// The command gets a process group of its own. A test run is a tree of processes, and the tree as a whole must hear
// SIGTERM, and be gone before its broker is. On a terminal that group is put in front, as a shell would do it, so
// that Ctrl-C reaches the command and an interactive command may read.
func runCommand(ctx context.Context, args, env []string, out io.Writer) int {
	cmd := exec.Command(args[0], args[1:]...) //nolint:noctx // ends by a signal to its group, below
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if ours, front := inFront(); front {
		cmd.SysProcAttr.Foreground, cmd.SysProcAttr.Ctty = true, terminal
		defer putInFront(ours)
	}
	dieWithParent(cmd.SysProcAttr)
	runtime.LockOSThread() // whose end, on Linux, would pass for the parent's
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(out, "withkafka: %v\n", err)
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
			return 127
		}
		return 126
	}

	group := -cmd.Process.Pid
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		_ = syscall.Kill(group, syscall.SIGTERM)
		late := time.NewTimer(grace)
		defer late.Stop()
		select {
		case err = <-ended:
		case <-late.C:
			_ = syscall.Kill(group, syscall.SIGKILL)
			err = <-ended
		}
		_ = syscall.Kill(group, syscall.SIGKILL) // grandchildren that did not listen
	}

	exit, failed := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return 0
	case !failed:
		fmt.Fprintf(out, "withkafka: %v\n", err)
		return 1
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return exit.ExitCode()
}

// inFront says whether this process's group is the one that the terminal belongs to, and which group it is.
func inFront() (group int, front bool) {
	owner, err := unix.IoctlGetInt(terminal, unix.TIOCGPGRP)
	return owner, err == nil && owner == unix.Getpgrp()
}

// putInFront gives the terminal back to our group. The kernel stops a process that does so from behind, unless it
// ignores SIGTTOU.
func putInFront(group int) {
	signal.Ignore(syscall.SIGTTOU)
	defer signal.Reset(syscall.SIGTTOU)
	_ = unix.IoctlSetPointerInt(terminal, unix.TIOCSPGRP, group)
}
