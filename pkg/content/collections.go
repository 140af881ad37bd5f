// Package content is what is said of collections of approved content in the file that CONTENT_FILE names:
// who may read them, what stands in for what is missing, and which are kept as catalogs in Braze. Several
// services read that file, each for what concerns it, and all of them hold it to the same rules.
package content

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/goccy/go-yaml"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/config"
)

// Collection is one rule of the file.
type Collection struct {
	Name     string              `yaml:"name"` // with a * at the end it stands for all that begin so
	Bearer   config.Secret       `yaml:"bearer"`
	User     string              `yaml:"user"`
	Password config.Secret       `yaml:"password"`
	Cache    time.Duration       `yaml:"cache"`
	Locale   string              `yaml:"locale"`
	Locales  map[string][]string `yaml:"locales"`
	Default  Object              `yaml:"default"`
	// Catalog keeps a catalog of the same name in Braze in step.
	Catalog bool `yaml:"catalog"`
	// Fields are the catalog's, by name: which of a body's there are, and of what type. Where it is empty there
	// are all, of the types that they are seen with first.
	Fields map[string]string `yaml:"fields"`
}

// Object is a JSON object that stands in YAML.
type Object []byte

// UnmarshalYAML takes the text of the value.
func (o *Object) UnmarshalYAML(text []byte) error {
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
	*o = Object(v)
	return nil
}

// Braze keeps an answer of Connected Content for as long as its tag says, within these (braze-docs:
// connected_content, caching_responses).
const (
	ShortestCache = 5 * time.Minute
	LongestCache  = 4 * time.Hour
)

// Load reads the file. Its error names the file, the collection and the field. Secrets are as they stand
// there: whoever asks for credentials fills in the variables that they name, and nobody else needs those.
func Load(path string) ([]*Collection, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading CONTENT_FILE: %w", err)
	}
	return Parse(text, path)
}

// Parse reads the text of such a file; name is what errors call it.
func Parse(text []byte, name string) ([]*Collection, error) {
	var file struct {
		List []*Collection `yaml:"collections"`
	}
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading %s: %s", name, yaml.FormatError(err, false, true))
	}
	var problems config.Problems
	for i, c := range file.List {
		if c == nil { // "- " and nothing behind it
			c = &Collection{}
			file.List[i] = c
		}
		problems = append(problems, c.check(Where(i))...)
		twice := func(other *Collection) bool { return other != nil && other.Catalog && other.Name == c.Name }
		if c.Catalog && slices.ContainsFunc(file.List[:i], twice) {
			problems = append(problems, config.Problem{Field: Where(i) + ".catalog", Value: "true", Allowed: "one rule for a catalog"})
		}
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("reading %s: %w", name, problems)
	}
	return file.List, nil
}

// Where is what errors call the rule of that number, from 0.
func Where(i int) string { return "collections[" + strconv.Itoa(i) + "]" }

var names = regexp.MustCompile(`^([A-Za-z0-9._-]{1,64}|[A-Za-z0-9._-]{0,63}\*)$`)

func (c *Collection) check(where string) (problems config.Problems) {
	bad := func(field, value, allowed string) {
		problems = append(problems, config.Problem{Field: where + "." + field, Value: value, Allowed: allowed})
	}
	if !names.MatchString(c.Name) {
		bad("name", c.Name, "letters, digits, '.', '_', '-', up to 64, with or without a * at the end")
	}
	c.Cache = cmp.Or(c.Cache, ShortestCache)
	if c.Cache < ShortestCache || c.Cache > LongestCache {
		bad("cache", c.Cache.String(), "5m to 4h, as Braze itself has it")
	}
	switch {
	case c.Bearer != "" && (c.User != "" || c.Password != ""):
		bad("bearer", "", "either a bearer token or a user and a password")
	case (c.User == "") != (c.Password == ""):
		bad("user", c.User, "both a user and a password, or neither")
	}
	switch {
	case c.Catalog && strings.HasSuffix(c.Name, "*"):
		bad("catalog", "true", "a collection with a name of its own")
	case c.Catalog:
		catalog := braze.NewCatalog{Name: c.Name, Fields: c.Columns()}
		switch v := catalog.Check(); {
		case v != nil && v.Field == "name":
			bad("catalog", "true", "a name that Braze takes, "+c.Name+" is none: "+v.Detail)
		case v != nil:
			bad("fields", v.Field, "what Braze takes: "+v.Error())
		}
	case len(c.Fields) > 0:
		bad("fields", "", "they are those of a catalog: catalog: true")
	}
	return problems
}

// Columns are the fields that the rule names as Braze has them: the id first, the others by name.
func (c *Collection) Columns() []braze.CatalogField {
	columns := []braze.CatalogField{{Name: "id", Type: "string"}}
	for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
		columns = append(columns, braze.CatalogField{Name: name, Type: c.Fields[name]})
	}
	return columns
}

// Chain is the locales to try for one that is asked for, in order: itself, what the rules say it falls
// back to or else its language, and the collection's own.
func (c *Collection) Chain(locale string) []string { return c.AppendChain(nil, locale) }

// AppendChain appends what Chain returns.
func (c *Collection) AppendChain(chain []string, locale string) []string {
	if locale != "" {
		chain = append(chain, locale)
		if others, ok := c.Locales[locale]; ok {
			chain = append(chain, others...)
		} else {
			for i := strings.LastIndexByte(locale, '-'); i > 0; i = strings.LastIndexByte(locale[:i], '-') {
				chain = append(chain, locale[:i])
			}
		}
	}
	if c.Locale != "" && c.Locale != locale {
		chain = append(chain, c.Locale)
	}
	return chain
}
