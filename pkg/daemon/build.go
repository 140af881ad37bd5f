package daemon

import (
	"runtime"
	"runtime/debug"
	"strings"
)

// version is set when a release is linked: -ldflags "-X github.com/sluicehq/sluice/pkg/daemon.version=v1.2.3".
var version string

// Build says what this binary was made from.
type Build struct {
	Version  string // of a release, or "dev"
	Revision string // of the repository, with "+dirty" behind it when the tree was; empty when unknown
	Go       string // such as "go1.26.0"
}

// ReadBuild reads what the linker left in this binary.
func ReadBuild() Build {
	b := Build{Version: version, Go: runtime.Version()}
	if b.Version == "" {
		b.Version = "dev"
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	dirty := ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value[:min(len(s.Value), 12)]
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "+dirty"
			}
		}
	}
	if b.Revision != "" {
		b.Revision += dirty
	}
	return b
}

// String is one line for --version.
func (b Build) String() string {
	return strings.Join(strings.Fields(b.Version+" "+b.Revision+" "+b.Go), " ")
}
