package kafkatest

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// dieWithParent has the kernel kill the child when this process ends, even by SIGKILL or a test's panic.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// standsStill is nil once all threads of a child that was sent SIGSTOP have stopped. It takes no notice away from who
// waits for the child to end.
func standsStill(pid int) error {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT, nil)
	if err == nil && info.Signo == 0 {
		err = errors.New("it still runs")
	}
	return err
}
