package pipeline

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/services/pipeline/sinks"

	currentsfanout "github.com/sluicehq/sluice/services/currents-fanout"
)

// The sinks that there are where nobody has configured others, so that the way back can be seen to its end:
// one into the sandbox's collector and one into files.
const (
	collectorSink = "collector"
	filesSink     = "files"
)

// localSinks are these sinks in a process that runs them: a file of sinks like any other, in a folder that
// is removed at the end where the data is.
type localSinks struct {
	file   string // as SINKS_FILE has it
	folder string // of the files sink
	temp   string // to be removed; empty where the data folder is kept
}

// writeLocalSinks writes the file; collector is the URL of the sandbox, empty without one.
func writeLocalSinks(dataDir, sandbox string) (*localSinks, error) {
	l := &localSinks{}
	home := dataDir
	if home == "" {
		temp, err := os.MkdirTemp("", "sluice-sinks-")
		if err != nil {
			return nil, fmt.Errorf("making a folder for sinks: %w", err)
		}
		l.temp, home = temp, temp
	}
	home, err := filepath.Abs(home)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making a folder for sinks: %w", err), l.Close())
	}
	l.file, l.folder = filepath.Join(home, "sinks.yaml"), filepath.Join(home, "engagements")
	if err := os.MkdirAll(l.folder, 0o750); err != nil {
		return nil, errors.Join(fmt.Errorf("making the folder of the files sink: %w", err), l.Close())
	}
	var b strings.Builder
	b.WriteString("# Written by sluice run, which does so again each time: name a file of your own in SINKS_FILE.\nsinks:\n")
	if sandbox != "" {
		fmt.Fprintf(&b, "  - name: %s\n    kind: http\n    topics: [%s, %s]\n    batch: {linger: 500ms}\n    http: {url: %q}\n",
			collectorSink, schema.BrazeEngagements, schema.BrazeActions, sandbox+"/_sandbox/collector")
	}
	folder := url.URL{Scheme: "file", Path: filepath.ToSlash(l.folder)}
	fmt.Fprintf(&b, "  - name: %s\n    kind: files\n    batch: {linger: 3s}\n    files: {url: %q}\n", filesSink, folder.String())
	if err := os.WriteFile(l.file, []byte(b.String()), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("writing the file of sinks: %w", err), l.Close())
	}
	return l, nil
}

// Close removes what is not to be kept.
func (l *localSinks) Close() error {
	if l == nil || l.temp == "" {
		return nil
	}
	return os.RemoveAll(l.temp)
}

// Sinks are those that a command of an operator may name: what SINKS_FILE has, else those of a sluice run on
// this machine.
func (c *Config) Sinks() ([]sinks.Sink, error) {
	if c.Fanout.Fanout.SinksFile == "" {
		if !c.Local.Kafka {
			return nil, nil
		}
		return []sinks.Sink{
			{Name: collectorSink, Kind: "http", Topics: []string{schema.BrazeEngagements, schema.BrazeActions}},
			{Name: filesSink, Kind: "files", Topics: []string{schema.BrazeEngagements}},
		}, nil
	}
	// What stands in variables is for the process that runs the sinks: here they need only be named.
	file, err := currentsfanout.Load(c.Fanout.Fanout.SinksFile, anything)
	if err != nil {
		return nil, err
	}
	all := make([]sinks.Sink, 0, len(file.Sinks))
	for _, s := range file.Sinks {
		all = append(all, sinks.Sink{Name: s.Name, Kind: s.Kind, Topics: slices.Clone(s.Topics), Start: s.Start})
	}
	return all, nil
}

// anything is an environment in which every variable is set that is not set in ours.
func anything(name string) (string, bool) {
	if value, ok := os.LookupEnv(name); ok || strings.HasSuffix(name, "_FILE") {
		return value, ok
	}
	return "unset", true
}
