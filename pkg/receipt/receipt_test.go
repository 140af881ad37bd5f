package receipt_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/linkedin/goavro/v2"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/receipt"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/schemas"
)

func delivered() receipt.Receipt {
	return receipt.Receipt{
		EventID: "e-1", UserID: "crm-1001", Source: "shop", Topic: "customer.events", Partition: 3, Offset: 4711,
		Outcome:  outcome.Outcome{Kind: outcome.Delivered},
		Endpoint: "/users/track", Status: 201, RequestID: "abc-1", Latency: 42 * time.Millisecond,
		Attempts: 1, SettledAt: time.UnixMilli(1_800_000_000_123).UTC(),
	}
}

func TestReceiptsSurviveTheWire(t *testing.T) {
	refused := delivered()
	refused.Outcome = outcome.Outcome{Kind: outcome.Refused, Reason: "item_error", Detail: "events: no"}
	skipped := receipt.Receipt{Topic: "t", Outcome: outcome.Outcome{Kind: outcome.Skipped, Reason: "page_view"}, SettledAt: time.UnixMilli(0).UTC()}
	partly := delivered()
	partly.Outcome, partly.PartsDone = outcome.Outcome{Kind: outcome.Deferred, Reason: "under_way"}, 2
	for name, want := range map[string]receipt.Receipt{"delivered": delivered(), "under way": partly, "refused": refused, "skipped, of an unreadable record": skipped} {
		got, err := receipt.Read(want.Append(nil, 9))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

func TestReceiptsOfEarlierVersionsAreRead(t *testing.T) {
	want := delivered()
	want.Source = ""
	value := want.Append(nil, 9)
	for version, text := range map[int][]byte{1: value[:len(value)-2], 2: value[:len(value)-1]} { // without the nulls at the end
		got, err := receipt.Read(text)
		if err != nil {
			t.Fatalf("version %d: %v", version, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("version %d (-want +got)\n%s", version, diff)
		}
	}
}

// TestGoavroReadsReceipts holds the codec written by hand to the codec of record.
func TestGoavroReadsReceipts(t *testing.T) {
	codec, err := goavro.NewCodec(schemas.Latest(schema.BrazeDeliveries))
	if err != nil {
		t.Fatal(err)
	}
	r := delivered()
	native, rest, err := codec.NativeFromBinary(r.Append(nil, 9)[avro.HeaderSize:])
	if err != nil || len(rest) > 0 {
		t.Fatalf("%v, %d bytes left over", err, len(rest))
	}
	some := func(branch string, v any) any { return map[string]any{branch: v} }
	want := map[string]any{
		"event_id": "e-1", "user_id": "crm-1001",
		"source_topic": "customer.events", "source_partition": int32(3), "source_offset": int64(4711),
		"outcome": "delivered", "reason": nil, "detail": nil,
		"endpoint": some("string", "/users/track"), "http_status": some("int", int32(201)),
		"request_id": some("string", "abc-1"), "latency_ms": some("long", int64(42)),
		"attempts": int32(1), "settled_at": r.SettledAt, "parts_done": nil, "source": some("string", "shop"),
	}
	if diff := cmp.Diff(want, native); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func FuzzRead(f *testing.F) {
	r := delivered()
	f.Add(r.Append(nil, 1))
	f.Add([]byte{0, 0, 0, 0, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, value []byte) {
		got, err := receipt.Read(value)
		if err != nil {
			if _, ok := avro.AsUnreadable(err); !ok {
				t.Fatalf("an error that is no verdict on the bytes: %v", err)
			}
			return
		}
		again, err := receipt.Read(got.Append(nil, 1))
		if err != nil {
			t.Fatal(err)
		}
		if again.EventID != got.EventID || again.Source != got.Source || again.Offset != got.Offset || again.Outcome.Kind != got.Outcome.Kind {
			t.Fatalf("round trip: %+v, then %+v", got, again)
		}
	})
}
