package poll

import (
	"fmt"
	"net/url"
	"strings"
)

// nextLink finds the target of the link with the relation "next" in the values of Link headers (RFC
// 8288), or nothing. Targets are in angle brackets and may hold commas and semicolons; parameters are
// tokens or quoted, in any case, and rel may hold several relations. Links of other resources (anchor)
// are passed over.
func nextLink(values []string) string {
	for _, rest := range values {
		for {
			_, after, found := strings.Cut(rest, "<")
			if !found {
				break
			}
			target, params, closed := strings.Cut(after, ">")
			if !closed {
				break
			}
			var next bool
			next, rest = readParams(params)
			if next {
				return strings.TrimSpace(target)
			}
		}
	}
	return ""
}

// readParams reads the parameters of one link up to the comma that ends it, and reports whether they
// say that it is the next one.
func readParams(text string) (next bool, rest string) {
	related, foreign := false, false
	for {
		text = strings.TrimLeft(text, " \t")
		if text == "" {
			break
		}
		if text[0] == ',' {
			text = text[1:]
			break
		}
		text = strings.TrimLeft(text, "; \t")
		end := strings.IndexAny(text, "=;,")
		if end < 0 {
			text = ""
			break
		}
		name, value := strings.TrimSpace(text[:end]), ""
		if text = text[end:]; text[0] == '=' {
			value, text = readValue(strings.TrimLeft(text[1:], " \t"))
		}
		switch {
		case strings.EqualFold(name, "anchor"):
			foreign = true
		case strings.EqualFold(name, "rel") && !related: // only the first counts (RFC 8288, 3.3)
			related = true
			for relation := range strings.FieldsSeq(value) {
				next = next || strings.EqualFold(relation, "next")
			}
		}
	}
	return next && !foreign, text
}

// readValue reads a token or a quoted string.
func readValue(text string) (value, rest string) {
	if text == "" || text[0] != '"' {
		end := strings.IndexAny(text, ";,")
		if end < 0 {
			end = len(text)
		}
		return strings.TrimSpace(text[:end]), text[end:]
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			if i++; i < len(text) {
				b.WriteByte(text[i])
			}
		case '"':
			return b.String(), text[i+1:]
		default:
			b.WriteByte(text[i])
		}
	}
	return b.String(), ""
}

// within resolves the address of a next page. It must be on the host that we were told to ask: it will
// get our credentials.
func within(base *url.URL, address string) (string, error) {
	u, err := base.Parse(address)
	if err != nil {
		return "", fmt.Errorf("reading the address of the next page: %w", withoutURL(err))
	}
	if u.Scheme != base.Scheme || !strings.EqualFold(u.Host, base.Host) || u.User != nil {
		return "", fmt.Errorf("the next page is said to be at %s://%s, which is not where this source is", u.Scheme, u.Host)
	}
	u.Fragment = ""
	return u.String(), nil
}
