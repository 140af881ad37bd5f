package webhook

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// given is what a request brings to prove itself.
type given struct {
	timestamp  string // as it was sent, since that is what was signed
	signatures []string
	headers    string // for {signed_headers}
}

var (
	errNoSignature = errors.New("there is no signature")
	errNoTimestamp = errors.New("there is no timestamp that can be read")
	errUnsigned    = errors.New("a header that has to be signed, such as the timestamp, is not among the signed headers")
)

// maxSignatures bounds what one header can make us compare.
const maxSignatures = 16

// read takes what the request gives out of its headers.
func (a *Auth) read(r *Request) (given, error) {
	var g given
	header := ""
	for _, name := range a.Header {
		if header = r.Header.Get(name); header != "" {
			break
		}
	}
	switch a.Form {
	case formPairs:
		g = readPairs(header, a.Fields)
	case formList:
		g = readList(header)
	default:
		if header != "" {
			g.signatures = []string{header}
		}
	}
	if a.TimestampHeader != "" {
		g.timestamp = r.Header.Get(a.TimestampHeader)
	}
	if a.SignedHeaders != "" {
		list := r.Header.Get(a.SignedHeaders)
		for _, name := range slices.Concat(a.MustSign, Names{a.TimestampHeader}) {
			if name != "" && !names(list, name) {
				return given{}, errUnsigned
			}
		}
		g.headers = signedHeaders(r, list)
	}
	if a.Prefix != "" {
		g.signatures = slices.DeleteFunc(g.signatures, func(s string) bool { return !strings.HasPrefix(s, a.Prefix) })
		for i, s := range g.signatures {
			g.signatures[i] = s[len(a.Prefix):]
		}
	}
	if len(g.signatures) == 0 {
		return given{}, errNoSignature
	}
	return g, nil
}

// names reports whether a comma list has a header's name.
func names(list, header string) bool {
	for name := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(name), header) {
			return true
		}
	}
	return false
}

// readPairs reads k=v with commas between, such as Stripe's t=1767225605,v1=…,v0=…: names that are not
// asked for are passed over, so that a weaker scheme beside a stronger one counts for nothing. A
// timestamp that comes twice is none: one of the two might not be the signed one.
func readPairs(header string, fields Fields) (g given) {
	times := 0
	for pair := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(pair, "=")
		switch name = strings.TrimSpace(name); {
		case name == "":
		case name == fields.Timestamp:
			g.timestamp = strings.TrimSpace(value)
			times++
		case name == fields.Signature && len(g.signatures) < maxSignatures:
			g.signatures = append(g.signatures, strings.TrimSpace(value))
		}
	}
	if times > 1 {
		g.timestamp = ""
	}
	return g
}

// readList reads a timestamp and the signatures behind it (Recurly).
func readList(header string) (g given) {
	timestamp, rest, found := strings.Cut(header, ",")
	g.timestamp = strings.TrimSpace(timestamp)
	if !found {
		return g
	}
	for signature := range strings.SplitSeq(rest, ",") {
		if len(g.signatures) == maxSignatures {
			break
		}
		g.signatures = append(g.signatures, strings.TrimSpace(signature))
	}
	return g
}

// readTime reads a timestamp in its unit.
func readTime(text, unit string) (time.Time, error) {
	if unit == "rfc3339" {
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return time.Time{}, errNoTimestamp
		}
		return t, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil || n <= 0 || n > latestMillis:
		return time.Time{}, errNoTimestamp
	case unit == "ms":
		return time.UnixMilli(n), nil
	case n > latestMillis/1000:
		return time.Time{}, errNoTimestamp
	}
	return time.Unix(n, 0), nil
}

// latestMillis is the end of the year 9999, beyond which RFC 3339 cannot write.
const latestMillis = 253_402_300_799_999
