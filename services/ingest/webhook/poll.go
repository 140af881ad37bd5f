package webhook

import (
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/quota"
)

// Poll is how a source is asked, where it does not call by itself, or does not tell everything when it
// does. Each of its items is then a message to the source's programs: its JSON is .body, and .polled is
// true.
//
// URL, Body and those of Paging hold placeholders: {since}, {cursor}, {page}, {offset}, {limit}. They
// and the headers may hold ${NAME} or ${NAME:-default} too, from the environment. A source whose
// variables or secrets are not there is not polled.
type Poll struct {
	URL     string            `yaml:"url"`
	Method  string            `yaml:"method"` // GET (the default) or POST
	Body    string            `yaml:"body"`   // JSON, for POST
	Headers map[string]string `yaml:"headers"`
	Auth    PollAuth          `yaml:"auth"`

	// Every is the time from the beginning of one round to that of the next; 5m.
	Every time.Duration `yaml:"every"`
	// FullEvery is how often a source that has Since is read from its start again all the same, to see
	// what is not there any more; never when it is left out.
	FullEvery time.Duration `yaml:"full_every"`
	// Timeout is that of one page, 30s; of a feed 15m.
	Timeout time.Duration `yaml:"timeout"`

	// Format is what an answer is: json (the default), or a feed of rows in one of the formats of package
	// feed: xml, csv, tsv, jsonl. A feed is a snapshot, of which only the differences are told: Items, Paging,
	// Since and Deleted are not for it, ID is .id and Missing true, and Gone is needed. What is read of it is
	// read twice, so that nothing is told of one that turns out to be broken.
	Format string `yaml:"format"`
	// MaxLoss is how much of what a feed had may be missing at once, in percent: 30. When there is more, or
	// nothing left at all, it is not believed.
	MaxLoss int `yaml:"max_loss"`
	// Rate is what we allow ourselves, such as 10/1s. What they say of their limits is obeyed anyhow.
	Rate quota.Rate `yaml:"rate"`
	// MaxBytes bounds a page, decompressed: 16 MiB; a feed: 4 GiB. MaxPages bounds a round: 100,000.
	MaxBytes int64 `yaml:"max_bytes"`
	MaxPages int   `yaml:"max_pages"`

	// Items yields the items of a page: one array, or each of them.
	Items  string `yaml:"items"`
	Paging Paging `yaml:"paging"`
	Since  Since  `yaml:"since"`

	// ID and Version are of an item: the event id of what it becomes is made of them, so that the same
	// version of an item is the same event however often it is read. A hash of the item stands in for a
	// version that it does not have; of an item that is read whole and has changed, or has been gone, the
	// beginning of the round is part of the event id too, since it may be once more what it was.
	ID      string `yaml:"id"`
	Version string `yaml:"version"`

	// Deleted holds for an item that says of something that it is no more. Missing says that what a
	// round over everything does not show any more, twice in a row, is no more either. Gone is the
	// program for both, in the place of those in Map; .body is the item, or {"id": …} of what is missing.
	Deleted string `yaml:"deleted"`
	Missing bool   `yaml:"missing"`
	Gone    string `yaml:"gone"`
}

// PollAuth is how we say who we are.
type PollAuth struct {
	// Scheme is one of
	//
	//	bearer  Authorization: Bearer SECRET
	//	basic   user:password
	//	header  SECRET in Header, behind Prefix
	//	oauth2  a token for client credentials from TokenURL, renewed by itself
	//
	// or left out, for an API that asks nobody.
	Scheme string `yaml:"scheme"`
	// SecretEnv names the variable that holds the secret (as NAME_FILE: a file): the token, user:password,
	// the header's value, or the client's secret.
	SecretEnv string `yaml:"secret_env"`
	Header    string `yaml:"header"`
	Prefix    string `yaml:"prefix"`

	ClientIDEnv string            `yaml:"client_id_env"`
	TokenURL    string            `yaml:"token_url"`
	Scopes      []string          `yaml:"scopes"`
	Params      map[string]string `yaml:"params"` // such as audience
}

// Paging is how one gets from a page to the next.
type Paging struct {
	// Kind is one of
	//
	//	none    there is one page (the default)
	//	link    a header Link with rel="next" (RFC 8288), or the URL that Next yields
	//	cursor  Next yields the {cursor} of the next page
	//	page    pages are numbered: {page}
	//	offset  so many items are passed over: {offset}
	Kind string `yaml:"kind"`
	// Next is a program over the page. No value, null or "" is the end.
	Next string `yaml:"next"`
	// More, a program over the page, says whether there is another. Without it numbered pages end with
	// one that has less than Size items, or with an empty one where Size is not said.
	More string `yaml:"more"`
	// URL and Body are of the pages behind the first, where they are asked for in another way.
	URL   string `yaml:"url"`
	Body  string `yaml:"body"`
	Start *int   `yaml:"start"` // number of the first page, 1; of the first item, 0
	Size  int    `yaml:"size"`  // {limit}

	// Sorted says that items come in the order of Since, oldest first. An item that changes while we
	// read then moves to the end, and all behind it move up: over the edge of a page, where nobody sees
	// them. So the next page is asked for by the last change seen, and by number only where a whole page
	// has the same. Numbered pages of a source with Since must say true or false.
	Sorted *bool `yaml:"sorted"`
	// Lasting says that the cursor behind the last page is good for the next round.
	Lasting bool `yaml:"lasting"`
}

// Since is how to ask for what has changed only.
type Since struct {
	// Value is of an item: when it changed, or its number in the sequence of changes.
	Value string `yaml:"value"`
	// Format is that of Value and of {since}: rfc3339 (the default), unix, unix_ms, integer, text.
	Format string `yaml:"format"`
	// Overlap is how far before the last change seen the next round begins, for what came to light late:
	// a duration (2m), or for format integer a number (0).
	Overlap string `yaml:"overlap"`
	// Start is what the first round begins with; all there is when it is left out.
	Start string `yaml:"start"`
}

// The kinds of Paging.
const (
	PagingNone   = "none"
	PagingLink   = "link"
	PagingCursor = "cursor"
	PagingPage   = "page"
	PagingOffset = "offset"
)

// The formats of Since.
const (
	SinceRFC3339 = "rfc3339"
	SinceUnix    = "unix"
	SinceUnixMS  = "unix_ms"
	SinceInteger = "integer"
	SinceText    = "text"
)

// The schemes of PollAuth that webhooks do not have too.
const (
	schemeHeader = "header"
	schemeOAuth2 = "oauth2"
)

func (p *Poll) settle() {
	if p.URL == "" {
		return
	}
	orElse(&p.Method, "GET")
	orElse(&p.Format, formatJSON)
	if p.IsFeed() {
		orElse(&p.Timeout, 15*time.Minute)
		orElse(&p.MaxBytes, 4<<30)
		orElse(&p.MaxLoss, 30)
		orElse(&p.ID, ".id")
		p.Missing = true
	}
	orElse(&p.Every, 5*time.Minute)
	orElse(&p.Timeout, 30*time.Second)
	orElse(&p.MaxBytes, 16<<20)
	orElse(&p.MaxPages, 100_000)
	orElse(&p.Paging.Kind, PagingNone)
	orElse(&p.Paging.URL, p.URL)
	orElse(&p.Paging.Body, p.Body)
	orElse(&p.Since.Format, SinceRFC3339)
	switch p.Since.Format {
	case SinceInteger:
		orElse(&p.Since.Overlap, "0")
		orElse(&p.Since.Start, "0")
	case SinceText:
	default:
		orElse(&p.Since.Overlap, "2m")
	}
	if p.Paging.Start == nil {
		first := 0
		if p.Paging.Kind == PagingPage {
			first = 1
		}
		p.Paging.Start = &first
	}
}

// IsFeed reports whether an answer is a snapshot in rows.
func (p *Poll) IsFeed() bool { return p.Format != "" && p.Format != formatJSON }

// AsksSince reports whether a request says since when, so that a round need not bring everything.
func (p *Poll) AsksSince() bool { return strings.Contains(p.URL+p.Body, "{since}") || p.Paging.Lasting }
