package content

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	rules "github.com/sluicehq/sluice/pkg/content"
)

// Placeholder is the address in a tag that nobody has given one.
const Placeholder = "https://YOUR-CONTENT-HOST"

// ReadersLocale in the place of a locale is the language of whoever gets the message.
const ReadersLocale = "user"

// Snippet is what a Connected Content tag is made of.
type Snippet struct {
	About  Subject // an item
	Rule   *rules.Collection
	Locale string // empty for the collection's own, ReadersLocale for the reader's
	URL    string // of the content's host; Placeholder when empty
	Save   string // the name of the variable; content when empty
	// Credential is the name under which Braze keeps the collection's credential. Empty for a made-up one, to
	// be kept under that name.
	Credential string
	// Headers puts a placeholder of the credential into the tag instead.
	Headers bool
}

// Tag is the text to paste (braze-docs: connected_content), and notes for whoever pastes it. There is no
// credential in it, whatever the rules hold.
func (s Snippet) Tag() (text string, notes []string, err error) {
	base, err := s.base()
	if err != nil {
		return "", nil, err
	}
	name := s.Save
	if name == "" {
		name = "content"
	}
	address := base + "/v1/content/" + url.PathEscape(s.About.Collection) + "/" + url.PathEscape(s.About.ID)
	switch s.Locale {
	case "":
	case ReadersLocale:
		address += "?locale={{${language} | url_param_escape}}"
	default:
		address += "?locale=" + url.QueryEscape(s.Locale)
	}
	tag := "{% connected_content " + address + " :cache_max_age " + strconv.Itoa(int(s.Rule.Cache/time.Second)) + " :retry"
	auth, note := s.auth()
	tag += auth + " :save " + name + " %}\n"
	notes = append(notes, note...)
	if base == Placeholder {
		notes = append(notes, "put the address of your content host in the place of "+Placeholder+", or say it with --url")
	}
	if s.Rule.Default != nil {
		body, err := s.withDefaults(name)
		if err != nil {
			return "", nil, err
		}
		notes = append(notes, "what stands behind default: is used when no answer comes; when there is no such item the answer has the same")
		return tag + body, notes, nil
	}
	notes = append(notes,
		"a message is aborted where there is nothing to show; Braze then retries nothing, so leave the abort out where :retry matters more")
	return tag + "{% if " + name + " == nil or " + name + ".ok != true %}{% abort_message('no content: " + s.plainly() + "') %}{% endif %}\n" +
		"{{" + name + ".body.FIELD}}\n", notes, nil
}

// base is the beginning of every URL.
func (s Snippet) base() (string, error) {
	if s.URL == "" {
		return Placeholder, nil
	}
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", errors.New("want an address such as https://content.example.com, without credentials or a query")
	}
	if port := u.Port(); port != "" && port != "443" && port != "80" {
		return "", fmt.Errorf("port %s: Braze asks ports 80 and 443 only", port)
	}
	return strings.TrimRight(u.Scheme+"://"+u.Host+u.EscapedPath(), "/"), nil
}

// auth is how the tag says who asks.
func (s Snippet) auth() (text string, notes []string) {
	name := s.Credential
	if name == "" {
		name = "sluice_" + strings.TrimRight(s.Rule.Name, "*")
	}
	switch {
	case s.Rule.User != "":
		return " :basic_auth " + name, []string{"in Braze, keep the user and the password of the collection as basic credentials called " + name}
	case s.Rule.Bearer != "" && s.Headers:
		return ` :headers {"Authorization": "Bearer YOUR-TOKEN"}`, []string{"whoever can read the campaign can read the token in it; a credential kept in Braze (without --headers) is better"}
	case s.Rule.Bearer != "":
		return " :auth_credentials " + name, []string{"in Braze, keep a token credential called " + name + " with the header Authorization: Bearer … and the content host as its domain"}
	}
	return "", nil
}

// withDefaults prints the fields of the collection's default body, each with what it is there.
func (s Snippet) withDefaults(name string) (string, error) {
	fields, err := scalars(s.Rule.Default)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		fmt.Fprintf(&b, "{{%s.body.%s | default: %s}}\n", name, field, fields[field])
	}
	if b.Len() == 0 {
		fmt.Fprintf(&b, "{{%s.body.FIELD}}\n", name)
	}
	return b.String(), nil
}

// scalars are the fields of an object that can be printed, as Liquid writes them.
func scalars(object []byte) (map[string]string, error) {
	fields := map[string]string{}
	d := jsontext.NewDecoder(strings.NewReader(string(object)))
	if _, err := d.ReadToken(); err != nil {
		return nil, fmt.Errorf("reading the default body: %w", err)
	}
	for d.PeekKind() != '}' {
		token, err := d.ReadToken()
		if err != nil {
			return nil, fmt.Errorf("reading the default body: %w", err)
		}
		key := token.String()
		value, err := d.ReadValue()
		if err != nil {
			return nil, fmt.Errorf("reading the default body: %w", err)
		}
		if !isName(key) {
			continue
		}
		switch value.Kind() {
		case '"':
			text, err := jsontext.AppendUnquote(nil, value)
			if err != nil {
				return nil, fmt.Errorf("reading the default body: %w", err)
			}
			if quoted, ok := quote(string(text)); ok {
				fields[key] = quoted
			}
		case '0', 't', 'f':
			fields[key] = string(value)
		}
	}
	return fields, nil
}

// isName reports whether Liquid can name a field with a dot.
func isName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	})
}

// quote writes a Liquid string, which knows no escapes: a text with both quotes in it, or with the end of a
// tag, cannot be written.
func quote(s string) (string, bool) {
	switch {
	case strings.Contains(s, "}}") || strings.Contains(s, "%}") || strings.Contains(s, "\n"):
		return "", false
	case !strings.Contains(s, "'"):
		return "'" + s + "'", true
	case !strings.Contains(s, `"`):
		return `"` + s + `"`, true
	}
	return "", false
}

// plainly names the item in a text of Liquid.
func (s Snippet) plainly() string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`'"{}%\`, r) {
			return '_'
		}
		return r
	}, s.About.Collection+"/"+s.About.ID)
}
