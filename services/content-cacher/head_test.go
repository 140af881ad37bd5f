package contentcacher

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/content-cacher/shelf"
)

// samples are records of every kind.
func samples() []*event.Content {
	at, version := time.UnixMilli(1_772_442_000_000), int64(-8)
	plain := func(change func(*event.Content)) *event.Content {
		c := &event.Content{
			ID: "1", Collection: "banners", ItemID: "späher/1", Source: "cms", Approved: true, OccurredAt: at, ReceivedAt: at.Add(time.Second),
			Body: []byte(`{"text":"hello"}`),
		}
		change(c)
		return c
	}
	return []*event.Content{
		plain(func(*event.Content) {}),
		plain(func(c *event.Content) { c.Version, c.Tags = &version, []string{"hero", "", "spring"} }),
		plain(func(c *event.Content) { c.ValidFrom, c.ValidUntil = at, at.Add(time.Hour) }),
		plain(func(c *event.Content) { c.ValidUntil = time.UnixMilli(0) }),
		plain(func(c *event.Content) { c.Locale = "de-AT" }),
		plain(func(c *event.Content) { c.Withdraws, c.Approved, c.Body = true, false, []byte(`{}`) }),
		plain(func(c *event.Content) {
			c.Variants = []event.ContentVariant{{Locale: "de", Body: []byte(`{"text":"hallo"}`)}}
		}),
		plain(func(c *event.Content) {
			c.Assets = []event.ContentAsset{{URL: "https://img.example/1.jpg", MediaType: "image/jpeg"}}
		}),
	}
}

// headsAgree reads a record both ways.
func headsAgree(t *testing.T, key, value []byte) {
	t.Helper()
	r := &stream.Record{Key: key, Value: value}
	decoder := avro.NewContentDecoder(ownSchema{})
	var c event.Content
	decoded := recognise(t.Context(), decoder, r, &c)
	quick := reading{decoder: decoder, ours: copyVersion}
	head, err := quick.record(t.Context(), r)
	if decoded != nil {
		return // what is wrong with the end of a record is found later
	}
	if err != nil {
		t.Fatalf("the head cannot be read: %v", err)
	}
	want := shelf.HeadOf(&c)
	if diff := cmp.Diff(&want, head, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-decoded +head)\n%s", diff)
	}
}

func TestTheHeadOfARecordIsWhatDecodingItSays(t *testing.T) {
	for _, c := range samples() {
		value := avro.AppendContent(nil, copyVersion, c)
		headsAgree(t, []byte(c.Key()), value)
		var d reading
		d.ours = copyVersion
		if !d.direct(value[headerBytes:], []byte(c.Key())) {
			t.Errorf("%s: it is not read directly", c.Key())
		}
	}
}

func TestWhatIsWrongWithAHeadIsSaid(t *testing.T) {
	good := samples()[0]
	value := avro.AppendContent(nil, copyVersion, good)
	for name, r := range map[string]*stream.Record{
		"another key":     {Key: []byte("banners/other"), Value: value},
		"cut off":         {Key: []byte(good.Key()), Value: value[:40]},
		"no schema of us": {Key: []byte(good.Key()), Value: append([]byte{0, 0, 0, 0, 99}, value[headerBytes:]...)},
		"no Avro":         {Key: []byte(good.Key()), Value: []byte("hello")},
	} {
		d := reading{decoder: avro.NewContentDecoder(ownSchema{}), ours: copyVersion}
		if _, err := d.record(t.Context(), r); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// FuzzHead holds whatever the quick way reads to what decoding says.
func FuzzHead(f *testing.F) {
	for _, c := range samples() {
		f.Add([]byte(c.Key()), avro.AppendContent(nil, copyVersion, c))
	}
	f.Fuzz(headsAgree)
}
