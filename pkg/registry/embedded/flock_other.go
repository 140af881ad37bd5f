//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package embedded

import "os"

// flock does nothing where there is no flock; there the port is the only thing that keeps a second
// registry out.
func flock(*os.File) error { return nil }
