// Package content is what an editor, or whoever answers for a campaign, asks about approved content: what
// would a message get now, and does everything that it would show exist?
//
//	read.go      content.items is read onto the same shelf that content-cacher serves from
//	check.go     each item in each locale, judged by the collection's rules
//	assets.go    the files that items show are asked for, a few at a time
//	snippet.go   the Connected Content tag for an item
//
// The shelf and the rules are content-cacher's own, so that what is said here is what it would serve.
package content

import (
	"fmt"
	"strings"
	"time"

	rules "github.com/sluicehq/sluice/pkg/content"
)

// Rules are a collections' file.
type Rules []*rules.Collection

// LoadRules reads the file that CONTENT_FILE names; without a path everything is as content-cacher has it
// without one. Secrets in it need not be there.
func LoadRules(path string) (Rules, error) {
	if path == "" {
		return rules.Parse([]byte(`collections: [{name: "*"}]`), "collections.yaml")
	}
	return rules.Load(path)
}

// Find returns the rules of a collection; nil where nobody may read it.
func (r Rules) Find(name string) *rules.Collection {
	for _, c := range r {
		if prefix, wild := strings.CutSuffix(c.Name, "*"); c.Name == name || wild && strings.HasPrefix(name, prefix) {
			return c
		}
	}
	return nil
}

// Subject is what is asked about: everything, a collection, or an item.
type Subject struct{ Collection, ID string }

// ParseSubject reads COLLECTION or COLLECTION/ID; nothing is everything. An id may hold slashes.
func ParseSubject(text string) (Subject, error) {
	name, id, item := strings.Cut(text, "/")
	if text != "" && name == "" || item && id == "" || strings.Contains(text, "#") {
		return Subject{}, fmt.Errorf("%q is neither COLLECTION nor COLLECTION/ID", text)
	}
	return Subject{name, id}, nil
}

func (s Subject) covers(collection, id string) bool {
	return (s.Collection == "" || s.Collection == collection) && (s.ID == "" || s.ID == id)
}

// Report is what was found.
type Report struct {
	At          time.Time    `json:"at"`
	Collections []Collection `json:"collections"`
	Problems    []Problem    `json:"problems"`
	// Ending are items that would not be shown any more soon, the first to end first.
	Ending []Ending `json:"ending"`
	Assets Assets   `json:"assets"`
}

// Collection is one, with all of its items that were asked about.
type Collection struct {
	Name  string         `json:"name"`
	Items []Item         `json:"items"`
	Now   map[string]int `json:"now"` // how many items and locales are in each state
}

// Item is an item in each locale that there is.
type Item struct {
	ID      string   `json:"id"`
	Locales []Locale `json:"locales"`
}

// Locale is an item in one locale, and what a message gets that asks for it now.
type Locale struct {
	Locale string    `json:"locale"` // empty for the item's own
	State  string    `json:"state"`  // shown, not_approved, not_yet, expired, withdrawn
	From   time.Time `json:"valid_from,omitzero"`
	Until  time.Time `json:"valid_until,omitzero"`
	Bytes  int       `json:"bytes"` // of the whole answer, before it is compressed
	// Gets is a locale where the item is served in that, own, default, or nothing.
	Gets string `json:"gets"`
}

// What a message gets where it is in no locale.
const (
	GetsOwn     = "own"
	GetsDefault = "default"
	GetsNothing = "nothing"
)

// Problem is something to be put right, or where Grave is not set, to be looked at.
type Problem struct {
	Collection string `json:"collection"`
	ID         string `json:"id,omitzero"`
	Locale     string `json:"locale,omitzero"`
	What       string `json:"what"`
	Detail     string `json:"detail"`
	URL        string `json:"url,omitzero"`
	Grave      bool   `json:"grave"`
}

// What can be wrong.
const (
	TooLarge    = "too_large"   // Braze does not take the answer
	Large       = "large"       // it is not far from that
	NoRule      = "no_rule"     // no rule of CONTENT_FILE names the collection, so that nobody can read it
	Unreadable  = "unreadable"  // content-cacher refuses the record
	Unreachable = "unreachable" // an asset is not there
	WrongType   = "wrong_type"  // it is of another type than the item says
	TooHeavy    = "too_heavy"   // it is larger than is wanted of its kind
)

// Ending is an item in a locale that ends soon.
type Ending struct {
	Collection string    `json:"collection"`
	ID         string    `json:"id"`
	Locale     string    `json:"locale"`
	Until      time.Time `json:"valid_until"`
	// Then is what a message gets from then on, as Gets.
	Then string `json:"then"`
}

// Grave counts problems that are to be put right.
func (r *Report) Grave() (n int) {
	for i := range r.Problems {
		if r.Problems[i].Grave {
			n++
		}
	}
	return n
}
