package contentcacher

import (
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/content"
)

// Collections are the rules of a collections' file.
type Collections struct{ List []*Collection }

// Collection is how a collection is read.
type Collection struct {
	content.Collection

	credential [sha256.Size]byte // of the Authorization header that is asked for
	guarded    bool
	fresh      []string // Cache-Control, for what may be shown so long
	answer     []byte   // in place of what is not there; nil for none
	empty      []byte   // in place of a list
}

//go:embed collections.yaml
var shippedCollections []byte

// LoadCollections reads a collections' file, or the one that is shipped when path is empty; lookup finds
// variables of the environment. Its error names the file, the collection and the field.
func LoadCollections(path string, lookup func(string) (string, bool)) (*Collections, error) {
	text, name := shippedCollections, "collections.yaml"
	if path != "" {
		var err error
		if text, err = os.ReadFile(path); err != nil {
			return nil, fmt.Errorf("reading CONTENT_FILE: %w", err)
		}
		name = path
	}
	return parseCollections(text, name, lookup)
}

func parseCollections(text []byte, name string, lookup func(string) (string, bool)) (*Collections, error) {
	rules, err := content.Parse(text, name)
	if err != nil {
		return nil, err
	}
	c := new(Collections)
	var problems config.Problems
	for i, rule := range rules {
		col := &Collection{Collection: *rule}
		c.List = append(c.List, col)
		problems = append(problems, col.prepare(content.Where(i), lookup)...)
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("reading %s: %w", name, problems)
	}
	return c, nil
}

// Find returns the rules of a collection; nil where nobody may read it.
func (c *Collections) Find(name string) *Collection {
	for _, col := range c.List {
		if prefix, wild := strings.CutSuffix(col.Name, "*"); col.Name == name || wild && strings.HasPrefix(name, prefix) {
			return col
		}
	}
	return nil
}

// prepare fills in the secrets, and makes what is served in place of what is not there.
func (c *Collection) prepare(where string, lookup func(string) (string, bool)) (problems config.Problems) {
	for _, s := range []struct {
		field string
		value *config.Secret
	}{{"bearer", &c.Bearer}, {"password", &c.Password}} {
		if err := resolve(s.value, lookup); err != nil {
			problems = append(problems, config.Problem{Field: where + "." + s.field, Allowed: err.Error()})
		}
	}
	switch {
	case c.Bearer != "":
		c.guard("Bearer " + string(c.Bearer))
	case c.User != "":
		c.guard("Basic " + base64.StdEncoding.EncodeToString([]byte(c.User+":"+string(c.Password))))
	}
	c.fresh = []string{c.freshness(c.Cache)}
	if c.Default != nil {
		c.answer = append(append([]byte(`{"ok":true,"default":true,"id":"","version":"","locale":"","tags":[],"valid_until":"","body":`), c.Default...), `,"assets":[]}`...)
		c.empty = []byte(`{"ok":true,"default":true,"count":0,"items":[]}`)
	}
	return problems
}

func (c *Collection) guard(header string) {
	c.credential, c.guarded = sha256.Sum256([]byte(header)), true
}

// admits reports whether an Authorization header opens the collection. Sums are compared, so that neither
// the length nor the beginning of a credential can be found out by trying.
func (c *Collection) admits(header string) bool {
	if !c.guarded {
		return true
	}
	// The scheme's name may be written in any case.
	if scheme, rest, ok := strings.Cut(header, " "); ok {
		switch {
		case strings.EqualFold(scheme, "bearer"):
			header = "Bearer " + rest
		case strings.EqualFold(scheme, "basic"):
			header = "Basic " + rest
		}
	}
	sum := sha256.Sum256([]byte(header))
	return subtle.ConstantTimeCompare(sum[:], c.credential[:]) == 1
}

func (c *Collection) freshness(d time.Duration) string {
	whose := "public"
	if c.guarded {
		whose = "private"
	}
	return whose + ", max-age=" + strconv.FormatInt(int64(d/time.Second), 10)
}

var variable = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`)

// resolve fills in a secret that names a variable.
func resolve(s *config.Secret, lookup func(string) (string, bool)) error {
	m := variable.FindStringSubmatch(string(*s))
	if m == nil {
		return nil
	}
	if v, ok := lookup(m[1]); ok && v != "" {
		*s = config.Secret(v)
		return nil
	}
	path, ok := lookup(m[1] + "_FILE")
	if !ok || path == "" {
		return fmt.Errorf("%s or %s_FILE in the environment", m[1], m[1])
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("a file that can be read in %s_FILE: %w", m[1], err)
	}
	*s = config.Secret(strings.TrimSpace(string(b)))
	return nil
}
