package crm_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/linkedin/goavro/v2"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/schemas"
)

func cause() crm.Cause {
	return crm.Cause{Topic: "braze.actions", Partition: 3, Offset: 4711, EventID: "form-1"}
}

func delivered() crm.Delivery {
	return crm.Delivery{
		WriteID: "w-1", UserID: "crm-1001", Target: "crm", Object: "Contact", Key: "crm-1001", CRMID: "0035e00000Demo9AAF", Mode: crm.Upsert,
		Fields: []byte(`{"HasOptedOutOfEmail":true}`), Rule: "preferences", Cause: cause(), Partition: 3, Offset: 12,
		Outcome: outcome.Outcome{Kind: outcome.Delivered}, Status: 200, RequestID: "r-1", Latency: 42 * time.Millisecond, Attempts: 1, Hops: 1,
		EditedAt: time.UnixMilli(1_800_000_000_000).UTC(), SettledAt: time.UnixMilli(1_800_000_000_123).UTC(),
	}
}

// contested is a delivery that says all that can be said of one that was not sent.
func contested() crm.Delivery {
	return crm.Delivery{
		WriteID: "w-2", UserID: "crm-1001", Target: crm.Braze, Object: "profile", Key: "crm-1001", Mode: crm.Upsert, Cause: cause(),
		Outcome:   outcome.Outcome{Kind: outcome.Skipped, Reason: "conflict", Detail: "HasOptedOutOfEmail belongs to Braze"},
		Conflicts: []byte(`[{"field":"HasOptedOutOfEmail","ours":true,"theirs":false,"winner":"braze","rule":"braze"}]`),
		EditedAt:  time.UnixMilli(5).UTC(), SettledAt: time.UnixMilli(6).UTC(),
	}
}

func TestDeliveriesSurviveTheWire(t *testing.T) {
	for name, want := range map[string]crm.Delivery{"delivered": delivered(), "a conflict": contested()} {
		got, err := crm.ReadDelivery(want.Append(nil, 9))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

// TestGoavroReadsDeliveries holds the codec written by hand to the codec of record.
func TestGoavroReadsDeliveries(t *testing.T) {
	codec, err := goavro.NewCodec(schemas.Latest(schema.CRMDeliveries))
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]crm.Delivery{"delivered": delivered(), "a conflict": contested()} {
		_, body, err := avro.Split(d.Append(nil, 9))
		if err != nil {
			t.Fatal(err)
		}
		native, rest, err := codec.NativeFromBinary(body)
		if err != nil || len(rest) > 0 {
			t.Fatalf("%s: goavro reads it with %v and leaves %d bytes", name, err, len(rest))
		}
		again, err := codec.BinaryFromNative(nil, native)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(body, again) {
			t.Errorf("%s: goavro writes\n%x, we write\n%x", name, again, body)
		}
	}
}

func write() crm.Write {
	version := int64(8)
	return crm.Write{
		ID: "w-1", Target: "crm", Rule: "preferences", Object: "Contact", KeyField: "Braze_External_Id__c", Key: "crm-1001", Mode: crm.Upsert,
		Fields: jsontext.Value(`{"Credit__c":12345678901234567890.10}`), User: event.User{ExternalID: "crm-1001"},
		EditedAt: time.UnixMilli(5).UTC(), Cause: cause(), Hops: 1, Path: []string{"braze"}, Origin: "crm", Version: &version,
		Groups:    []event.Subscription{{GroupID: "g", State: "subscribed"}},
		Settled:   &crm.Settled{Outcome: "skipped", Reason: "echo"},
		Conflicts: []crm.Conflict{{Field: "f", Ours: jsontext.Value("1"), Theirs: jsontext.Value("null"), Winner: "crm", Rule: "newest"}},
	}
}

func TestWritesSurviveTheirTopic(t *testing.T) {
	want := write()
	value, err := want.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := crm.ReadWrite(value)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestWhatIsNoWriteIsRefusedWithItsReason(t *testing.T) {
	for value, want := range map[string]string{
		"":                                      "reading write",
		"[]":                                    "reading write",
		"{}":                                    "no id",
		`{"id":"w"}`:                            "no target",
		`{"id":"w","target":"crm","fields":[]}`: "fields is no object",
		`{"id":"w","target":"crm","edited_at":"x"`: "edited_at",
	} {
		if _, err := crm.ReadWrite([]byte(value)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is read with %v, not with %q", value, err, want)
		}
	}
}

func FuzzReadWrite(f *testing.F) {
	whole := write()
	value, err := whole.Append(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(value)
	f.Add([]byte(`{"id":"w","target":"crm","fields":{"a":null}}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		w, err := crm.ReadWrite(value)
		if err != nil {
			return
		}
		again, err := w.Append(nil)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if _, err := crm.ReadWrite(again); err != nil {
			t.Fatalf("%s cannot be read again: %v", again, err)
		}
	})
}

func FuzzReadDelivery(f *testing.F) {
	whole := delivered()
	f.Add(whole.Append(nil, 9))
	part := contested()
	f.Add(part.Append(nil, 1))
	f.Fuzz(func(t *testing.T, value []byte) {
		d, err := crm.ReadDelivery(value)
		if err == nil && !d.Outcome.Kind.Final() && d.Outcome.Kind != outcome.Deferred {
			t.Fatalf("an outcome that is none: %v", d.Outcome)
		}
	})
}
