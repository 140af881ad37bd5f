package poll

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// heedFile drops of a checkpoint what another file of sources has left there and this one would
// misunderstand: places of pages, where the source is asked in another way; and what has been seen, where
// marks are of something else, so that everything is read anew.
func (w *worker) heedFile() {
	s := &w.state
	asked, scale := askedBy(w.polling), scaleOf(w.polling)
	if s.Asked != "" && s.Asked != asked {
		w.log.Warn().Msg("the source is asked in another way than when it was asked last: the round begins anew")
		s.Round, s.Cursor, s.Validators = nil, "", validators{}
	}
	if s.Scale != "" && s.Scale != scale {
		w.log.Warn().Str("was", s.Scale).Str("is", scale).Msg("since.value is something else than it was: everything is read anew")
		s.Since, s.Recent, s.Round, s.Cursor = mark{}, recent{}, nil, ""
		s.Begun, s.Whole = time.Time{}, time.Time{}
	}
	s.Asked, s.Scale = asked, scale
}

// askedBy is a hash of all that says where pages are.
func askedBy(p *webhook.Polling) string {
	text, err := json.Marshal([]any{p.URL, p.Method, p.Body, p.Paging, p.Since}, json.Deterministic(true))
	if err != nil { // of texts and numbers it is none
		return ""
	}
	return hashOf(string(text))
}

// scaleOf says what marks are of. Times are times, whatever member they stand in and however they are written.
func scaleOf(p *webhook.Polling) string {
	switch p.Since.Format {
	case webhook.SinceInteger, webhook.SinceText:
		return p.Since.Format + " " + p.Since.Value
	}
	return "time"
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}
