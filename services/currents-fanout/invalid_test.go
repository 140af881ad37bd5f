package currentsfanout

import (
	"testing"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// TestADocumentThatIsNotJSONIsRefused: whatever is redacted, before it can spoil a batch.
func TestADocumentThatIsNotJSONIsRefused(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{`{"a":`, `{"a":1}{"b":2}`, "{\"a\":\n", ``, `{"email":"x"`} {
		for name, r := range map[string]*redactor{
			"nothing":         newRedactor(nil),
			"what is not it":  newRedactor([]Redaction{{Fields: []string{"phone"}, How: Mask}}),
			"what may be it":  newRedactor([]Redaction{{Fields: []string{"email"}, How: Mask}}),
			"and how it ends": newRedactor([]Redaction{{Fields: []string{"email"}, How: Remove}}),
		} {
			var e sink.Event
			d := draft{engagement: &event.Engagement{ID: "e", Type: "t", JSON: []byte(doc)}}
			if what := r.shape(&e, ofEngagements, d, "k"); what.Reason != "invalid_json" {
				t.Errorf("%q, where %s is redacted, comes to %+v", doc, name, what)
			}
		}
	}
}
