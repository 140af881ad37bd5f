package ingest

import (
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sluicehq/sluice/pkg/config"
)

// Tokens are those that Braze's connectors may send; several, so that one can be replaced without a moment in
// which none is right. As text they stand apart by commas or on lines of their own.
type Tokens []config.Secret

// UnmarshalText reads them.
func (t *Tokens) UnmarshalText(text []byte) error {
	*t = nil
	for token := range strings.FieldsFuncSeq(string(text), func(r rune) bool { return r == ',' || r == '\n' || r == '\r' }) {
		if token = strings.TrimSpace(token); token != "" {
			*t = append(*t, config.Secret(token))
		}
	}
	return nil
}

// open reports whether a text is one of the tokens. It compares all, so that the time tells nothing.
func (t Tokens) open(given string) bool {
	fits := false
	for _, token := range t {
		fits = token.Equal(given) || fits
	}
	return fits
}

// problems says which tokens no connector can send, by their place and never by their value.
func (t Tokens) problems() []error {
	var problems []error
	for i, token := range t {
		if secret := token.Reveal(); secret == "" || len(secret) > 512 || !isToken(secret) {
			problems = append(problems, config.Problem{
				Field: "currents_tokens[" + strconv.Itoa(i) + "]", Allowed: "1 to 512 printable ASCII characters without blanks",
			})
		}
	}
	return problems
}

// sparing lets something happen once a minute at most.
type sparing struct{ last atomic.Int64 }

func (s *sparing) allows(now time.Time) bool {
	last := s.last.Load()
	return now.Unix()-last >= 60 && s.last.CompareAndSwap(last, now.Unix())
}
