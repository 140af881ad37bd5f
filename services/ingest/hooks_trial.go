package ingest

import (
	"context"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// Trial is what a source makes of one message of a sample: records, or the reason why there is none.
type Trial struct {
	Kind    string        `json:"kind"` // as the source calls it
	Key     string        `json:"key"`  // idempotency key
	Records []TrialRecord `json:"records"`
	Skipped string        `json:"skipped,omitzero"` // why nothing comes of it
	Refused string        `json:"refused,omitzero"` // why it would become a dead letter
	Detail  string        `json:"detail,omitzero"`  // of Refused
}

// TrialRecord is one record that would be written.
type TrialRecord struct {
	Topic string         `json:"topic"` // without prefix
	ID    string         `json:"event_id"`
	Key   string         `json:"key"` // of the record: the user, or the piece of content
	Value jsontext.Value `json:"value"`
	// Removes says that the record is a tombstone: it takes away what stood under the key.
	Removes bool `json:"removes,omitzero"`
}

// topicOf is where outputs of a target go.
var topicOf = map[webhook.Target]string{
	webhook.Event: schema.CustomerEvents, webhook.Profile: schema.CustomerProfiles, webhook.Commerce: schema.CommerceEvents,
	webhook.Case: schema.SupportCases, webhook.Link: schema.CustomerEvents, webhook.Content: schema.ContentItems,
	webhook.CRM: schema.CRMChanges,
}

// Try translates a sample as POST /v1/hooks/{source} would, held to the same checks, and writes
// nothing. Whether the sample is signed makes no difference.
func Try(ctx context.Context, source *webhook.Source, sample *webhook.Request) []Trial {
	var trials []Trial
	for _, m := range messagesOf(ctx, source, sample) {
		t := Trial{Kind: m.Kind, Key: m.Key, Records: []TrialRecord{}}
		items := itemsOf(&m)
		switch first := &items[0]; first.fate {
		case skip:
			t.Skipped = first.why
		case deadLetter:
			t.Refused, t.Detail = first.problem.why.String(), first.problem.reason()
		case toTopic:
			for i := range items {
				t.Records = append(t.Records, TrialRecord{
					Topic: topicOf[m.Outputs[i].To], ID: items[i].id(), Key: string(items[i].appendKey(nil)), Value: m.Outputs[i].JSON, Removes: items[i].removes,
				})
			}
		}
		trials = append(trials, t)
	}
	return trials
}
