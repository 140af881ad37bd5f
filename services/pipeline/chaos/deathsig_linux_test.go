package chaos

import "syscall"

// dieWithParent lets a child end with the test, however the test ends.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
