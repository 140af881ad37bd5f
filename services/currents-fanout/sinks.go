package currentsfanout

import (
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/quota"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/yamlfile"
)

// File is a sinks.yaml that was read and checked.
type File struct {
	Name  string // of the file; empty for the one that is built in
	Sinks []SinkConfig
}

// SinkConfig is one sink of sinks.yaml.
type SinkConfig struct {
	Name          string        `yaml:"name" required:"true" doc:"name in groups, metrics, dead letters and on the command line"`
	Kind          string        `yaml:"kind" required:"true" doc:"what it is; the options of the kind stand under its name"`
	Topics        []string      `yaml:"topics" default:"braze.engagements" min:"1" doc:"what it reads: braze.engagements, braze.actions"`
	Start         string        `yaml:"start" default:"earliest" oneof:"earliest latest" doc:"where a sink begins that was not there before"`
	Filter        Filter        `yaml:"filter" doc:"which events it gets; all without one"`
	Redact        []Redaction   `yaml:"redact" doc:"what it does not get to see of them"`
	Rate          quota.Rate    `yaml:"rate" doc:"most batches in a time, evenly spaced, such as 100/1s; no bound without one"`
	Batch         Batch         `yaml:"batch" doc:"when a batch is full or due"`
	Concurrency   int           `yaml:"concurrency" default:"4" min:"1" max:"256" doc:"batches under way at once; events of one customer are never in two of them"`
	FailureBudget time.Duration `yaml:"failure_budget" default:"72h" min:"1m" max:"8760h" doc:"how long it may fail without a break; notices at 50, 70, 90 and 100 %, and nothing is ever dropped"`
	Memory        yamlfile.Size `yaml:"memory" default:"32MiB" min:"1MiB" max:"64GiB" doc:"what it may hold; less where FANOUT_MEMORY does not go round"`

	// Options are those of its kind, read and checked: *httpsink.Options for http, say.
	Options KindOptions `yaml:"-"`
	kind    Kind
}

// Batch says when events are enough to be handed over, or old enough. For a kind that takes whole stretches
// of a partition it is a stretch that it speaks of.
type Batch struct {
	Events int           `yaml:"events" default:"500" min:"1" max:"10000000" doc:"most events"`
	Bytes  yamlfile.Size `yaml:"bytes" default:"1MiB" min:"1KiB" max:"4GiB" doc:"most bytes of records, unless one alone is larger"`
	Linger time.Duration `yaml:"linger" default:"5s" min:"0s" max:"24h" doc:"longest wait for company"`
}

// Filter chooses events. Of each list that is not empty one entry must fit; types may have a * that
// stands for anything.
type Filter struct {
	Types      []string `yaml:"types" doc:"names of types, such as users.messages.email.*; of a webhook action. and its name"`
	NotTypes   []string `yaml:"not_types" doc:"likewise, of those that it does not get"`
	Campaigns  []string `yaml:"campaigns" doc:"ids of campaigns"`
	Canvases   []string `yaml:"canvases" doc:"ids of Canvases"`
	Apps       []string `yaml:"apps" doc:"ids of apps"`
	Workspaces []string `yaml:"workspaces" doc:"what the connectors call themselves"`
	Channels   []string `yaml:"channels" doc:"channels of messages, such as email"`
}

// How named fields are made unreadable.
const (
	Remove = "remove" // the field is not there
	Mask   = "mask"   // its value is [REDACTED]
	Hash   = "hash"   // its value is the SHA-256 of itself in hexadecimal
)

// Redaction makes fields of events unreadable for a sink, in columns and in the document.
type Redaction struct {
	Fields []string `yaml:"fields" min:"1" doc:"names of fields, wherever they stand in an event"`
	How    string   `yaml:"how" default:"remove" oneof:"remove mask hash" doc:"what becomes of them"`
}

//go:embed sinks.yaml
var shipped []byte

var sinkName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// Validate reports what no tag can say.
func (s SinkConfig) Validate() error {
	var problems []error
	if s.Name != "" && !sinkName.MatchString(s.Name) {
		problems = append(problems, config.Problem{Field: "name", Value: s.Name, Allowed: "1 to 63 small letters, digits, - and _"})
	}
	seen := map[string]bool{}
	for _, t := range s.Topics {
		if t != schema.BrazeEngagements && t != schema.BrazeActions || seen[t] {
			problems = append(problems, config.Problem{Field: "topics", Value: t, Allowed: "braze.engagements and braze.actions, each once"})
		}
		seen[t] = true
	}
	for key, list := range map[string][]string{
		"types": s.Filter.Types, "not_types": s.Filter.NotTypes, "campaigns": s.Filter.Campaigns, "canvases": s.Filter.Canvases,
		"apps": s.Filter.Apps, "workspaces": s.Filter.Workspaces, "channels": s.Filter.Channels,
	} {
		if slices.Contains(list, "") { // no event would ever fit it
			problems = append(problems, config.Problem{Field: "filter." + key, Value: "", Allowed: "names that are not empty"})
		}
	}
	named := map[string]bool{}
	for i, rule := range s.Redact {
		for _, field := range rule.Fields {
			if field == "" || named[field] {
				problems = append(problems, config.Problem{Field: fmt.Sprintf("redact[%d].fields", i), Value: field, Allowed: "names of fields, each once"})
			}
			named[field] = true
			if slices.Contains(needed, field) {
				problems = append(problems, config.Problem{Field: fmt.Sprintf("redact[%d].fields", i), Value: field, Allowed: "any field but " + strings.Join(needed, ", ") + ", by which an event is told apart"})
			}
		}
	}
	return errors.Join(problems...)
}

// needed are the fields of an event that are never redacted.
var needed = []string{"id", "event_type", "time"}

// Group is the name of a sink's consumer group, without prefix.
func Group(sink string) string { return Name + "." + sink }
