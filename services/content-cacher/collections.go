package contentcacher

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/goccy/go-yaml"

	"github.com/sluicehq/sluice/pkg/config"
)

// Collections are the rules of a collections' file.
type Collections struct {
	List []*Collection `yaml:"collections"`
}

// Collection is how a collection is read.
type Collection struct {
	Name     string              `yaml:"name"`
	Bearer   config.Secret       `yaml:"bearer"`
	User     string              `yaml:"user"`
	Password config.Secret       `yaml:"password"`
	Cache    time.Duration       `yaml:"cache"`
	Locale   string              `yaml:"locale"`
	Locales  map[string][]string `yaml:"locales"`
	Default  object              `yaml:"default"`
	Catalog  bool                `yaml:"catalog"`

	credential [sha256.Size]byte // of the Authorization header that is asked for
	guarded    bool
	fresh      string // Cache-Control, for what may be shown so long
	answer     []byte // in place of what is not there; nil for none
	empty      []byte // in place of a list
}

// object is a JSON object that stands in YAML.
type object []byte

// UnmarshalYAML takes the text of the value.
func (o *object) UnmarshalYAML(text []byte) error {
	b, err := yaml.YAMLToJSON(text)
	if err != nil {
		return fmt.Errorf("reading a body: %w", err)
	}
	v := jsontext.Value(bytes.TrimSpace(b))
	if v.Kind() != '{' {
		return errors.New("a body is an object")
	}
	if err := v.Compact(); err != nil {
		return fmt.Errorf("reading a body: %w", err)
	}
	*o = object(v)
	return nil
}

// Braze keeps an answer of Connected Content for as long as its tag says, within these (braze-docs:
// connected_content, caching_responses).
const (
	shortestCache = 5 * time.Minute
	longestCache  = 4 * time.Hour
)

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
	c := new(Collections)
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading %s: %s", name, yaml.FormatError(err, false, true))
	}
	var problems config.Problems
	for i, col := range c.List {
		where := "collections[" + strconv.Itoa(i) + "]"
		problems = append(problems, col.prepare(where, lookup)...)
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

var names = regexp.MustCompile(`^([A-Za-z0-9._-]{1,64}|[A-Za-z0-9._-]{0,63}\*)$`)

func (c *Collection) prepare(where string, lookup func(string) (string, bool)) (problems config.Problems) {
	bad := func(field, value, allowed string) {
		problems = append(problems, config.Problem{Field: where + "." + field, Value: value, Allowed: allowed})
	}
	if !names.MatchString(c.Name) {
		bad("name", c.Name, "letters, digits, '.', '_', '-', up to 64, with or without a * at the end")
	}
	if c.Cache == 0 {
		c.Cache = shortestCache
	}
	if c.Cache < shortestCache || c.Cache > longestCache {
		bad("cache", c.Cache.String(), "5m to 4h, as Braze itself has it")
	}
	for _, s := range []struct {
		field string
		value *config.Secret
	}{{"bearer", &c.Bearer}, {"password", &c.Password}} {
		if err := resolve(s.value, lookup); err != nil {
			bad(s.field, "", err.Error())
		}
	}
	switch {
	case c.Bearer != "" && (c.User != "" || c.Password != ""):
		bad("bearer", "", "either a bearer token or a user and a password")
	case (c.User == "") != (c.Password == ""):
		bad("user", c.User, "both a user and a password, or neither")
	case c.Bearer != "":
		c.guard("Bearer " + string(c.Bearer))
	case c.User != "":
		c.guard("Basic " + base64.StdEncoding.EncodeToString([]byte(c.User+":"+string(c.Password))))
	}
	if c.Catalog && strings.HasSuffix(c.Name, "*") {
		bad("catalog", "true", "a collection with a name of its own")
	}
	c.fresh = c.freshness(c.Cache)
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

// chain is the locales to try for one that is asked for, in order: itself, what the rules say it falls
// back to or else its language, and the collection's own.
func (c *Collection) chain(locale string) []string {
	var chain []string
	if locale != "" {
		chain = append(chain, locale)
		if others, ok := c.Locales[locale]; ok {
			chain = append(chain, others...)
		} else if i := strings.LastIndexByte(locale, '-'); i > 0 {
			for ; i > 0; i = strings.LastIndexByte(locale[:i], '-') {
				chain = append(chain, locale[:i])
			}
		}
	}
	if c.Locale != "" && c.Locale != locale {
		chain = append(chain, c.Locale)
	}
	return chain
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
