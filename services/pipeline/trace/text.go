package trace

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/services/pipeline/tap"
)

// Write tells the story to a person. Paint gives a word that says what became of a record its colour.
func (s *Story) Write(w io.Writer, paint func(word string) string) error {
	out := bufio.NewWriter(w)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format+"\n", args...) } // Flush says
	if s.As == "" {
		none := map[As]string{Key: "no record has such a key", Event: "no record has such an id", Either: "no record has such a key, and none has such an id"}
		line("nothing is known of %q: %s", s.Query, none[s.Asked])
		line("looked at %s", s.places())
		return out.Flush()
	}
	who := "customer " + s.Query
	if s.As == Event {
		who = "event " + s.Query
		if len(s.Keys) > 0 {
			who += " of customer " + strings.Join(s.Keys, ", ")
		}
	}
	line("%s: %s, oldest first", who, counted(len(s.Entries), "record"))
	if s.Earlier > 0 {
		line("%s earlier, which --limit leaves out", counted(s.Earlier, "record"))
	}
	for _, e := range s.Entries {
		line("")
		e.write(line, paint)
	}
	line("")
	for _, l := range s.Laws {
		line("%s", l)
	}
	line("looked at %s", s.places())
	return out.Flush()
}

func (s *Story) places() string {
	words := make([]string, len(s.Looked))
	for i, l := range s.Looked {
		words[i] = l.String()
	}
	return strings.Join(words, ", ")
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (e *Entry) write(line func(string, ...any), paint func(string) string) {
	var about []string
	if e.EventID != "" {
		about = append(about, "id "+e.EventID)
	}
	if e.Source != "" {
		about = append(about, "from "+e.Source)
	}
	beside := ""
	if len(about) > 0 {
		beside = " (" + strings.Join(about, ", ") + ")"
	}
	line("%s  %s  %s%s", e.At.Format(tap.Millis), e.Place, e.What, beside)
	for _, p := range e.ReplayedFrom {
		line("    replayed from %s", p)
	}
	if e.Unreadable != nil {
		line("    %s", e.Unreadable.Detail)
	}
	if len(e.Value) > 0 && string(e.Value) != "null" {
		line("    %s", e.Value)
	}
	for _, l := range e.profileLines() {
		line("    %s", l)
	}
	for _, w := range e.words(paint) {
		line("    %s  %s", w.at.Format(tap.Millis), w.words)
	}
	for _, service := range slices.Sorted(maps.Keys(e.Fates)) {
		switch e.Fates[service] {
		default: // its receipt says it
		case Held:
			line("    %s by %s, which has not settled it yet", paint(string(Held)), service)
		case Unknown:
			line("    %s has come past it, and no %s is left", service, e.wordOf(service))
		}
	}
}

// wordOf is what a service says of what became of a record.
func (e *Entry) wordOf(service string) string {
	if ofProfiles(e.Topic) && service == keeper() {
		return "record of what it made of it"
	}
	return "receipt"
}

// said is what was said of a record, and when.
type said struct {
	at    time.Time
	words string
}

// words are what receipts and letters say, in the order of time.
func (e *Entry) words(paint func(string) string) []said {
	var list []said
	for _, l := range e.Letters {
		words := "dead letter " + l.ID.String() + "  " + l.Reason + behind(": ", l.Detail)
		if l.Reason == deadletter.Replayed {
			words = "sent back " + l.Detail
		}
		list = append(list, said{l.At, words})
	}
	for _, r := range e.Receipts {
		list = append(list, said{r.At, r.Service + "  " + r.words(paint)})
	}
	slices.SortStableFunc(list, func(a, b said) int { return a.at.Compare(b.at) })
	return list
}

func behind(sign, text string) string {
	if text == "" {
		return ""
	}
	return sign + text
}

// words are what a receipt says.
func (r Receipt) words(paint func(string) string) string {
	words := r.where() + paint(r.Outcome)
	if r.Reason != "" {
		words += " (" + r.Reason + ")"
	}
	words += behind(": ", r.Detail)
	if r.Endpoint != "" && r.Status != 0 {
		words += fmt.Sprintf("; %s answered %d after %d ms", r.Endpoint, r.Status, r.LatencyMS)
	} else if r.Endpoint != "" {
		words += "; " + r.Endpoint + " did not answer"
	} else if r.Status != 0 {
		words += fmt.Sprintf("; answered %d after %d ms", r.Status, r.LatencyMS)
	}
	if r.RequestID != "" {
		words += ", request " + r.RequestID
	}
	if r.Attempts > 0 {
		words += fmt.Sprintf(", attempt %d", r.Attempts)
	}
	return words
}

// String is the law in one line.
func (l Law) String() string {
	text := fmt.Sprintf("%s: accepted %d = delivered %d + skipped %d + refused %d + held %d", l.Service, l.Accepted, l.Delivered, l.Skipped, l.Refused, l.Held)
	if l.Unknown > 0 {
		text += fmt.Sprintf(" + without a receipt %d", l.Unknown)
	}
	if l.Twice > 0 {
		text += fmt.Sprintf(" (%d of them delivered more than once)", l.Twice)
	}
	return text
}
