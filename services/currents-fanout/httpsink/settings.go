package httpsink

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// settings are options that are complete, checked and compiled.
type settings struct {
	Options

	url      *url.URL
	query    []parameter // that hold the id of the request
	header   http.Header // of every request
	before   []byte      // of the body: up to the first item
	after    []byte      // behind the last
	template *program
	verdicts *program
	signers  []*standardwebhooks.Webhook
}

// parameter is one of the URL whose value is another in every request.
type parameter struct{ name, value string }

// batchIDMark stands in a parameter for the id of the request.
const batchIDMark = "{batch_id}"

// Validate reports everything that is wrong, as config.Problems. It reads no files and dials nothing.
func (o *Options) Validate() error {
	_, err := o.settle()
	return err
}

// settle completes the options with the preset and the defaults, and compiles what is to be compiled.
func (o *Options) settle() (*settings, error) {
	s := &settings{Options: *o}
	c := &check{}
	s.fill(c)
	s.checkValues(c)
	s.address(c)
	s.headers(c)
	s.auth(c)
	s.signing(c)
	s.shape(c)
	return s, errors.Join(c.problems...)
}

// fill puts the preset's values, and then the defaults, where the options say nothing.
func (s *settings) fill(c *check) {
	if s.Preset != "" {
		if p, known := presets()[s.Preset]; known {
			p(&s.Options, c)
		} else {
			c.wrong("preset", s.Preset, "one of "+presetNames())
		}
	}
	s.Method = cmp.Or(s.Method, http.MethodPost)
	s.Format = cmp.Or(s.Format, formatArray)
	s.Compress = cmp.Or(s.Compress, compressNone)
	s.Auth.Scheme = cmp.Or(s.Auth.Scheme, schemeNone)
	s.MaxBytes = cmp.Or(s.MaxBytes, defaultMaxBytes)
	s.MaxEventBytes = cmp.Or(s.MaxEventBytes, defaultMaxEventBytes)
	s.Timeout = cmp.Or(s.Timeout, defaultTimeout)
}

// shape is what bodies look like, and how answers are read.
func (s *settings) shape(c *check) {
	var err error
	if s.template, err = compile(s.Template, templateVariables[:]); err != nil {
		c.wrong("template", nil, err.Error())
	}
	if s.verdicts, err = compile(s.Verdicts, []string{"$status"}); err != nil {
		c.wrong("verdicts", nil, err.Error())
	}
	switch {
	case s.Envelope.Reveal() != "" && s.Format != formatArray:
		c.wrong("envelope", s.Envelope, "only with format array")
	case s.Envelope.Reveal() != "":
		if s.before, s.after, err = unwrap(s.Envelope.Reveal()); err != nil {
			c.wrong("envelope", s.Envelope, err.Error())
		}
	case s.Format == formatArray:
		s.before, s.after = []byte{'['}, []byte{']'}
	}
	if s.MaxBytes < len(s.before)+len(s.after)+2 {
		c.wrong("max_bytes", s.MaxBytes, "more than the envelope takes")
	}
}

// took reports whether a status means that the request was taken.
func (s *settings) took(status int) bool {
	if len(s.Success) > 0 {
		return slices.Contains(s.Success, status)
	}
	return 200 <= status && status <= 299
}

// address parses the URL and puts the parameters behind it that never change.
func (s *settings) address(c *check) {
	u, err := url.Parse(s.URL)
	switch {
	case s.URL == "":
		c.wrong("url", nil, "the URL that requests go to is needed")
		return
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		c.wrong("url", nil, "a whole URL that begins with https:// or http://") // not repeated: many a webhook's URL is its secret
		return
	case u.User != nil:
		c.wrong("url", nil, "without a user name and password in it: they belong in auth")
		return
	}
	u.Fragment = ""
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		c.wrong("url", nil, "a URL whose parameters can be read")
		return
	}
	for name, value := range s.Query {
		if text := value.Reveal(); strings.Contains(text, batchIDMark) {
			s.query = append(s.query, parameter{name, text})
		} else {
			query.Set(name, text)
		}
	}
	slices.SortFunc(s.query, func(a, b parameter) int { return cmp.Compare(a.name, b.name) })
	if len(s.Query) > 0 {
		u.RawQuery = query.Encode()
	}
	if u.Path == "" {
		u.Path = "/"
	}
	s.url = u
}

// headers are those of every request, without what says who sends it.
func (s *settings) headers(c *check) {
	s.header = http.Header{"User-Agent": {"sluice"}, "Accept": {"application/json, */*"}, "Content-Type": {"application/json"}}
	if s.Format == formatNDJSON {
		s.header.Set("Content-Type", "application/x-ndjson")
	}
	if s.Compress == compressGzip {
		s.header.Set("Content-Encoding", "gzip")
	}
	for name, value := range s.Headers {
		c.header("headers."+name, name, value.Reveal())
		s.header.Set(name, value.Reveal())
	}
	if s.IDHeader != "" {
		c.header("id_header", s.IDHeader, "")
	}
}
