package webhook

import (
	"errors"
	"io"
	"slices"
	"strings"
)

// template is a text to be signed.
type template []part

// part is fixed text, or a place for something of the request.
type part struct {
	kind partKind
	text string // of fixed text; the header's name of partHeader
}

type partKind int

const (
	partText partKind = iota
	partBody
	partTimestamp
	partMethod
	partURL
	partPath
	partSecret
	partSignedHeaders
	partHeader
)

var placeholders = map[string]partKind{
	"body": partBody, "timestamp": partTimestamp, "method": partMethod, "url": partURL, "path": partPath,
	"secret": partSecret, "signed_headers": partSignedHeaders,
}

var errTemplate = errors.New("a text with the placeholders {body}, {timestamp}, {method}, {url}, {path}, {secret}, {signed_headers}, {header:Name}")

func parseTemplate(text string) (template, error) {
	var t template
	for text != "" {
		before, rest, found := strings.Cut(text, "{")
		if before != "" {
			t = append(t, part{partText, before})
		}
		if !found {
			break
		}
		name, after, closed := strings.Cut(rest, "}")
		kind, known := placeholders[name]
		header, isHeader := strings.CutPrefix(name, "header:")
		switch {
		case !closed:
			return nil, errTemplate
		case known:
			t = append(t, part{kind: kind})
		case isHeader && header != "":
			t = append(t, part{partHeader, header})
		default:
			return nil, errTemplate
		}
		text = after
	}
	return t, nil
}

func (t template) has(kind partKind) bool {
	return slices.ContainsFunc(t, func(p part) bool { return p.kind == kind })
}

// write gives a hash the text. Nothing is put together first: a body may be large.
func (t template) write(h io.Writer, r *Request, given given, secret, url string) {
	for _, p := range t {
		switch p.kind {
		case partText:
			_, _ = io.WriteString(h, p.text) // a hash takes everything
		case partBody:
			_, _ = h.Write(r.Body)
		case partTimestamp:
			_, _ = io.WriteString(h, given.timestamp)
		case partMethod:
			_, _ = io.WriteString(h, r.Method)
		case partURL:
			_, _ = io.WriteString(h, url)
		case partPath:
			_, _ = io.WriteString(h, r.URL.EscapedPath())
		case partSecret:
			_, _ = io.WriteString(h, secret)
		case partSignedHeaders:
			_, _ = io.WriteString(h, given.headers)
		case partHeader:
			_, _ = io.WriteString(h, r.Header.Get(p.text))
		}
	}
}

// signedHeaders writes the headers that a list names as name:value, sorted, with semicolons between
// (contentful: request verification).
func signedHeaders(r *Request, list string) string {
	var lines []string
	for name := range strings.SplitSeq(list, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		if len(lines) == maxSignedHeaders {
			break
		}
		lines = append(lines, name+":"+strings.TrimSpace(r.Header.Get(name)))
	}
	slices.Sort(lines)
	return strings.Join(lines, ";")
}

const maxSignedHeaders = 64
