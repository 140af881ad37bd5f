//go:build !linux

package chaos

import "syscall"

// dieWithParent is known to Linux alone.
func dieWithParent(*syscall.SysProcAttr) {}
