package main

import "syscall"

// dieWithParent has the kernel kill the command when withkafka is killed: its broker dies too, and a test run without
// would only fail at length.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
