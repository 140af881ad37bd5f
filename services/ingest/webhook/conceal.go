package webhook

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// conceal blots out, in the body itself, the text of XML elements that nobody may see: Salesforce's SessionId opens
// the whole org. It looks at bytes and not at a parsed tree, since a body that cannot be parsed is kept as a dead letter
// all the same. What is not UTF-8 might hide a name from it, and is blotted out whole.
func conceal(body []byte, names []string) {
	if len(names) == 0 {
		return
	}
	if !utf8.Valid(body) || bytes.IndexByte(body, 0) >= 0 {
		blot(body)
		return
	}
	for rest := body; ; {
		open := bytes.IndexByte(rest, '<')
		if open < 0 {
			return
		}
		rest = rest[open+1:]
		end := bytes.IndexAny(rest, "/> \t\r\n<") // the last so that a heap of them is looked at once
		if end < 0 {
			return
		}
		local := rest[:end]
		if _, name, prefixed := bytes.Cut(local, []byte(":")); prefixed {
			local = name
		}
		if !slices.Contains(names, string(local)) {
			rest = rest[end:]
			continue
		}
		rest = blotElement(rest[end:], rest[:end])
	}
}

// blotElement blots out what follows an element's name, prefix and all, up to the tag that ends it, and returns what is
// behind that.
func blotElement(rest, name []byte) []byte {
	head := tagEnd(rest)
	switch {
	case head < 0:
		blot(rest)
		return nil
	case head > 0 && rest[head-1] == '/': // <SessionId xsi:nil="true"/>
		return rest[head+1:]
	}
	if bytes.IndexByte(rest[:head], '<') >= 0 { // the tag has no end: that is another's
		blot(rest[:head])
	}
	rest = rest[head+1:]
	for at := 0; ; {
		next := bytes.Index(rest[at:], []byte("</"))
		if next < 0 {
			blot(rest)
			return nil
		}
		at += next
		if tag, same := bytes.CutPrefix(rest[at+2:], name); same && (len(tag) == 0 || bytes.IndexByte([]byte("> \t\r\n"), tag[0]) >= 0) {
			blot(rest[:at])
			return rest[at:]
		}
		at += 2
	}
}

// tagEnd is where a tag ends; -1 where it does not. A > within a value is no end.
func tagEnd(rest []byte) int {
	quote := byte(0)
	for i, c := range rest {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return i
		}
	}
	return -1
}

// blot leaves white space where there was any, so that a body stays as readable as it was.
func blot(text []byte) {
	for i, c := range text {
		if c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			text[i] = '*'
		}
	}
}
