package avro_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/schemas"
)

const recordID = 21 // of the schema, in these tests

// record is a record type with a hand-written codec, and records of it.
type record[T any] struct {
	topic   string
	append  func(dst []byte, id int, v *T) []byte
	decoder func(avro.Source) *avro.Decoder[T]
	key     func(*T) string
	keyed   string // the field that repeats the key; user_id when empty
	full    T      // every field set
	least   T      // only what is required
}

func (r *record[T]) keyField() string {
	if r.keyed != "" {
		return r.keyed
	}
	return "user_id"
}

func profiles() record[event.Profile] {
	version := int64(1) << 60
	return record[event.Profile]{
		schema.CustomerProfiles, avro.AppendProfile, avro.NewProfileDecoder, func(p *event.Profile) string { return p.User.Key() }, "",
		event.Profile{
			ID: "p-1", User: someone(), Set: []byte(`{"plan":"gold"}`), Unset: []string{"old", "older"},
			Add: []byte(`{"tags":["a"]}`), Remove: []byte(`{"tags":["b"]}`), Increment: []byte(`{"visits":1}`),
			Subscriptions: []event.Subscription{{GroupID: "g", State: "subscribed"}, {GroupID: "h", State: "unsubscribed"}},
			PreviousKey:   "alias:anonymous_id:x", Source: "crm", Version: &version, OccurredAt: time.UnixMilli(5).UTC(), ReceivedAt: time.UnixMilli(6).UTC(),
		},
		event.Profile{ID: "p", User: event.User{Email: "Mira@Example.com"}, Source: "s", OccurredAt: time.UnixMilli(-1).UTC(), ReceivedAt: time.UnixMilli(0).UTC()},
	}
}

func supportCases() record[event.Case] {
	rating := int64(4)
	return record[event.Case]{
		schema.SupportCases, avro.AppendCase, avro.NewCaseDecoder, func(c *event.Case) string { return c.User.Key() }, "",
		event.Case{
			ID: "z-1", User: someone(), CaseID: "35436", Event: event.CaseRated, Severity: event.SeverityUrgent, Rating: &rating, Channel: "email",
			OccurredAt: time.UnixMilli(5).UTC(), ReceivedAt: time.UnixMilli(6).UTC(), Source: "zendesk", Metadata: []byte(`{"group":"returns"}`),
		},
		event.Case{ID: "z", User: event.User{AliasLabel: "zendesk", AliasName: "8447388090494"}, CaseID: "1", Event: event.CaseOpened, Source: "s", OccurredAt: time.UnixMilli(0).UTC(), ReceivedAt: time.UnixMilli(1).UTC()},
	}
}

func updates() record[event.Update] {
	return record[event.Update]{
		schema.BrazeAttributes, avro.AppendUpdate, avro.NewUpdateDecoder, func(u *event.Update) string { return u.User.Key() }, "",
		event.Update{
			ID: "u-1", User: someone(), OccurredAt: time.UnixMilli(5).UTC(), DecidedAt: time.UnixMilli(6).UTC(),
			Attributes: []byte(`{"plan":"gold","old":null}`), Trigger: "support_survey_due", Properties: []byte(`{"case_id":"1"}`), DataPoints: 2,
			Causes: []event.Cause{
				{ID: "p-1", Source: "crm", Topic: "customer.profiles", Partition: 11, Offset: 1 << 40},
				{ID: "z-1", Source: "zendesk", Topic: "support.cases"},
			},
			Declined: []event.Declined{
				{ID: "p-0", Source: "crm", Field: "plan", Reason: "stale", Detail: "crm wrote version 7"},
				{ID: "p-9", Source: "shop", Field: "tier", Reason: "not_owner"},
			},
		},
		event.Update{ID: "u", User: event.User{Phone: "+431"}, OccurredAt: time.UnixMilli(0).UTC(), DecidedAt: time.UnixMilli(1).UTC()},
	}
}

func engagements() record[event.Engagement] {
	return record[event.Engagement]{
		schema.BrazeEngagements, avro.AppendEngagement, avro.NewEngagementDecoder, (*event.Engagement).Key, "",
		event.Engagement{
			ID: "0f6c1d2a", User: event.User{ExternalID: "crm-1001", BrazeID: "b-1"}, Type: "users.messages.email.Click", Channel: "email",
			OccurredAt: time.UnixMilli(5000).UTC(), ReceivedAt: time.UnixMilli(6).UTC(), Workspace: "eu-retail",
			AppID: "app", CampaignID: "c", CampaignName: "Autumn", MessageVariationID: "mv", CanvasID: "cv", CanvasName: "Welcome", CanvasVariationID: "cvv",
			CanvasStepID: "step", CanvasStepMessageVariationID: "stepmv", SendID: "send", DispatchID: "dispatch", DeviceID: "device",
			JSON: []byte(`{"event_type":"users.messages.email.Click","id":"0f6c1d2a"}`),
		},
		event.Engagement{ID: "e", Type: "agentconsole.ToolInvocation", OccurredAt: time.UnixMilli(0).UTC(), ReceivedAt: time.UnixMilli(1).UTC(), JSON: []byte(`{}`)},
	}
}

func actions() record[event.Action] {
	return record[event.Action]{
		schema.BrazeActions, avro.AppendAction, avro.NewActionDecoder, (*event.Action).Key, "",
		event.Action{
			ID: "a-1", User: someone(), Name: "preferences", OccurredAt: time.UnixMilli(5).UTC(), ReceivedAt: time.UnixMilli(6).UTC(),
			Source: "braze", Workspace: "eu-retail", ContentType: "application/json", JSON: []byte(`{"topics":["news"]}`), Body: []byte("topics=news"),
		},
		event.Action{ID: "a", Name: "form", OccurredAt: time.UnixMilli(0).UTC(), ReceivedAt: time.UnixMilli(1).UTC(), Source: "braze"},
	}
}

func changes() record[event.Change] {
	version := int64(8)
	return record[event.Change]{
		schema.CRMChanges, avro.AppendChange, avro.NewChangeDecoder, (*event.Change).Key, "",
		event.Change{
			ID: "c-1", User: someone(), Kind: event.Changed, System: "salesforce", Object: "Contact", ObjectID: "0035e00000Demo9AAF",
			Changes: []byte(`{"HasOptedOutOfEmail":true}`), Version: &version, Actor: "0055e00000Demo3AAC",
			OccurredAt: time.UnixMilli(5).UTC(), ReceivedAt: time.UnixMilli(6).UTC(), Source: "salesforce-eu",
		},
		event.Change{
			ID: "c", Kind: event.Deleted, System: "hubspot", Object: "contacts", ObjectID: "1",
			OccurredAt: time.UnixMilli(0).UTC(), ReceivedAt: time.UnixMilli(1).UTC(), Source: "hubspot",
		},
	}
}

func contents() record[event.Content] {
	version, width, height := int64(8), int64(1600), int64(900)
	return record[event.Content]{
		schema.ContentItems, avro.AppendContent, avro.NewContentDecoder, (*event.Content).Key, "item_key",
		event.Content{
			ID: "c-1", Collection: "banners", ItemID: "spring", Locale: "de-AT", Version: &version, OccurredAt: time.UnixMilli(5).UTC(), ReceivedAt: time.UnixMilli(6).UTC(),
			Source: "contentful", Approved: true, ValidFrom: time.UnixMilli(7).UTC(), ValidUntil: time.UnixMilli(8).UTC(), Tags: []string{"hero", "spring"},
			Body: []byte(`{"headline":"Spring"}`), Variants: []event.ContentVariant{{Locale: "de", Body: []byte(`{"headline":"Frühling"}`)}},
			Assets: []event.ContentAsset{{URL: "https://img.example/1.jpg", MediaType: "image/jpeg", Rendition: "thumbnail", Width: &width, Height: &height}, {URL: "u", MediaType: "m"}},
		},
		event.Content{Collection: "c", ItemID: "i", Withdraws: true, OccurredAt: time.UnixMilli(0).UTC(), ReceivedAt: time.UnixMilli(1).UTC(), Body: []byte(`{}`)},
	}
}

func someone() event.User {
	return event.User{ExternalID: "crm-1001", BrazeID: "b-1", AliasLabel: "anonymous_id", AliasName: "a-1", Email: "mira@example.com", Phone: "+43166"}
}

func TestGoavroReadsEveryRecordWeWrite(t *testing.T) {
	t.Run("a change to a profile", func(t *testing.T) { heldToGoavro(t, profiles()) })
	t.Run("a support case", func(t *testing.T) { heldToGoavro(t, supportCases()) })
	t.Run("an update for Braze", func(t *testing.T) { heldToGoavro(t, updates()) })
	t.Run("an engagement", func(t *testing.T) { heldToGoavro(t, engagements()) })
	t.Run("an action", func(t *testing.T) { heldToGoavro(t, actions()) })
	t.Run("a change in a CRM", func(t *testing.T) { heldToGoavro(t, changes()) })
	t.Run("an item of content", func(t *testing.T) { heldToGoavro(t, contents()) })
}

// heldToGoavro holds a hand-written codec to the codec of record: goavro reads our bytes and writes the
// same, every field that there is comes back, and what is cut off anywhere is refused.
func heldToGoavro[T any](t *testing.T, r record[T]) {
	text := schemas.Latest(r.topic)
	codec, decoder := goavroCodec(t, text), r.decoder(texts{recordID: text})
	for name, v := range map[string]T{"every field set": r.full, "only what is required": r.least} {
		t.Run(name, func(t *testing.T) {
			ours := r.append(nil, recordID, &v)
			native, rest, err := codec.NativeFromBinary(ours[avro.HeaderSize:])
			if err != nil || len(rest) > 0 {
				t.Fatalf("goavro: %v, %d bytes left over", err, len(rest))
			}
			theirs, err := codec.BinaryFromNative(ours[:avro.HeaderSize:avro.HeaderSize], native)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(ours, theirs) {
				t.Errorf("goavro writes it differently:\nours   %x\ntheirs %x", ours, theirs)
			}
			var back T
			userID, err := decoder.Decode(t.Context(), ours, &back)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(v, back, cmpopts.EquateEmpty()); diff != "" || userID != r.key(&v) {
				t.Errorf("user_id %q; round trip (-want +got)\n%s", userID, diff)
			}
			for n := range len(ours) - avro.HeaderSize {
				_, err := decoder.Decode(t.Context(), ours[:avro.HeaderSize+n], &back)
				if u, ok := avro.AsUnreadable(err); !ok || u.Reason != "undecodable" {
					t.Fatalf("of %d bytes: %v", n, err)
				}
			}
			if _, err := decoder.Decode(t.Context(), append(bytes.Clone(ours), 0), &back); err == nil {
				t.Error("a byte that is left over is not noticed")
			}
		})
	}
	t.Run("written with another program's schema", func(t *testing.T) { resolves(t, r, text) })
}

// resolves reads a record whose writer has a field of its own more.
func resolves[T any](t *testing.T, r record[T], text string) {
	foreign := bytes.Replace([]byte(text), []byte(`"fields": [`), []byte(`"fields": [{"name":"till","type":"long"},`), 1)
	ours := r.append(nil, recordID, &r.full)
	value := append(avro.AppendLong(avro.AppendHeader(nil, recordID), 7), ours[avro.HeaderSize:]...)
	var back T
	userID, err := r.decoder(texts{recordID: string(foreign)}).Decode(t.Context(), value, &back)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r.full, back, cmpopts.EquateEmpty()); diff != "" || userID != r.key(&r.full) {
		t.Errorf("user_id %q (-want +got)\n%s", userID, diff)
	}
	micros := bytes.Replace(foreign, []byte("timestamp-millis"), []byte("timestamp-micros"), 1)
	_, err = r.decoder(texts{recordID: string(micros)}).Decode(t.Context(), value, &back)
	if u, ok := avro.AsUnreadable(err); !ok || u.Reason != "incompatible_schema" {
		t.Errorf("times in microseconds: %v", err)
	}
}

// Each of these feeds any bytes to our reader and to goavro: both accept, or both refuse. What our
// reader allocates stays within a bound that the bytes set, whatever they claim.
func FuzzDecodeProfile(f *testing.F) { fuzzDecode(f, profiles()) }
func FuzzDecodeCase(f *testing.F)    { fuzzDecode(f, supportCases()) }
func FuzzDecodeUpdate(f *testing.F)  { fuzzDecode(f, updates()) }

func FuzzDecodeEngagement(f *testing.F) { fuzzDecode(f, engagements()) }
func FuzzDecodeAction(f *testing.F)     { fuzzDecode(f, actions()) }
func FuzzDecodeChange(f *testing.F)     { fuzzDecode(f, changes()) }
func FuzzDecodeContent(f *testing.F)    { fuzzDecode(f, contents()) }

func fuzzDecode[T any](f *testing.F, r record[T]) {
	full := r.append(nil, recordID, &r.full)
	f.Add(full[avro.HeaderSize:])
	f.Add(full[avro.HeaderSize : len(full)-4])
	f.Add(r.append(nil, recordID, &r.least)[avro.HeaderSize:])
	f.Add([]byte{0xfe, 0xff, 0xff, 0xff, 0x0f})
	text := schemas.Latest(r.topic)
	codec, decoder := goavroCodec(f, text), r.decoder(texts{recordID: text})
	var v T
	if _, err := decoder.Decode(context.Background(), full, &v); err != nil { // it knows the schema now
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		value := append(avro.AppendHeader(nil, recordID), body...)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		userID, ourErr := decoder.Decode(t.Context(), value, &v)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > uint64(64*len(body)+64<<10) {
			t.Fatalf("%d bytes allocated for a body of %d", took, len(body))
		}
		native, rest, theirErr := codec.NativeFromBinary(body)
		if theirErr == nil && len(rest) > 0 {
			theirErr = errors.New("left over")
		}
		if (ourErr == nil) != (theirErr == nil) {
			t.Fatalf("ours: %v, goavro: %v", ourErr, theirErr)
		}
		if ourErr == nil && native.(map[string]any)[r.keyField()] != userID {
			t.Fatalf("ours %q, goavro %v", userID, native)
		}
	})
}
