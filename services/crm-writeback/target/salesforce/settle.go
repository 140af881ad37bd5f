package salesforce

import (
	"cmp"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/config"
)

// settings are options that are complete and checked.
type settings struct {
	Options

	base     *url.URL
	path     string // "/services/data/v61.0"
	calls    int    // of our own in 24 hours; 0: as many as the share
	share    float64
	short    float64
	numeric  map[string]bool // Object.Field
	audience string
}

const (
	grantClientCredentials = "client_credentials"
	grantJWT               = "jwt"
)

// oldest is the first version that has the upsert of collections.
const oldest = 46

var (
	versionForm = regexp.MustCompile(`^v([0-9]{2,3})\.0$`)
	clientForm  = regexp.MustCompile(`^[A-Za-z0-9._/-]{1,64}$`)
	keyForm     = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*\.[A-Za-z][A-Za-z0-9_]*$`)
)

// Validate reports everything that is wrong, as config.Problems. It reads no files and dials nothing.
func (o *Options) Validate() error {
	_, err := o.settle()
	return err
}

func (o *Options) settle() (*settings, error) {
	s := &settings{Options: *o, numeric: map[string]bool{}}
	s.Version = cmp.Or(s.Version, "v61.0")
	s.Client = cmp.Or(s.Client, "sluice")
	s.Daily.Recheck = cmp.Or(s.Daily.Recheck, 15*time.Minute)
	s.Bulk.Rows = cmp.Or(s.Bulk.Rows, 10_000)
	s.Bulk.Poll = cmp.Or(s.Bulk.Poll, 2*time.Second)
	s.Bulk.Wait = cmp.Or(s.Bulk.Wait, 30*time.Minute)
	s.audience = cmp.Or(s.Auth.Audience, "https://login.salesforce.com")

	var problems []error
	wrong := func(field string, value any, allowed string) {
		problems = append(problems, config.Problem{Field: field, Value: value, Allowed: allowed})
	}
	s.checkURL(wrong)
	version := versionForm.FindStringSubmatch(s.Version)
	if version == nil {
		wrong("version", s.Version, "such as v61.0")
	} else if n, err := strconv.Atoi(version[1]); err != nil || n < oldest {
		wrong("version", s.Version, "v46.0 at least, which is the first that takes collections by external id")
	}
	s.path = "/services/data/" + s.Version
	if !clientForm.MatchString(s.Client) {
		wrong("client", s.Client, "letters, digits, . _ / and -, 64 at most")
	}
	s.checkAuth(wrong)
	s.checkBudget(wrong)
	if s.Note.Field != "" && !name(s.Note.Field) {
		wrong("note.field", s.Note.Field, "the API name of a field")
	}
	for _, key := range s.NumberKeys {
		if !keyForm.MatchString(key) {
			wrong("number_keys", key, "an object and a field, such as Contact.Member_Number__c")
		}
		s.numeric[key] = true
	}
	return s, errors.Join(problems...)
}

func (s *settings) checkURL(wrong func(string, any, string)) {
	u, err := url.Parse(s.URL)
	switch {
	case s.URL == "":
		wrong("url", nil, "the org's My Domain URL, such as https://acme.my.salesforce.com")
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		wrong("url", "hidden", "an http or https URL")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		wrong("url", u.Redacted(), "scheme and host alone, without credentials")
	case u.Hostname() == "login.salesforce.com" || u.Hostname() == "test.salesforce.com":
		wrong("url", s.URL, "the org's own My Domain URL; the common host goes to auth.audience")
	default:
		s.base = &url.URL{Scheme: u.Scheme, Host: u.Host}
	}
}

func (s *settings) checkAuth(wrong func(string, any, string)) {
	a := &s.Auth
	if a.Grant == "" {
		a.Grant = grantClientCredentials
		if a.ClientID == "" && a.ConsumerKey != "" {
			a.Grant = grantJWT
		}
	}
	needed := func(field, value string) {
		if value == "" {
			wrong(field, nil, "must be set, for auth.grant "+a.Grant)
		}
	}
	switch a.Grant {
	case grantClientCredentials:
		needed("auth.client_id", a.ClientID)
		needed("auth.client_secret", a.ClientSecret.Reveal())
	case grantJWT:
		needed("auth.consumer_key", a.ConsumerKey)
		needed("auth.username", a.Username)
		if (a.PrivateKey == "") == (a.PrivateKeyRef == "") {
			wrong("auth.private_key", a.PrivateKey, "one of private_key and private_key_file")
		}
	default:
		wrong("auth.grant", a.Grant, "client_credentials or jwt")
	}
}

func (s *settings) checkBudget(wrong func(string, any, string)) {
	s.share, s.short = 1, 0.1
	if text := s.Daily.Budget; text != "" {
		share, ok := percent(text)
		calls, err := strconv.Atoi(text)
		switch {
		case ok:
			s.share = share
		case err == nil && calls > 0:
			s.calls = calls
		default:
			wrong("daily.budget", text, "a number of calls, or a share such as 80%")
		}
	}
	if text := s.Bulk.Short; text != "" {
		var ok bool
		if s.short, ok = percent(text); !ok {
			wrong("bulk.short", text, "a share such as 10%")
		}
	}
}

// percent reads "80%" as 0.8.
func percent(text string) (float64, bool) {
	digits, ok := strings.CutSuffix(text, "%")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseFloat(digits, 64)
	return n / 100, err == nil && n > 0 && n <= 100
}

// key is the private key as PEM, which is read once: an answer at Open is worth more than one at the first token.
func (s *settings) key() ([]byte, error) {
	text := []byte(s.Auth.PrivateKey.Reveal())
	if path := s.Auth.PrivateKeyRef; path != "" {
		var err error
		if text, err = os.ReadFile(path); err != nil {
			return nil, fmt.Errorf("reading auth.private_key_file: %w", err)
		}
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("reading auth.private_key: it is not PEM")
	}
	if _, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return text, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if _, ok := parsed.(*rsa.PrivateKey); err != nil || !ok {
		return nil, errors.New("reading auth.private_key: it is no RSA key without a passphrase")
	}
	return text, nil
}
