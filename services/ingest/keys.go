package ingest

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"golang.org/x/time/rate"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/quota"
)

// Key lets a source in. It is a Segment write key too.
type Key struct {
	Name    string        `yaml:"name" required:"true" doc:"who holds the key; the source of what comes in with it, unless sources says otherwise"`
	Key     config.Secret `yaml:"key" required:"true" doc:"the key itself"`
	Sources []string      `yaml:"sources" doc:"sources the key may speak for; the first is that of what does not name one; when left out, what may name a source may name any"`
	Erase   bool          `yaml:"erase" doc:"the key may ask for users to be deleted"`
}

// Keys are the keys that open the front door. As text they are a comma list of name:key or
// name:key:source|source, where a name alone is default, or a YAML list of {name, key, sources}.
type Keys []Key

// errKeys quotes nothing of what it is about.
var errKeys = errors.New("want name:key, name:key:source|source or name:key:source|source:erase, several with commas between, or a YAML list of name, key, sources and erase")

// UnmarshalText reads either form.
func (k *Keys) UnmarshalText(text []byte) error {
	text = bytes.TrimSpace(text)
	if len(text) > 0 && (text[0] == '-' || text[0] == '[') {
		return k.unmarshalYAML(text)
	}
	var keys Keys
	for entry := range strings.SplitSeq(string(text), ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		key := Key{Name: "default"}
		switch parts := strings.Split(entry, ":"); len(parts) {
		case 1:
			key.Key = config.Secret(parts[0])
		case 2:
			key.Name, key.Key = parts[0], config.Secret(parts[1])
		case 3:
			key.Name, key.Key, key.Sources = parts[0], config.Secret(parts[1]), strings.Split(parts[2], "|")
		case 4:
			if parts[3] != "erase" {
				return errKeys
			}
			key.Name, key.Key, key.Erase = parts[0], config.Secret(parts[1]), true
			if parts[2] != "" {
				key.Sources = strings.Split(parts[2], "|")
			}
		default:
			return errKeys
		}
		keys = append(keys, key)
	}
	*k = keys
	return nil
}

func (k *Keys) unmarshalYAML(text []byte) error {
	var list []struct {
		Name    string   `yaml:"name"`
		Key     string   `yaml:"key"`
		Sources []string `yaml:"sources"`
		Erase   bool     `yaml:"erase"`
	}
	if err := yaml.UnmarshalWithOptions(text, &list, yaml.Strict()); err != nil {
		return errKeys // the parser's own error shows the line, and with it the key
	}
	var keys Keys
	for _, l := range list {
		keys = append(keys, Key{Name: l.Name, Key: config.Secret(l.Key), Sources: l.Sources, Erase: l.Erase})
	}
	*k = keys
	return nil
}

// problems says which keys cannot be used, by their place in the list and never by their value.
func (k Keys) problems() []error {
	var problems []error
	say := func(i int, field, allowed string) {
		problems = append(problems, config.Problem{Field: fmt.Sprintf("keys[%d].%s", i, field), Allowed: allowed})
	}
	const nameRule = "1 to 100 letters, digits, dots, dashes or underscores"
	names, keys := map[string]bool{}, map[config.Secret]bool{}
	for i, key := range k {
		if !isName(key.Name) {
			say(i, "name", nameRule)
		}
		for _, source := range key.Sources {
			if !isName(source) {
				say(i, "sources", "each "+nameRule)
			}
		}
		if secret := key.Key.Reveal(); secret == "" || len(secret) > 512 || !isToken(secret) {
			say(i, "key", "1 to 512 printable ASCII characters without blanks")
		}
		if names[key.Name] {
			say(i, "name", "a name that no other key has")
		}
		if keys[key.Key] {
			say(i, "key", "a key that is not in the list already")
		}
		names[key.Name], keys[key.Key] = true, true
	}
	return problems
}

// maxName is the length of a source's name: a shop's domain is one, and may have 63 characters before its
// .myshopify.com.
const maxName = 100

// isName reports whether a text may be a source's name: in records, headers and metrics.
func isName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i] | 0x20
		if !('a' <= c && c <= 'z') && !('0' <= s[i] && s[i] <= '9') && s[i] != '.' && s[i] != '-' && s[i] != '_' {
			return false
		}
	}
	return 1 <= len(s) && len(s) <= maxName
}

// isToken reports whether a text can stand in a header whole.
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// holder is who holds a key, as the door knows them: by the key's hash, not by the key.
type holder struct {
	hash    [sha256.Size]byte
	source  string   // of what they send, unless it says otherwise
	sources []string // what it may say; any when empty
	header  []byte   // the source, for records
	salt    fingerprint
	limiter *rate.Limiter // nil for no limit
	counts  [len(routeNames)]counts

	mayErase bool
}

// ring finds the holder of a key.
type ring []*holder

func newRing(keys Keys, open bool, limit quota.Rate, w *window, m *metrics) ring {
	r := make(ring, len(keys))
	for i, k := range keys {
		source := k.Name
		if len(k.Sources) > 0 {
			source = k.Sources[0]
		}
		h := newHolder(source, k.Sources, w, m)
		h.mayErase = k.Erase || k.Key == wellKnownKey && !open
		h.hash = sha256.Sum256([]byte(k.Key.Reveal()))
		if !limit.IsZero() {
			h.limiter = rate.NewLimiter(rate.Limit(float64(limit.Count)/limit.Per.Seconds()), limit.Count)
		}
		r[i] = h
	}
	return r
}

// newHolder is somebody who sends as a source; sources are those that what they send may name instead,
// any when there are none.
func newHolder(source string, sources []string, w *window, m *metrics) *holder {
	h := &holder{source: source, sources: sources, header: []byte(source), salt: w.fingerprint(fingerprint{}, source)}
	for route := range h.counts {
		h.counts[route] = m.countsOf(route, source)
	}
	return h
}

// checkSources refuses the items that name a source for which the holder may not speak.
func (h *holder) checkSources(items []item) {
	for i := range items {
		source := *items[i].source()
		if source == "" || source == h.source || len(h.sources) == 0 || slices.Contains(h.sources, source) {
			continue
		}
		items[i].refuse(problem{why: notYourSource, field: "source"})
	}
}

// find returns the holder of a key, or nil. It compares hashes, and always all of them, so that the
// time it takes tells nothing about a key.
func (r ring) find(key []byte) *holder {
	if len(key) == 0 {
		return nil
	}
	hash := sha256.Sum256(key)
	var found *holder
	for _, h := range r {
		if subtle.ConstantTimeCompare(hash[:], h.hash[:]) == 1 {
			found = h
		}
	}
	return found
}
