package registry

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/avro"
)

// Level is how a subject's next version must get on with the earlier ones, in the registry's words.
type Level string

// The levels. Backward: the new schema reads what the old one wrote, so readers move first. Forward:
// the old schema reads what the new one writes, so writers move first. Full: both. The plain ones look
// at the newest version only, the transitive ones at all.
const (
	None               Level = "NONE"
	Backward           Level = "BACKWARD"
	BackwardTransitive Level = "BACKWARD_TRANSITIVE"
	Forward            Level = "FORWARD"
	ForwardTransitive  Level = "FORWARD_TRANSITIVE"
	Full               Level = "FULL"
	FullTransitive     Level = "FULL_TRANSITIVE"
)

// Levels lists every level, from the loosest.
func Levels() []Level {
	return []Level{None, Backward, BackwardTransitive, Forward, ForwardTransitive, Full, FullTransitive}
}

// ParseLevel reads a level in any case; the error names those there are.
func ParseLevel(word string) (Level, error) {
	level := Level(strings.ToUpper(word))
	if !slices.Contains(Levels(), level) {
		return "", fmt.Errorf("compatibility level %q: want one of %q", word, Levels())
	}
	return level, nil
}

func (l Level) transitive() bool { return strings.HasSuffix(string(l), "_TRANSITIVE") }
func (l Level) backward() bool   { return strings.HasPrefix(string(l), "BACKWARD") || l.full() }
func (l Level) forward() bool    { return strings.HasPrefix(string(l), "FORWARD") || l.full() }
func (l Level) full() bool       { return strings.HasPrefix(string(l), "FULL") }

// Earlier is a version that a new one must get on with.
type Earlier struct {
	Version int
	Schema  *avro.Schema
}

// Incompatibilities says why next may not follow the earlier versions, which are oldest first; nothing
// means that it may. Each reason names the version and the field.
func Incompatibilities(level Level, next *avro.Schema, earlier ...Earlier) []string {
	if !level.transitive() {
		earlier = earlier[max(0, len(earlier)-1):]
	}
	var reasons []string
	for _, e := range slices.Backward(earlier) {
		if level.backward() {
			if err := avro.CheckCompatibility(e.Schema, next); err != nil {
				reasons = append(reasons, fmt.Sprintf("the new schema cannot read version %d: %s", e.Version, detail(err)))
			}
		}
		if level.forward() {
			if err := avro.CheckCompatibility(next, e.Schema); err != nil {
				reasons = append(reasons, fmt.Sprintf("version %d cannot read the new schema: %s", e.Version, detail(err)))
			}
		}
	}
	return reasons
}

// maxDetail is the longest path or message of a reason; names in a schema may be as long as it is.
const maxDetail = 300

// detail is an incompatibility in a person's words.
func detail(err error) string {
	var c *avro.CompatibilityError
	if !errors.As(err, &c) {
		return err.Error()
	}
	text := clipped(c.Path) + ": " + c.Detail
	if c.ReaderType != "" && c.WriterType != "" {
		text += fmt.Sprintf(" (written as %s, read as %s)", clipped(c.WriterType), clipped(c.ReaderType))
	}
	return text
}

func clipped(s string) string {
	if len(s) <= maxDetail {
		return s
	}
	return strings.ToValidUTF8(s[:maxDetail], "") + "…"
}
