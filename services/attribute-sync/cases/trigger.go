package cases

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Trigger is an event that is to be sent because of what became of a case.
type Trigger struct {
	// ID is the same whenever this trigger comes up again for the same resolution or rating:
	// "survey:zendesk:35436:1772442904672". Of ids too long for a key the middle is a hash.
	ID   string
	Name string // such as support_survey_due
	// Properties are a JSON object with case_id, source and severity, channel where one is known, and
	// resolved_at; of a win-back also rating and rated_at, and resolved_at only where it is known.
	Properties []byte
	OccurredAt time.Time // when it came due
	Source     string    // of the case
	CaseID     string
}

// surveyDue is when the customer is to be asked how it went; 0 where he is not to be.
func (r *Rules) surveyDue(f *file) int64 {
	switch {
	case r.Survey.Trigger == "" || f.resolved == 0 || f.stands() || f.silent():
		return 0
	case f.rated.at > 0 && f.rated.at >= f.opening.at: // he has said already
		return 0
	case !unsent(f.surveyed, f.opening.at): // a source says "resolved" again when it archives the case
		return 0
	}
	return f.resolved + r.Survey.After.ms()
}

// winBackDue is when a customer who gave a bad rating is to be won back; 0 where he is not to be, or not
// while a case of his is open. Quiet is since when none is.
func (r *Rules) winBackDue(f *file, quiet int64, isQuiet bool) int64 {
	switch {
	case r.WinBack.Trigger == "" || f.rated.at == 0 || int(f.rated.value) > r.WinBack.AtMost || !isQuiet:
		return 0
	case f.rated.at <= f.begun: // reopened since; that the unhappy customer was passed on is no reason to be silent
		return 0
	case !unsent(f.wonBack, f.begun): // once a round: some rate again to add a word
		return 0
	}
	return max(f.rated.at, quiet) + r.WinBack.After.ms()
}

func (r *Rules) survey(f *file, due int64) Trigger {
	return f.trigger("survey", r.Survey.Trigger, f.resolved, due, f.properties())
}

func (r *Rules) winBack(f *file, due int64) Trigger {
	b := f.properties()
	b = append(b[:len(b)-1], `,"rating":`...)
	b = strconv.AppendInt(b, int64(f.rated.value), 10)
	b = append(appendTime(append(b, `,"rated_at":`...), f.rated.at), '}')
	return f.trigger("win_back", r.WinBack.Trigger, f.rated.at, due, b)
}

func (f *file) trigger(sort, name string, of, due int64, properties []byte) Trigger {
	which := f.source + ":" + f.id
	if len(which) > 200 { // an id is at most 255 bytes long
		sum := sha256.Sum256([]byte(which))
		which = hex.EncodeToString(sum[:16])
	}
	return Trigger{
		ID:         sort + ":" + which + ":" + strconv.FormatInt(of, 10),
		Name:       name,
		Properties: properties,
		OccurredAt: timeOf(due),
		Source:     f.source,
		CaseID:     f.id,
	}
}

func (f *file) properties() []byte {
	b := make([]byte, 0, 256)
	b = appendText(append(b, `{"case_id":`...), f.id)
	b = appendText(append(b, `,"source":`...), f.source)
	b = appendText(append(b, `,"severity":`...), string(severities[f.importance()]))
	if f.channel.name != "" {
		b = appendText(append(b, `,"channel":`...), f.channel.name)
	}
	if f.resolved > 0 {
		b = appendTime(append(b, `,"resolved_at":`...), f.resolved)
	}
	return append(b, '}')
}

// appendText appends a JSON string. The error is that of invalid UTF-8, which Check has refused.
func appendText(dst []byte, text string) []byte {
	dst, _ = jsontext.AppendQuote(dst, text)
	return dst
}

// appendTime appends a date-time that Braze reads as one (braze-docs: user_attributes_object).
func appendTime(dst []byte, ms int64) []byte {
	layout := `"2006-01-02T15:04:05.000Z"`
	if ms%second == 0 {
		layout = `"2006-01-02T15:04:05Z"`
	}
	return timeOf(ms).AppendFormat(dst, layout)
}
