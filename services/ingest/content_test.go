package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/schemas"
)

const aBanner = `{"event_id":"spring-8","collection":"banners","id":"spring","version":9007199254740993,"tags":["hero","größer"],"approved":true,` +
	`"valid_from":"2026-03-01T00:00:00+01:00","valid_until":"2026-04-01T00:00:00Z","time":"2026-03-02T10:15:03.48+01:00","source":"cms.example.com",` +
	`"body":{"headline":"Spring", "price":84.90, "n":12345678901234567890},"variants":{"de-AT":{"headline":"Frühling"},"de":{}},` +
	`"assets":[{"url":"https://img.example.com/1.jpg","type":"image/jpeg","rendition":"thumbnail","width":600,"height":400},{"url":"https://img.example.com/2.svg","type":"image/svg+xml"}]}`

// contentOf parses a body of one piece of content, which must be fine.
func contentOf(t *testing.T, body string) event.Content {
	t.Helper()
	var s scanner
	s.reset([]byte(body))
	items, err := parseContent(&s, nil)
	if err != nil || len(items) != 1 {
		t.Fatalf("got %d items, %v", len(items), err)
	}
	if p := items[0].problem; p.why != fine {
		t.Fatalf("refused: %s %s", p.field, p.reason())
	}
	return *items[0].content
}

func pixels(n int64) *int64 { return &n }

func TestParseContentTakesWhatTheContractSays(t *testing.T) {
	version := int64(9007199254740993)
	for _, c := range []struct {
		name, body string
		want       event.Content
	}{
		{
			name: "everything there can be", body: aBanner,
			want: event.Content{
				ID: "spring-8", Collection: "banners", ItemID: "spring", Version: &version, Source: "cms.example.com", Approved: true,
				OccurredAt: time.Date(2026, 3, 2, 9, 15, 3, 480_000_000, time.UTC),
				ValidFrom:  time.Date(2026, 2, 28, 23, 0, 0, 0, time.UTC), ValidUntil: time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC),
				Tags: []string{"hero", "größer"}, Body: []byte(`{"headline":"Spring", "price":84.90, "n":12345678901234567890}`),
				Variants: []event.ContentVariant{{Locale: "de-AT", Body: []byte(`{"headline":"Frühling"}`)}, {Locale: "de", Body: []byte(`{}`)}},
				Assets: []event.ContentAsset{
					{URL: "https://img.example.com/1.jpg", MediaType: "image/jpeg", Rendition: "thumbnail", Width: pixels(600), Height: pixels(400)},
					{URL: "https://img.example.com/2.svg", MediaType: "image/svg+xml"},
				},
			},
		},
		{
			name: "what is not said to be approved is not", body: `{"collection":"banners","id":"spring","body":{}}`,
			want: event.Content{Collection: "banners", ItemID: "spring", Body: []byte(`{}`)},
		},
		{
			name: "null stands for what is left out",
			body: `{"event_id":null,"collection":"b","id":"s","version":null,"locale":null,"tags":null,"approved":null,"valid_from":null,"valid_until":null,"body":{},"variants":null,"assets":null,"time":null,"source":null}`,
			want: event.Content{Collection: "b", ItemID: "s", Body: []byte(`{}`)},
		},
		{
			name: "an id that is a number keeps its digits", body: `{"collection":"b","id":820982911946154508,"body":{}}`,
			want: event.Content{Collection: "b", ItemID: "820982911946154508", Body: []byte(`{}`)},
		},
		{
			name: "an id with a slash and an @", body: `{"collection":"b","id":"a/b@8","locale":"de-AT","approved":false,"body":{}}`,
			want: event.Content{Collection: "b", ItemID: "a/b@8", Locale: "de-AT", Body: []byte(`{}`)},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, contentOf(t, c.body)); diff != "" {
				t.Errorf("the content (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseContentNamesTheFieldAtFault(t *testing.T) {
	with := func(members string) string { return `{"collection":"b","id":"s","body":{},` + members + `}` }
	of := func(collection, id string) string {
		return `{"collection":"` + collection + `","id":"` + id + `","body":{}}`
	}
	deep := strings.Repeat(`{"a":`, MaxDepth) + "1" + strings.Repeat("}", MaxDepth)
	text := func(n int) string { return `{"a":"` + strings.Repeat("x", n-8) + `"}` }
	many := func(n int, one string) string { return "[" + strings.Repeat(one+",", n-1) + one + "]" }
	for _, c := range []struct{ name, body, field, reason string }{
		{"an item that is a text", `["spring"]`, "", "must be an object"},
		{"no collection", `{"id":"s","body":{}}`, "collection", "is required"},
		{"a collection with a slash", of("a/b", "s"), "collection", whys[notCollection].sentence},
		{"a collection of 65 letters", of(strings.Repeat("c", 65), "s"), "collection", whys[notCollection].sentence},
		{"no id", `{"collection":"b","body":{}}`, "id", "is required"},
		{"an id with a #", of("b", "s#de"), "id", whys[notContentID].sentence},
		{"an id with a line's end", of("b", `s\n`), "id", whys[unprintable].sentence},
		{"an id of 251 bytes", of("b", strings.Repeat("x", 251)), "id", "is too long: at most 250 bytes"},
		{"an id that is not whole", `{"collection":"b","id":1.5,"body":{}}`, "id", "must be a string"},
		{"no body", `{"collection":"b","id":"s"}`, "body", "is required"},
		{"a body that is null", `{"collection":"b","id":"s","body":null}`, "body", "is required"},
		{"a body that is a text", `{"collection":"b","id":"s","body":"x"}`, "body", "must be an object"},
		{"a body with a name twice", `{"collection":"b","id":"s","body":{"a":1,"a":2}}`, "body", "has a name twice"},
		{"a body of 900,001 bytes", `{"collection":"b","id":"s","body":` + text(MaxContentBody+1) + `}`, "body", "is too large: at most 900000 bytes"},
		{"a body of 33 levels", `{"collection":"b","id":"s","body":{"a":` + deep + `}}`, "body", "is nested too deeply"},
		{"bodies that fit each but not together", with(`"variants":{"de":` + text(500_000) + `,"fr":` + text(490_000) + `}`), "", "is too large: at most 980000 bytes with all locales, tags and assets"},
		{"a version that is not whole", with(`"version":1.5`), "version", "must be a whole number"},
		{"a version that is a text", with(`"version":"8"`), "version", "must be a whole number"},
		{"approval in words", with(`"approved":"yes"`), "approved", "must be true or false"},
		{"a locale with an underscore", with(`"locale":"de_AT"`), "locale", whys[notLocale].sentence},
		{"the mark of everything for a locale", with(`"locale":"*"`), "locale", whys[notLocale].sentence},
		{"variants of a record of one locale", with(`"locale":"de","variants":{"fr":{}}`), "variants", whys[notBeside].sentence},
		{"variants in an array", with(`"variants":[{}]`), "variants", "must be an object"},
		{"a variant of no locale", with(`"variants":{"":{}}`), "variants.", whys[notLocale].sentence},
		{"a variant that is null", with(`"variants":{"de":null}`), "variants.de", "must be an object"},
		{"a locale twice", with(`"variants":{"de":{},"de":{}}`), "variants", "has a name twice"},
		{"a window that ends before it begins", with(`"valid_from":"2026-03-02T00:00:00Z","valid_until":"2026-03-01T00:00:00Z"`), "valid_until", whys[notWindow].sentence},
		{"a window of nothing", with(`"valid_from":"2026-03-02T00:00:00Z","valid_until":"2026-03-02T01:00:00+01:00"`), "valid_until", whys[notWindow].sentence},
		{"an end that would pass for none", with(`"valid_until":"0001-01-01T00:00:00Z"`), "valid_until", whys[notTime].sentence},
		{"an end in words", with(`"valid_until":"tomorrow"`), "valid_until", whys[notTime].sentence},
		{"a tag that is a number", with(`"tags":["a",7]`), "tags[1]", "must be a string"},
		{"a tag that is null", with(`"tags":[null]`), "tags[0]", "must be a string"},
		{"251 tags", with(`"tags":` + many(251, `"a"`)), "tags", "holds too many: at most 250 entries"},
		{"an asset without address", with(`"assets":[{"type":"image/png"}]`), "assets[0].url", "is required"},
		{"an asset without scheme", with(`"assets":[{"url":"//img.example.com/1.png","type":"image/png"}]`), "assets[0].url", whys[notURL].sentence},
		{"an asset without type", with(`"assets":[{"url":"https://img.example.com/1.png"}]`), "assets[0].type", "is required"},
		{"an asset less than nothing wide", with(`"assets":[{"url":"https://img.example.com/1.png","type":"image/png","width":-1}]`), "assets[0].width", "must not be less than 0"},
		{"a member of an asset that there is not", with(`"assets":[{"url":"https://img.example.com/1.png","type":"image/png","size":1}]`), "assets[0].size", "is not a known field"},
		{"a member that there is not", with(`"expires":"2026-03-02T00:00:00Z"`), "expires", "is not a known field"},
		{"what only sources may say", with(`"withdraw":true`), "withdraw", "is not a known field"},
		{"a user", with(`"user":{"external_id":"c"}`), "user", "is not a known field"},
		{"a source that is none", with(`"source":"a b"`), "source", whys[notSource].sentence},
		{"an event_id of 256 bytes", with(`"event_id":"` + strings.Repeat("x", 256) + `"`), "event_id", "is too long: at most 255 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s scanner
			s.reset([]byte(c.body))
			items, err := parseContent(&s, nil)
			if err != nil {
				t.Fatal(err)
			}
			p := items[0].problem
			p.at = 0
			if p.field != c.field || p.reason() != c.reason {
				t.Errorf("got %q %q, want %q %q", p.field, p.reason(), c.field, c.reason)
			}
		})
	}
	largest := contentOf(t, `{"collection":"b","id":"s","body":`+text(MaxContentBody)+`}`)
	if n := len(avro.AppendContent(nil, 1, &largest)); n > MaxContentBytes {
		t.Errorf("the largest body there may be makes a record of %d bytes", n)
	}
}

// TestARecordIsNeverLargerThanItsMeasure keeps Kafka from refusing what the door has taken.
func TestARecordIsNeverLargerThanItsMeasure(t *testing.T) {
	tags := make([]string, maxListed)
	assets, variants := make([]event.ContentAsset, maxListed), make([]event.ContentVariant, MaxVariants)
	far := time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	for i := range maxListed {
		tags[i] = strings.Repeat("ä", i)
		assets[i] = event.ContentAsset{URL: strings.Repeat("u", i), MediaType: strings.Repeat("t", i), Rendition: strings.Repeat("r", i), Width: pixels(maxPixels), Height: pixels(maxPixels)}
		variants[i] = event.ContentVariant{Locale: strings.Repeat("l", 35), Body: []byte(strings.Repeat("b", 70*i))}
	}
	version := int64(-1 << 63)
	c := event.Content{
		ID: strings.Repeat("i", MaxID), Collection: strings.Repeat("c", MaxCollection), ItemID: strings.Repeat("x", MaxContentID), Locale: "de",
		Version: &version, OccurredAt: far, ReceivedAt: far, ValidFrom: far, ValidUntil: far, Source: strings.Repeat("s", maxName), Approved: true,
		Tags: tags, Body: []byte(strings.Repeat("b", 30_000)), Variants: variants, Assets: assets,
	}
	for _, c := range []event.Content{c, {Collection: "b", ItemID: "s", Body: []byte("{}")}} {
		if record, measure := len(avro.AppendContent(nil, 1<<30, &c)), contentBytes(&c); record > measure {
			t.Errorf("a record of %d bytes counts as %d", record, measure)
		}
	}
}

func (d *door) postContent(body string) (int, string) {
	w := d.ask("POST", "/v1/content", body, "Authorization", "Bearer k1", "Content-Type", "application/json")
	return w.Code, w.Body.String()
}

func TestPostContentAnswersExactly(t *testing.T) {
	d := newDoor(nil)
	d.shelf.inline = true
	for _, c := range []struct {
		name, body, want string
		code             int
	}{
		{
			"one and one that is wrong", array(aBanner, `{"collection":"banners","id":"x","aproved":true,"body":{}}`),
			`{"accepted":1,"rejected":1,"results":[{"index":0,"id":"spring","event_id":"spring-8","status":"accepted"},` +
				`{"index":1,"id":"x","event_id":"","status":"rejected","field":"aproved","reason":"is not a known field"}]}`, 202,
		},
		{
			"the same once more", aBanner,
			`{"accepted":1,"rejected":0,"results":[{"index":0,"id":"spring","event_id":"spring-8","status":"duplicate"}]}`, 202,
		},
		{
			"nothing that can be taken", `{"collection":"banners"}`,
			`{"accepted":0,"rejected":1,"results":[{"index":0,"id":"","event_id":"","status":"rejected","field":"id","reason":"is required"}]}`, 422,
		},
		{"no JSON", `{"collection"`, `{"error":{"code":"bad_json","message":"expected a colon at byte 13"}}`, 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			if code, got := d.postContent(c.body); code != c.code || got != c.want {
				t.Errorf("answered %d %s", code, got)
			}
		})
	}
	if w := d.ask("POST", "/v1/content", aBanner); w.Code != 401 {
		t.Errorf("without a key: %d", w.Code)
	}
	checkLaw(t, d.metrics, 4, len(d.shelf.records))
}

func TestPostContentWritesTheRecord(t *testing.T) {
	d := newDoor(nil)
	d.shelf.inline = true
	if code, body := d.postContent(aBanner); code != 202 {
		t.Fatalf("%d %s", code, body)
	}
	r := d.shelf.records[0]
	headers := map[string]string{"event-id": "spring-8", "source": "cms.example.com", "origin": "ingest", "hops": "0"}
	if diff := cmp.Diff(headers, r.headers); diff != "" || r.topic != "eu.content.items" || r.key != "banners/spring" {
		t.Errorf("topic %q, key %q, headers (-want +got):\n%s", r.topic, r.key, diff)
	}
	want := contentOf(t, aBanner)
	got := contentIn(t, r.value)
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(event.Content{}, "ReceivedAt")); diff != "" || time.Since(got.ReceivedAt) > time.Minute {
		t.Errorf("received at %s; the content (-want +got):\n%s", got.ReceivedAt, diff)
	}
}

func contentIn(t *testing.T, value []byte) (c event.Content) {
	t.Helper()
	if _, err := avro.NewContentDecoder(fixed(schemas.Latest(schema.ContentItems))).Decode(t.Context(), value, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestContentIsWithdrawn(t *testing.T) {
	withdraw := func(d *door, path string) (int, string) {
		w := d.ask("DELETE", path, "", "X-Api-Key", "k1")
		return w.Code, w.Body.String()
	}
	for _, c := range []struct {
		name, path string
		keys       []string
		code       int
		answer     string // its end
	}{
		{"with all its locales", "/v1/content/banners/spring", []string{"banners/spring#*", "banners/spring"}, 202, `"status":"accepted"}]}`},
		{"one locale of it", "/v1/content/banners/spring?locale=de-AT", []string{"banners/spring#de-AT"}, 202, `"status":"accepted"}]}`},
		{"an id with a slash", "/v1/content/banners/a/b", []string{"banners/a/b#*", "banners/a/b"}, 202, `"status":"accepted"}]}`},
		{"an id with a slash that is escaped", "/v1/content/banners/a%2Fb%2525", []string{"banners/a/b%25#*", "banners/a/b%25"}, 202, `"status":"accepted"}]}`},
		{"a blank and an umlaut", "/v1/content/banners/sch%C3%B6n%20neu", []string{"banners/schön neu#*", "banners/schön neu"}, 202, `"status":"accepted"}]}`},
		{"an id with a #", "/v1/content/banners/a%23de", nil, 422, `"field":"id","reason":"` + whys[notContentID].sentence + `"}]}`},
		{"an id that is not UTF-8", "/v1/content/banners/a%ff", nil, 422, `"field":"id","reason":"is not valid UTF-8"}]}`},
		{"no id", "/v1/content/banners/", nil, 422, `"field":"id","reason":"is required"}]}`},
		{"a locale that is everything", "/v1/content/banners/spring?locale=*", nil, 422, `"field":"locale","reason":"` + whys[notLocale].sentence + `"}]}`},
		{"a collection that there cannot be", "/v1/content/b%20c/spring", nil, 422, `"field":"collection","reason":"` + whys[notCollection].sentence + `"}]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDoor(nil)
			d.shelf.inline = true
			code, answer := withdraw(d, c.path)
			if code != c.code || !strings.HasSuffix(answer, c.answer) {
				t.Errorf("answered %d %s", code, answer)
			}
			var keys []string
			for _, r := range d.shelf.records {
				keys = append(keys, r.key)
				if all := strings.HasSuffix(r.key, "#*"); all != (r.value != nil) {
					t.Errorf("the value of %s is %x", r.key, r.value)
				} else if all {
					if got := contentIn(t, r.value); !got.Withdraws || got.Approved || got.Source != "shop" || time.Since(got.ReceivedAt) > time.Minute {
						t.Errorf("%+v", got)
					}
				}
			}
			if diff := cmp.Diff(c.keys, keys); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
			checkLaw(t, d.metrics, max(1, len(keys)), len(keys))
		})
	}
}

func TestAWithdrawalIsAYesOnlyOnceBothRecordsAreDurable(t *testing.T) {
	for failing := range 2 {
		d := newDoor(nil)
		d.shelf.inline = true
		d.shelf.fail = func(n int) error {
			if n == failing {
				return errors.New("away")
			}
			return nil
		}
		if w := d.ask("DELETE", "/v1/content/banners/spring", "", "X-Api-Key", "k1"); w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Errorf("with record %d away: %d %s", failing, w.Code, w.Body)
		}
		if len(d.shelf.records) != failing { // behind what Kafka does not take nothing is offered
			t.Errorf("with record %d away there are %d records", failing, len(d.shelf.records))
		}
		checkLaw(t, d.metrics, 2, failing)
		if w := d.ask("DELETE", "/v1/content/banners/spring", "", "X-Api-Key", "k1"); w.Code != 202 {
			t.Errorf("once more: %d %s", w.Code, w.Body)
		}
	}
	if w := newDoor(nil).ask("DELETE", "/v1/content/banners/spring", ""); w.Code != 401 {
		t.Errorf("without a key: %d", w.Code)
	}
}

// TestAllOfAnItemStandsOnOnePartition takes the item's own and its locales' records, and what withdraws
// them, through a broker.
func TestAllOfAnItemStandsOnOnePartition(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, kafka stream.Config) {
		h := openHouse(t, kafka, nil)
		call := func(method, path, body string) {
			t.Helper()
			r, err := http.NewRequestWithContext(t.Context(), method, h.url+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Api-Key", "k1")
			resp, err := freshClient(t).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if err := resp.Body.Close(); err != nil || resp.StatusCode != 202 {
				t.Fatalf("%s %s: %d, %v", method, path, resp.StatusCode, err)
			}
		}
		var published []string
		for i := range 20 {
			published = append(published, fmt.Sprintf(`{"collection":"b","id":"i-%d","body":{}}`, i), fmt.Sprintf(`{"collection":"b","id":"i-%d","locale":"de","body":{}}`, i))
		}
		call("POST", "/v1/content", array(published...))
		for i := range 20 {
			call("DELETE", fmt.Sprintf("/v1/content/b/i-%d", i), "")
			call("DELETE", fmt.Sprintf("/v1/content/b/i-%d?locale=de", i), "")
		}
		at, keys := map[string]map[int]bool{}, map[string][]string{}
		partitions := map[int]bool{}
		for _, m := range h.read(t, schema.ContentItems) {
			_, id, _, _ := event.SplitContentKey(string(m.Key))
			if at[id] == nil {
				at[id] = map[int]bool{}
			}
			at[id][m.Partition], partitions[m.Partition] = true, true
			keys[id] = append(keys[id], strings.TrimPrefix(string(m.Key), "b/"+id))
			if want := stream.PartitionOf([]byte("b/"+id), kafka.Partitions); int32(m.Partition) != want {
				t.Errorf("%s stands on %d, and a producer of others would put its item on %d", m.Key, m.Partition, want)
			}
		}
		for id, where := range at {
			if len(where) != 1 {
				t.Errorf("%s stands on %v", id, slices.Sorted(maps.Keys(where)))
			}
			if diff := cmp.Diff([]string{"", "#de", "#*", "", "#de"}, keys[id]); diff != "" {
				t.Errorf("%s (-want +got):\n%s", id, diff)
			}
		}
		if len(at) != 20 || len(partitions) < 2 {
			t.Errorf("%d items on %d partitions", len(at), len(partitions))
		}
	})
}

// FuzzParseContent holds what is taken to what encoding/json reads from the same bytes, and to what the cacher
// asks of a record.
func FuzzParseContent(f *testing.F) {
	for _, body := range []string{aBanner, `[{"collection":"b","id":7,"body":{"a":[null]}},1,{}]`, `{"collection":"b","id":"\ud83d\ude00","locale":"de","body":{},"tags":[]}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		eachTaken(t, body, parseContent, func(raw []byte, it *item) {
			var want struct {
				Collection, Locale, Source string
				EventID                    string `json:"event_id"`
				ID                         any
				Version                    *int64
				Tags                       []string
				Approved                   bool
				ValidFrom                  time.Time `json:"valid_from"`
				ValidUntil                 time.Time `json:"valid_until"`
				Time                       time.Time
				Body                       json.RawMessage
				Variants                   map[string]json.RawMessage
				User                       any
				Assets                     []struct {
					URL, Type, Rendition string
					Width, Height        *int64
				}
			}
			readStrictly(t, raw, &want)
			c := it.content
			if want.EventID != c.ID || want.Collection != c.Collection || fmt.Sprint(want.ID) != c.ItemID || want.Locale != c.Locale || want.Source != c.Source ||
				want.Approved != c.Approved || !want.Time.UTC().Equal(c.OccurredAt) || !want.ValidFrom.UTC().Equal(c.ValidFrom) || !want.ValidUntil.UTC().Equal(c.ValidUntil) ||
				string(want.Body) != string(c.Body) || want.User != nil || len(want.Assets) != len(c.Assets) || len(want.Variants) != len(c.Variants) {
				t.Fatalf("got %+v of %s", c, raw)
			}
			if diff := cmp.Diff(want.Version, c.Version) + cmp.Diff(want.Tags, c.Tags, cmpopts.EquateEmpty()); diff != "" {
				t.Fatal(diff)
			}
			for _, v := range c.Variants {
				if string(want.Variants[v.Locale]) != string(v.Body) {
					t.Fatalf("%s: got %s of %s", v.Locale, v.Body, raw)
				}
			}
			if collection, id, locale, ok := event.SplitContentKey(c.Key()); !ok || collection != c.Collection || id != c.ItemID || locale != c.Locale {
				t.Fatalf("the key %q is not what it was made of", c.Key())
			}
		})
	})
}
