package avro

import (
	"time"

	"github.com/twmb/avro"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
)

// AppendCase appends a support.cases record of version 1, header included; id is the id of that
// version's schema in the registry. The metadata must be valid JSON.
func AppendCase(dst []byte, id int, c *event.Case) []byte {
	dst = AppendHeader(dst, id)
	dst = AppendString(dst, c.ID)
	dst = appendKey(dst, c.User)
	dst = appendUser(dst, c.User)
	dst = AppendString(dst, c.CaseID)
	dst = AppendString(dst, string(c.Event))
	dst = AppendTime(dst, c.OccurredAt)
	dst = AppendTime(dst, c.ReceivedAt)
	dst = AppendString(dst, c.Source)
	dst = AppendOptString(dst, string(c.Severity))
	dst = appendOptLong(dst, c.Rating)
	dst = AppendOptString(dst, c.Channel)
	return AppendOptBytes(dst, c.Metadata)
}

// appendOptLong appends a nullable long.
func appendOptLong(dst []byte, n *int64) []byte {
	if n == nil {
		return append(dst, branchNull)
	}
	return AppendOptLong(dst, *n, true)
}

// CaseDecoder reads records of support.cases.
type CaseDecoder = Decoder[event.Case]

// NewCaseDecoder asks source for each schema id once.
func NewCaseDecoder(source Source) *CaseDecoder {
	return &CaseDecoder{source: source, kind: caseKind}
}

var caseKind = kindOf(schema.SupportCases, []plan[event.Case]{readCase}, checkEvent, fillCase)

// readCase reads the body of a support.cases record of version 1. It returns the record's own user_id
// beside the event, which aliases the body.
func readCase(body []byte, c *event.Case) (userID string, err error) {
	r := NewReader(body)
	*c = event.Case{}
	c.ID = r.String("event_id")
	userID, c.User = readUser(&r)
	c.CaseID = r.String("case_id")
	c.Event = event.CaseEvent(r.String("case_event"))
	c.OccurredAt = r.Time("occurred_at")
	c.ReceivedAt = r.Time("received_at")
	c.Source = r.String("source")
	c.Severity = event.Severity(r.OptString("severity"))
	c.Rating = r.optLong("rating")
	c.Channel = r.OptString("channel")
	c.Metadata = r.OptBytes("metadata_json")
	return userID, r.Err()
}

// readUser reads user_id and the identifiers behind it.
func readUser(r *Reader) (userID string, u event.User) {
	userID = r.String("user_id")
	u.ExternalID = r.OptString("external_id")
	u.BrazeID = r.OptString("braze_id")
	u.AliasLabel = r.OptString("alias_label")
	u.AliasName = r.OptString("alias_name")
	u.Email = r.OptString("email")
	u.Phone = r.OptString("phone")
	return userID, u
}

// optLong reads a nullable long.
func (r *Reader) optLong(field string) *int64 {
	if !r.Present(field) {
		return nil
	}
	n := r.Long(field)
	return &n
}

// wireCase is version 1 of support.cases, as the resolving decoder fills it.
type wireCase struct {
	wireUser
	EventID      string    `avro:"event_id"`
	CaseID       string    `avro:"case_id"`
	CaseEvent    string    `avro:"case_event"`
	OccurredAt   time.Time `avro:"occurred_at"`
	ReceivedAt   time.Time `avro:"received_at"`
	Source       string    `avro:"source"`
	Severity     *string   `avro:"severity"`
	Rating       *int64    `avro:"rating"`
	Channel      *string   `avro:"channel"`
	MetadataJSON *string   `avro:"metadata_json"`
}

func fillCase(w *wireCase, c *event.Case) (userID string, err error) {
	*c = event.Case{
		ID: w.EventID, User: w.user(), CaseID: w.CaseID, Event: event.CaseEvent(w.CaseEvent),
		OccurredAt: w.OccurredAt.UTC(), ReceivedAt: w.ReceivedAt.UTC(), Source: w.Source,
		Severity: event.Severity(orEmpty(w.Severity)), Rating: w.Rating, Channel: orEmpty(w.Channel), Metadata: orNil(w.MetadataJSON),
	}
	return w.UserID, nil
}

// checkEvent refuses times of another unit where a record has the usual two.
func checkEvent(writer []avro.SchemaField) error {
	return checkTimes(writer, "occurred_at", "received_at")
}
