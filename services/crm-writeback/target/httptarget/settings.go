package httptarget

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// settings are options that are complete, checked and compiled.
type settings struct {
	Options

	batch       bool
	base        *url.URL
	header      http.Header // of every request
	method      string      // of every request, or "" where the program says
	path        *program
	methodFrom  *program
	headersFrom *program
	body        *program
	verdicts    *program
}

// Validate reports everything that is wrong, as config.Problems. It dials nothing.
func (o Options) Validate() error {
	_, err := o.settle()
	return err
}

// settle puts in the defaults, and compiles what is to be compiled.
func (o Options) settle() (*settings, error) {
	s := &settings{Options: o, batch: o.Batch.Rows > 0}
	s.Timeout = cmp.Or(s.Timeout, defaultTimeout)
	s.Calls = cmp.Or(s.Calls, defaultCalls)
	s.Encoding = cmp.Or(s.Encoding, encodingJSON)
	s.Auth.Scheme = cmp.Or(s.Auth.Scheme, schemeNone)
	s.Batch.Bytes = cmp.Or(s.Batch.Bytes, defaultBatchBytes)
	s.Batch.Rows = cmp.Or(s.Batch.Rows, 1)
	c := &check{}
	s.checkValues(c)
	s.address(c)
	s.headers(c)
	s.auth(c)
	s.programs(c)
	return s, errors.Join(c.problems...)
}

var literalMethod = regexp.MustCompile(`^[A-Za-z]*$`)

// programs compiles the programs.
func (s *settings) programs(c *check) {
	if literalMethod.MatchString(s.Method) {
		s.method = strings.ToUpper(cmp.Or(s.Method, http.MethodPost))
		c.oneOf("method", s.method, methods...)
	} else {
		s.methodFrom = c.compile("method", s.Method)
	}
	body := ".fields"
	if s.batch {
		body = "{rows: [.rows[] | .fields]}"
	}
	s.path = c.compile("path", s.Path)
	s.headersFrom = c.compile("headers_from", s.HeadersFrom)
	s.body = c.compile("body", cmp.Or(strings.TrimSpace(s.Body), body))
	s.verdicts = c.compile("verdicts", s.Verdicts)
}

// address parses the URL.
func (s *settings) address(c *check) {
	u, err := url.Parse(s.URL)
	switch {
	case s.URL == "":
		c.wrong("url", nil, "the URL that requests go to is needed")
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "":
		c.wrong("url", nil, "a whole URL that begins with https:// or http://") // not repeated: it may hold a secret
	case u.User != nil:
		c.wrong("url", nil, "without a user name and password in it: they belong in auth")
	case u.Fragment != "":
		c.wrong("url", nil, "without a fragment")
	default:
		if s.Path != "" {
			u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/"), strings.TrimSuffix(u.RawPath, "/")
		}
		s.base = u
	}
}

// headers are those of every request, without what says who sends it.
func (s *settings) headers(c *check) {
	s.header = http.Header{"User-Agent": {"sluice"}, "Accept": {"application/json"}, "Content-Type": {"application/json"}}
	if s.Encoding == encodingForm {
		s.header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range s.Headers {
		c.header("headers."+name, name, value.Reveal())
		s.header.Set(name, value.Reveal())
	}
	if s.IDHeader != "" {
		c.header("id_header", s.IDHeader, "")
	}
}
