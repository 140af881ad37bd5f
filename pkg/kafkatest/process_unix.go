//go:build unix && !linux

package kafkatest

import "syscall"

// dieWithParent does nothing where the kernel offers no parent-death signal: there a killed test leaves its brokers
// behind, in folders named kafkatest-*.
func dieWithParent(*syscall.SysProcAttr) {}

// standsStill takes the signal's word for it.
func standsStill(int) error { return nil }
