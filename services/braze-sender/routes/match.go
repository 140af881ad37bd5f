package routes

import "strings"

// matcher is the part of a route that costs nothing: plain names and globs, no jq.
type matcher struct {
	topic   string
	events  patterns // names of events, types of commerce events, names of triggers; empty is any
	sources patterns // likewise
}

func (m *matcher) matches(r *Record) bool {
	return m.events.match(r.name()) && m.sources.match(r.source())
}

// patterns are names and globs of which one has to match; none at all match anything.
type patterns []string

func (ps patterns) match(s string) bool {
	for _, p := range ps {
		if p == s || isGlob(p) && glob(p, s) {
			return true
		}
	}
	return len(ps) == 0
}

// open says whether the patterns match names that do not stand in them.
func (ps patterns) open() bool {
	for _, p := range ps {
		if isGlob(p) {
			return true
		}
	}
	return len(ps) == 0
}

func isGlob(pattern string) bool { return strings.ContainsAny(pattern, "*?") }

// glob matches a pattern in which * is any run of bytes and ? is one. It is not path.Match, since
// names of events may hold slashes and brackets that mean nothing but themselves.
func glob(pattern, s string) bool {
	p, i := 0, 0
	star, from := -1, 0 // the last *, and where in s it stops taking
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0: // the last * takes one byte more
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// index finds the routes that a record's event may match without looking at the others: for nearly
// every record there are none, and that answer has to be cheap.
type index struct {
	named map[string][]*route // by each name that stands in some route, in the file's order
	open  []*route            // those that match other names too, in the file's order
}

func newIndex(routes []*route, topic string) index {
	x := index{named: map[string][]*route{}}
	for _, r := range routes {
		if r.match.topic != topic {
			continue
		}
		for _, p := range r.match.events {
			if !isGlob(p) {
				x.named[p] = nil
			}
		}
		if r.match.events.open() {
			x.open = append(x.open, r)
		}
	}
	for name := range x.named {
		for _, r := range routes {
			if r.match.topic == topic && r.match.events.match(name) {
				x.named[name] = append(x.named[name], r)
			}
		}
	}
	return x
}

// candidates are the routes that a record of this name may match.
func (x *index) candidates(name string) []*route {
	if list, ok := x.named[name]; ok {
		return list
	}
	return x.open
}
