package poll

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// mark is a point in the order of changes: a time in microseconds since 1970, a number, or a text. The
// zero mark is the beginning.
type mark struct {
	At   int64  `json:"at,omitzero"`
	Text string `json:"text,omitzero"`
}

func (m mark) before(other mark) bool {
	return m.At < other.At || m.At == other.At && m.Text < other.Text
}

func latest(a, b mark) mark {
	if a.before(b) {
		return b
	}
	return a
}

// scale reads and writes the marks of a source.
type scale struct {
	format  string
	overlap int64 // in the unit of mark.At
	start   mark
}

var (
	errNotTime  = errors.New("it is no time of the format that since.format says")
	errNotWhole = errors.New("it is no whole number")
)

func newScale(s webhook.Since) (scale, error) {
	sc := scale{format: s.Format}
	switch s.Format {
	case webhook.SinceText:
	case webhook.SinceInteger:
		sc.overlap, _ = strconv.ParseInt(s.Overlap, 10, 64) // package webhook has looked at both
	default:
		d, _ := time.ParseDuration(s.Overlap)
		sc.overlap = d.Microseconds()
	}
	if s.Start == "" {
		return sc, nil
	}
	var err error
	if sc.start, err = sc.parse(s.Start); err != nil {
		return sc, config.Problem{Field: "poll.since.start", Value: s.Start, Allowed: "a value of format " + s.Format}
	}
	return sc, nil
}

// Times as JSON has them: RFC 3339, and ISO 8601 as Salesforce writes it.
var layouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700"}

func (s scale) parse(text string) (mark, error) {
	switch s.format {
	case webhook.SinceText:
		return mark{Text: text}, nil
	case webhook.SinceRFC3339:
		for _, layout := range layouts {
			if t, err := time.Parse(layout, text); err == nil {
				return mark{At: t.UnixMicro()}, nil
			}
		}
		return mark{}, errNotTime
	}
	whole, _, _ := strings.Cut(text, ".") // parts of a second are no loss: earlier is safe
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return mark{}, errNotWhole
	}
	if unit := s.unit(); s.isTime() {
		if n > farthest/unit || n < -farthest/unit {
			return mark{}, errNotTime
		}
		n *= unit
	}
	return mark{At: n}, nil
}

// farthest is the end of the year 9999.
const farthest = 253_402_300_799_999_999

func (s scale) isTime() bool {
	return s.format != webhook.SinceInteger && s.format != webhook.SinceText
}

// unit is the least that two {since} differ by.
func (s scale) unit() int64 {
	switch s.format {
	case webhook.SinceRFC3339, webhook.SinceUnix:
		return time.Second.Microseconds()
	case webhook.SinceUnixMS:
		return time.Millisecond.Microseconds()
	case webhook.SinceInteger:
		return 1
	}
	return 0
}

// write is a mark as {since} wants it: never later than the mark.
func (s scale) write(m mark) string {
	switch s.format {
	case webhook.SinceText:
		return m.Text
	case webhook.SinceInteger:
		return strconv.FormatInt(m.At, 10)
	case webhook.SinceUnix:
		return strconv.FormatInt(time.UnixMicro(m.At).Unix(), 10)
	case webhook.SinceUnixMS:
		return strconv.FormatInt(time.UnixMicro(m.At).UnixMilli(), 10)
	}
	return time.UnixMicro(m.At).UTC().Format("2006-01-02T15:04:05Z")
}

// back is a mark so much earlier, though not before the source's start.
func (s scale) back(m mark, by int64) mark {
	m.At -= min(by, m.At-min(m.At, s.start.At))
	return m
}

// of is the mark of an item, if it has one.
func (s scale) of(it *webhook.Item) (m mark, has bool, err error) {
	if it.Since == "" {
		return mark{}, false, nil
	}
	if m, err = s.parse(it.Since); err != nil {
		return mark{}, false, fmt.Errorf("reading since.value of item %s: %w", it.ID, err)
	}
	return m, true, nil
}
