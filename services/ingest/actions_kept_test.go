package ingest

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// A refusal is final to Braze, so that what cannot be unpacked is kept as it came.
func TestABodyThatCannotBeUnpackedIsKeptToo(t *testing.T) {
	for _, c := range []struct{ name, encoding, body string }{
		{"a charset taken for an encoding", "utf-8", `{"id":"1"}`},
		{"an encoding that is not known", "br", "\x0b\x02"},
		{"JSON that is said to be gzip", "gzip", `{"id":"1"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := brazeDoor(t, "", nil)
			for _, want := range []string{"rejected", "duplicate"} {
				w := d.ask("POST", "/v1/braze/webhooks/transactional-postback?key=k1&ws=eu", c.body, "Content-Encoding", c.encoding)
				if w.Code != 200 || !strings.Contains(w.Body.String(), want) {
					t.Fatalf("answered %d %s, want %s", w.Code, w.Body, want)
				}
			}
			if len(d.shelf.letters) != 1 || len(d.shelf.records) != 0 {
				t.Fatalf("%d letters and %d records", len(d.shelf.letters), len(d.shelf.records))
			}
			l, kept := d.shelf.letters[0], map[string]string{}
			for _, h := range l.Headers {
				kept[h.Key] = string(h.Value)
			}
			if string(l.Value) != c.body || kept["http-content-encoding"] != c.encoding || kept["http-query"] != "ws=eu" {
				t.Errorf("kept %q with %v", l.Value, kept)
			}
		})
	}
}

func TestTheCaseOfAnEncodingDoesNotMatter(t *testing.T) {
	d := brazeDoor(t, "", nil)
	if w := d.report(zipped(batchOf(opened("1", "u"))), "Content-Encoding", "GZIP"); w.Code != 200 || len(d.shelf.records) != 1 {
		t.Errorf("answered %d %s with %d records", w.Code, w.Body, len(d.shelf.records))
	}
}

// What is wrong with an idempotency_key does not make another id out of id, which is the user's here.
func TestAnIdempotencyKeyIsNeverPassedOver(t *testing.T) {
	for name, key := range map[string]string{
		"too long": strings.Repeat("k", MaxID), "on two lines": `a\n`,
	} {
		t.Run(name, func(t *testing.T) {
			d := brazeDoor(t, "", nil)
			for _, n := range []string{"1", "2", "1"} {
				d.ask("POST", "/v1/braze/webhooks/a", `{"idempotency_key":"`+key+n+`","id":"crm-1"}`, "X-Api-Key", "k1")
			}
			if n := len(d.shelf.records); n != 2 {
				t.Errorf("%d records of two actions, one of them sent twice", n)
			}
		})
	}
}

func TestTheRedactedIDOfAnEventMakesNoDoubles(t *testing.T) {
	d := brazeDoor(t, "", nil)
	if w := d.report(batchOf(opened("[REDACTED]", "a"), opened("[REDACTED]", "b"))); w.Code != 200 || len(d.shelf.records) != 2 {
		t.Errorf("answered %d %s with %d records", w.Code, w.Body, len(d.shelf.records))
	}
}

func TestWhatAProgramStumblesOverIsNotLogged(t *testing.T) {
	d := brazeDoor(t, "actions:\n  form:\n    identity: '.body.user | {external_id: .id}'\n    dedup: '.body.k | error'\n", nil)
	var log bytes.Buffer
	d.log = zerolog.New(&log).Level(zerolog.InfoLevel)
	w := d.ask("POST", "/v1/braze/webhooks/form", `{"user":"mara.lindqvist@shop.example","k":"crm-77"}`, "X-Api-Key", "k1")
	if w.Code != 200 || !strings.Contains(log.String(), `"action":"form"`) || strings.Contains(log.String(), "mara") || strings.Contains(log.String(), "crm-77") {
		t.Errorf("answered %d and logged %s", w.Code, &log)
	}
}

// What url.ParseQuery leaves out told two actions apart.
func TestAQueryThatCannotBeReadBelongsToWhatCameToo(t *testing.T) {
	d := brazeDoor(t, "", nil)
	for _, query := range []string{"user=1;x", "user=2;x", "user=10%zz", "user=11%zz", "user=1;x"} {
		d.ask("POST", "/v1/braze/webhooks/transactional-postback?key=k1&"+query, "", "X-Api-Key", "k1")
	}
	if n := len(d.shelf.records); n != 4 {
		t.Errorf("%d records of four actions, one of them sent twice", n)
	}
}
