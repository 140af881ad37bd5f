package config

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Problem is one thing wrong with a configuration. A struct's Validate builds them too:
//
//	return config.Problem{Field: "max_objects", Value: c.MaxObjects, Allowed: "at most 50 with legacy arrays"}
//
// and there Field may be the YAML key or the Go name of a field of that struct; [Load] puts the path
// of the struct before it and fills Env and Origin.
type Problem struct {
	Field string // path in the YAML file, such as "braze.linger"
	Env   string // environment variable that sets it, if any
	// Origin is where the bad value came from: "default", "sluice.yaml:12", "env BRAZE_LINGER",
	// "file named by BRAZE_API_KEY_FILE". Empty when nothing set the field.
	Origin string
	// Value is the bad value; nil when the trouble is that there is none. Of a secret it is never
	// more than a [Secret], which prints as "set" or "unset".
	Value any
	// Allowed says what would be right, or, where Value is nil, what to do.
	Allowed string
}

// Error is one line: the field, its variable, where the value came from, the value, what is allowed.
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(oneLine(p.Field))
	if p.Env != "" {
		fmt.Fprintf(&b, " (%s)", p.Env)
	}
	if p.Origin != "" && p.Origin != originDefault && p.Origin != "env "+p.Env {
		fmt.Fprintf(&b, " [%s]", oneLine(p.Origin))
	}
	switch value := p.Value.(type) {
	case nil:
		fmt.Fprintf(&b, ": %s", oneLine(p.Allowed))
		return b.String()
	case string:
		fmt.Fprintf(&b, ": %s", strconv.Quote(shortened(redactURLs(value))))
	default:
		fmt.Fprintf(&b, ": %s", oneLine(redactURLs(fmt.Sprint(value))))
	}
	fmt.Fprintf(&b, "; allowed: %s", oneLine(p.Allowed))
	return b.String()
}

// Problems is everything wrong with a configuration, in the order in which its fields are declared.
type Problems []Problem

// Error is a line per problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives errors.As and errors.Is each problem.
func (ps Problems) Unwrap() []error {
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errs
}

// flatten takes a Validate's error apart into the errors it joins.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, flatten(e)...)
		}
		return all
	}
	if _, ok := err.(Problem); ok { //nolint:errorlint // a Problem inside another error is found below
		return []error{err}
	}
	if inner := errors.Unwrap(err); inner != nil {
		var ps Problems
		var p Problem
		if errors.As(inner, &ps) || errors.As(inner, &p) {
			return flatten(inner)
		}
	}
	return []error{err}
}

const longestShown = 80

func shortened(s string) string {
	if runes := []rune(s); len(runes) > longestShown {
		return string(runes[:longestShown]) + "…"
	}
	return s
}

// oneLine keeps a message from being broken, or forged, by what it quotes.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.TrimSpace(s))
}

// userinfo is the part of a URL that may hold a password; greedy, since a password may hold an @.
var userinfo = regexp.MustCompile(`://[^\s"']*@`)

// redactURLs hides credentials that somebody put into an address.
func redactURLs(s string) string {
	if !strings.Contains(s, "@") {
		return s
	}
	return userinfo.ReplaceAllString(s, "://…@")
}
