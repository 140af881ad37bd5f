package poll

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/services/ingest/webhook"
)

func TestACheckpointIsReadAsItWasWritten(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 15, 4, 0, time.UTC)
	c := checkpoint{
		Epoch: 3, Since: mark{At: 1}, Cursor: "c", Begun: at, Done: at, Whole: at, Items: 5, Pages: 2,
		Round:      &round{Begun: at, Limit: at, Whole: true, From: mark{Text: "x"}, At: "2", Last: mark{At: -7}, Items: 9, Pages: 1},
		Validators: validators{Of: "u", ETag: "e", LastModified: "l"},
	}
	c.Asked, c.Scale, c.Doubted = "a", "time", doubted("12345678")
	for i := range 3 * maxRecent {
		c.Recent.add(stamp(i*7919), int64(i%maxRecent))
	}
	text, err := c.encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeCheckpoint(text)
	if err != nil || len(got.Recent.seen) != maxRecent || len(text) > 64<<10 {
		t.Fatalf("%d recent of %d bytes, %v", len(got.Recent.seen), len(text), err)
	}
	for _, s := range got.Recent.seen { // the last ones are kept
		if s.at < maxRecent/3 {
			t.Errorf("%v is kept", s)
		}
	}
	got.Recent, c.Recent = recent{}, recent{}
	if diff := cmp.Diff(c, got, cmp.AllowUnexported(checkpoint{}, recent{})); diff != "" {
		t.Error(diff)
	}
}

func TestALaterOwnersCheckpointCounts(t *testing.T) {
	var state checkpoint
	l := loading{source: "crm", state: &state, known: newKnown()}
	write := func(epoch, items int64) {
		text, err := (&checkpoint{Epoch: epoch, Items: items}).encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := l.take([]byte("crm"), text); err != nil {
			t.Fatal(err)
		}
	}
	write(1, 10)
	write(2, 20)
	write(1, 30) // had not noticed yet
	if state.Items != 20 {
		t.Errorf("%+v", state)
	}
	for key, value := range map[string]string{
		"other": "{", "crm/known/1": `{"epoch":2,"items":{"a":{"v":"7"}}}`, "other/known/1": "{",
	} {
		if err := l.take([]byte(key), []byte(value)); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	for key, value := range map[string]string{"crm": "{}", "crm/known/99": "{}", "crm/known/x": "{}", "crm/known/2": "["} {
		if err := l.take([]byte(key), []byte(value)); err == nil {
			t.Errorf("%s with %s is taken", key, value)
		}
	}
}

func FuzzCheckpoint(f *testing.F) {
	f.Add([]byte(`{"epoch":1,"since":{"at":5},"items":1,"pages":1,"recent":"AAAAAAAAAAEAAAAAAAAAAg==","round":{"begun":"2026-01-01T00:00:00Z","from":{},"last":{},"items":0,"pages":0}}`))
	f.Add([]byte(`{"epoch":-1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := decodeCheckpoint(text)
		if err != nil {
			return
		}
		if again, err := c.encode(); err != nil {
			t.Fatalf("it was read and cannot be written: %v", err)
		} else if _, err := decodeCheckpoint(again); err != nil {
			t.Fatalf("it was written and cannot be read: %v", err)
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"7", "-1", "9999999999999", "Wed, 21 Oct 2026 07:28:00 GMT", "1e300", "soon"} {
		f.Add(s, 429)
	}
	f.Fuzz(func(t *testing.T, value string, code int) {
		h := http.Header{"Retry-After": {value}}
		hint := hintOf(h)
		if hint < 0 || hint > time.Hour {
			t.Fatalf("%q asks for %v", value, hint)
		}
		if fail := judge(&http.Response{StatusCode: code, Header: h}, nil, hint); fail != nil && backoff.Next(3, fail.hint) > 2*time.Hour {
			t.Fatalf("%q makes us wait for %v", value, fail.hint)
		}
	})
}

func TestMarksAreReadAndWrittenNeverLater(t *testing.T) {
	for name, c := range map[string]struct{ format, value, since, before string }{
		"RFC 3339":              {"rfc3339", "2026-03-02T09:15:04.999+01:00", "2026-03-02T08:15:04Z", "2026-03-02T08:15:03Z"},
		"as Salesforce does":    {"rfc3339", "2026-03-02T09:15:04.000+0000", "2026-03-02T09:15:04Z", "2026-03-02T09:15:03Z"},
		"seconds":               {"unix", "1772442904", "1772442904", "1772442903"},
		"seconds with parts":    {"unix", "1772442904.9", "1772442904", "1772442903"},
		"milliseconds":          {"unix_ms", "1772442904123", "1772442904123", "1772442904122"},
		"numbers beyond floats": {"integer", "9007199254740993", "9007199254740993", "9007199254740992"},
		"text":                  {"text", "a0b1", "a0b1", "a0b1"},
	} {
		s, err := newScale(webhook.Since{Format: c.format})
		if err != nil {
			t.Fatal(err)
		}
		s.start = mark{At: -1 << 60}
		m, err := s.parse(c.value)
		if err != nil || s.write(m) != c.since || s.write(s.back(m, s.unit())) != c.before {
			t.Errorf("%s: %s, before it %s, %v", name, s.write(m), s.write(s.back(m, s.unit())), err)
		}
	}
	s := scale{format: "unix"}
	for _, bad := range []string{"", "x", "99999999999999", "-99999999999999", "1e9"} {
		if m, err := s.parse(bad); err == nil {
			t.Errorf("%q is %v", bad, m)
		}
	}
	if got := s.write(s.back(mark{At: 5}, 100)); got != "0" {
		t.Errorf("before the start: %s", got)
	}
}
