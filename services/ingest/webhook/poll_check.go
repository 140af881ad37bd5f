package webhook

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/services/ingest/feed"
)

// problems are what is wrong beside the programs.
func (p *Poll) problems() []error {
	var all []error
	say := func(field, allowed string) { all = append(all, problem("poll."+field, allowed)) }
	oneOf := func(field, value string, allowed ...string) {
		if !slices.Contains(allowed, value) {
			say(field, "one of "+listed(allowed))
		}
	}
	oneOf("method", p.Method, "GET", "POST")
	oneOf("paging.kind", p.Paging.Kind, PagingNone, PagingLink, PagingCursor, PagingPage, PagingOffset)
	oneOf("since.format", p.Since.Format, SinceRFC3339, SinceUnix, SinceUnixMS, SinceInteger, SinceText)
	if p.Body != "" && p.Method != "POST" {
		say("body", "only with method POST")
	}
	for _, field := range []struct{ name, text string }{{"items", p.Items}, {"id", p.ID}} {
		if strings.TrimSpace(field.text) == "" && !p.IsFeed() {
			say(field.name, "required: a jq program")
		}
	}
	for _, d := range []struct {
		name string
		is   time.Duration
	}{{"every", p.Every}, {"timeout", p.Timeout}} {
		if d.is < 100*time.Millisecond {
			say(d.name, "at least 100ms")
		}
	}
	if p.FullEvery != 0 && p.FullEvery < p.Every {
		say("full_every", "no less than every")
	}
	if p.MaxBytes < 1 || p.MaxPages < 1 {
		say("max_bytes", "max_bytes and max_pages of at least 1")
	}
	all = append(all, p.feedProblems()...)
	gone := p.Deleted != "" || p.Missing
	switch {
	case gone && p.Gone == "":
		say("gone", "required with deleted or missing: the program for what is no more")
	case !gone && p.Gone != "":
		say("gone", "only with deleted or missing")
	}
	if p.Missing && p.AsksSince() && p.FullEvery == 0 {
		say("full_every", "required with missing and {since}: only who sees everything sees what is missing")
	}
	return slices.Concat(all, p.pagingProblems(), p.sinceProblems(), p.Auth.problems())
}

func (p *Poll) feedProblems() []error {
	var all []error
	say := func(field, allowed string) { all = append(all, problem("poll."+field, allowed)) }
	formats := append([]string{formatJSON}, strings.Split(listed(feed.Formats()), ", ")...)
	if !slices.Contains(formats, p.Format) {
		say("format", "one of "+listed(formats))
	}
	if !p.IsFeed() {
		if p.MaxLoss != 0 {
			say("max_loss", "only with a feed")
		}
		return all
	}
	if p.MaxLoss < 1 || p.MaxLoss > 100 {
		say("max_loss", "from 1 to 100, in percent")
	}
	for _, not := range []struct {
		field string
		said  bool
	}{
		{"method", p.Method != "GET"},
		{"items", p.Items != ""},
		{"paging", p.Paging.Kind != PagingNone || p.Paging.Next != "" || p.Paging.More != ""},
		{"since", p.Since.Value != ""},
		{"deleted", p.Deleted != ""},
		{"full_every", p.FullEvery != 0},
	} {
		if not.said {
			say(not.field, "nothing with a feed, which is all there is")
		}
	}
	return all
}

func (p *Poll) pagingProblems() []error {
	var all []error
	say := func(field, allowed string) { all = append(all, problem("poll."+field, allowed)) }
	g := p.Paging
	placed := func(name string) bool { return strings.Contains(g.URL+g.Body, "{"+name+"}") }
	switch g.Kind {
	case PagingCursor:
		if g.Next == "" {
			say("paging.next", "required with kind cursor")
		}
		if !placed("cursor") {
			say("paging.url", "an address, or a body, with {cursor}")
		}
	case PagingPage, PagingOffset:
		if !placed(g.Kind) {
			say("paging.url", "an address, or a body, with {"+g.Kind+"}")
		}
		if strings.Contains(p.URL+p.Body, "{since}") && g.Sorted == nil {
			say("paging.sorted", "required where numbered pages have {since}: true if the oldest change comes first, else false")
		}
	}
	if counted := p.Since.Format == SinceInteger || p.Since.Format == SinceText; counted && strings.Contains(p.URL+p.Body, "{since}") &&
		g.Kind != PagingNone && !g.Lasting && (g.Sorted == nil || !*g.Sorted) {
		say("paging.sorted", "true with format integer or text: in no order nobody knows what changed while the round was under way")
	}
	if g.Lasting && g.Kind != PagingCursor {
		say("paging.lasting", "only with kind cursor")
	}
	if g.Sorted != nil && *g.Sorted && !strings.Contains(p.URL+p.Body, "{since}") {
		say("paging.sorted", "true only where a page can be asked for by {since}")
	}
	if g.Size < 0 || g.Start != nil && *g.Start < 0 {
		say("paging.size", "size and start are not negative")
	}
	if strings.Contains(p.URL+p.Body+g.URL+g.Body, "{limit}") && g.Size == 0 {
		say("paging.size", "required with {limit}")
	}
	return all
}

func (p *Poll) sinceProblems() []error {
	var all []error
	say := func(field, allowed string) { all = append(all, problem("poll."+field, allowed)) }
	switch {
	case strings.Contains(p.URL+p.Body+p.Paging.URL+p.Paging.Body, "{since}") && p.Since.Value == "":
		say("since.value", "required with {since}: a jq program over an item")
	case p.Since.Overlap == "":
	case p.Since.Format == SinceInteger:
		if n, err := strconv.ParseInt(p.Since.Overlap, 10, 64); err != nil || n < 0 {
			say("since.overlap", "a whole number with format integer")
		}
	case p.Since.Format == SinceText:
		say("since.overlap", "nothing with format text, of which nothing can be taken away")
	default:
		if d, err := time.ParseDuration(p.Since.Overlap); err != nil || d < 0 {
			say("since.overlap", "a duration such as 2m")
		}
	}
	return all
}

func (a *PollAuth) problems() []error {
	var all []error
	say := func(field, allowed string) { all = append(all, problem("poll.auth."+field, allowed)) }
	switch a.Scheme {
	case "":
		return nil
	case schemeBearer, schemeBasic, schemeHeader, schemeOAuth2:
	default:
		say("scheme", "one of bearer, basic, header, oauth2")
		return all
	}
	if a.SecretEnv == "" {
		say("secret_env", "required: the name of the variable that holds the secret")
	}
	if a.Scheme == schemeHeader && a.Header == "" {
		say("header", "required with scheme header")
	}
	if a.Scheme == schemeOAuth2 && (a.ClientIDEnv == "" || a.TokenURL == "") {
		say("token_url", "token_url and client_id_env are required with scheme oauth2")
	}
	return all
}
