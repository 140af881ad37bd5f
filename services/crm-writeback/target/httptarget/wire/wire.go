// Package wire is what targets that speak HTTP do alike: words of a far end made fit to be read, what it means that no
// answer came, and tokens that run out.
package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/sluicehq/sluice/pkg/quota"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// Reasons of answers that mean the same of every far end.
const (
	Unauthorized = "unauthorized"
	Forbidden    = "forbidden"
	NotFound     = "not_found"
	Redirected   = "redirected"
	RateLimited  = "rate_limited"
	Unavailable  = "unavailable"
	Locked       = "locked"
	Conflict     = "conflict"
	TooLarge     = "too_large"
	Rejected     = "rejected"
	Missing      = "missing"
	Unreadable   = "unreadable_answer"
	Unusable     = "request_not_accepted" // the way we ask is wrong, not what is in it
	Unexpected   = "unexpected_status"
	Unreachable  = "unreachable"
	Timeout      = "timeout"
	Certificate  = "certificate"
	Interrupted  = "interrupted"
)

// MaxWords bounds what is kept of an answer for people to read, in bytes.
const MaxWords = 2 << 10

// Printable is the beginning of an answer as it may stand in a log or a dead letter: on one line, nothing in it that a
// terminal obeys.
func Printable(text string) string {
	cut := len(text) > MaxWords
	if cut {
		text = text[:MaxWords]
	}
	clean := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	clean = strings.Join(strings.Fields(clean), " ")
	if cut {
		clean += "…"
	}
	return clean
}

// Status is a status as people know it, with the far end's words behind it where there are any.
func Status(status int, words string) string {
	text := "answered " + strconv.Itoa(status)
	if name := http.StatusText(status); name != "" {
		text += " " + name
	}
	if words = Printable(words); words != "" {
		text += ": " + words
	}
	return text
}

// Word makes of a far end's word for an error a reason in snake_case of at most 40 letters; fallback where it is no word.
func Word(text, fallback string) string {
	const longest = 40
	if text == "" || len(text) > longest {
		return fallback
	}
	word := []byte(strings.ToLower(text))
	for i, c := range word {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '_':
		case c == '-' || c == '.' || c == ' ':
			word[i] = '_'
		default:
			return fallback
		}
	}
	return string(word)
}

// Halted is the answer for rows of which none is at fault.
func Halted(reason, detail string) target.Answer {
	a := target.Deferred(reason, detail, 0)
	a.Halt = true
	return a
}

// RejectedOf is the answer where the content was not taken: of one row it is final, of several nobody knows which is meant.
func RejectedOf(rows int, reason, detail string) target.Answer {
	if rows > 1 {
		a := target.Deferred(reason, detail, 0)
		a.Split = true
		return a
	}
	return target.Refused(reason, detail)
}

// Away is the answer to a redirect, which is not followed: credentials go with every request.
func Away(status int, h http.Header) target.Answer {
	where := "nowhere"
	if u, err := url.Parse(h.Get("Location")); err == nil && h.Get("Location") != "" {
		where = "another path on the same host"
		if u.Host != "" { // the rest may have secrets in it
			where = Printable(u.Scheme + "://" + u.Host)
		}
	}
	return Halted(Redirected, Status(status, "")+": it sends us on to "+where+", which is not followed")
}

// RetryAfter is how long headers ask us to stay away, an hour at most; 0 where they do not.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	return quota.ParseHeaders(http.Header{"Retry-After": h["Retry-After"], "Date": h["Date"]}, now).Wait(now)
}

// NoAnswer is what it means that no answer came: ctx is the caller's, bounded the one with the timeout.
func NoAnswer(ctx, bounded context.Context, err error) target.Answer {
	var certificate *tls.CertificateVerificationError
	var late interface{ Timeout() bool }
	words := Printable(withoutURL(err).Error())
	switch {
	case ctx.Err() != nil:
		return target.Deferred(Interrupted, "", 0)
	case bounded.Err() != nil, errors.As(err, &late) && late.Timeout():
		return target.Deferred(Timeout, "no answer in time", 0)
	case errors.As(err, &certificate):
		return Halted(Certificate, words)
	}
	return target.Deferred(Unreachable, words, 0)
}

// withoutURL is an error without the address that net/http and net/url put into theirs: there may be a key or a
// customer in it.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return withoutURL(u.Err)
	}
	return err
}
