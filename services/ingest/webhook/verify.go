package webhook

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // some vendors sign with it (Intercom, Cloudinary), and HMAC-SHA1 still holds
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/config"
)

// verifier decides whether a request is a source's own.
type verifier interface{ verify(r *Request) error }

var errSignature = errors.New("no signature fits the body and one of the secrets")

// ErrOld says that a request is signed as it should be, and that its signed timestamp is older than the
// tolerance: it may be somebody's copy, or the source's own that took too long.
var ErrOld = errors.New("the signed timestamp is older than the tolerance")

// newVerifier makes what an auth asks for. A source whose secrets are not there is disabled, and says
// what is missing.
func (s *Source) newVerifier(a *Auth, o Options) (verifier, error) {
	secrets, missing, err := secretsOf(a, o)
	if err == nil {
		err = a.refusePublic(secrets)
	}
	if err != nil {
		return nil, err
	}
	var v verifier
	if len(secrets) == 0 && a.Scheme != schemeMTLS {
		if o.DevSecret == "" {
			s.disabled = "it has no secret: set " + strings.Join(missing, " or ")
			return shut{}, nil
		}
		secrets, s.dev = []config.Secret{o.DevSecret}, true
	}
	switch {
	case a.isSigned():
		t, _ := parseTemplate(a.Signed) // which problems has looked at
		v = &signed{auth: a, secrets: secrets, template: t, base: strings.TrimSuffix(expanded(a.PublicURL, o), "/"), local: s.dev}
	case a.Scheme == schemeMTLS:
		v = subject{a}
	default:
		v = credential{auth: a, secrets: secrets}
	}
	if a.And != nil {
		other, err := s.newVerifier(a.And, o)
		if err != nil {
			return nil, err
		}
		v = both{v, other}
	}
	if a.Or == nil {
		return v, nil
	}
	other, err := s.alternative(a, o)
	return either{v, other}, err
}

// alternative is what will do too, where it has secrets: those of what it stands beside, or its own, which nothing takes
// the place of and without which nothing is amiss.
func (s *Source) alternative(to *Auth, o Options) (verifier, error) {
	secrets, _, err := secretsOf(to.Or, o)
	shares := to.Or.SecretEnv != "" && to.Or.SecretEnv == to.SecretEnv
	if err != nil || len(secrets) == 0 && to.Or.Scheme != schemeMTLS && !shares {
		return shut{}, err
	}
	return s.newVerifier(to.Or, o)
}

// both is one proof and another.
type both struct{ first, second verifier }

func (b both) verify(r *Request) error {
	if err := b.first.verify(r); err != nil {
		return err
	}
	return b.second.verify(r)
}

// either is one proof or another. What the first says of a request that has none of them counts: a message that is too
// old must not pass for one that is not signed.
type either struct{ first, second verifier }

func (e either) verify(r *Request) error {
	err := e.first.verify(r)
	if err == nil || e.second.verify(r) == nil {
		return nil
	}
	return err
}

// shut lets nobody in.
type shut struct{}

func (shut) verify(*Request) error { return errors.New("the source is disabled") }

// signed is a signature over a text that has the body in it.
type signed struct {
	auth     *Auth
	secrets  []config.Secret
	template template
	base     string // of the URL that is signed; empty for that of the request
	local    bool   // who signs is on this machine, and need not call by https
}

func (s *signed) verify(r *Request) error {
	g, err := s.auth.read(r)
	if err != nil {
		return err
	}
	var at time.Time
	if s.auth.hasTimestamp() {
		if at, err = readTime(g.timestamp, s.auth.TimestampUnit); err != nil {
			return err
		}
	}
	candidates := s.decoded(g.signatures)
	fits := false
	for _, secret := range s.secrets {
		for _, url := range s.urls(r) {
			mac := s.sum(r, g, secret.Reveal(), url)
			for _, c := range candidates {
				fits = hmac.Equal(mac, c) || fits // all of them, so that the time tells nothing
			}
		}
	}
	switch {
	case !fits:
		return errSignature
	// Only against the past, as vendors' own libraries do: a time ahead of our clock is a clock that is
	// wrong, theirs or ours, and the signature says that it is not a replay from before. And only what
	// is signed well, so that a stranger's old text does not pass for a message that came too late.
	case s.auth.hasTimestamp() && r.Received.Sub(at) > s.auth.Tolerance:
		return ErrOld
	}
	return nil
}

// decoded are the signatures as bytes; what is not in the encoding that the source uses is none.
func (s *signed) decoded(texts []string) [][]byte {
	var all [][]byte
	for _, text := range texts {
		var mac []byte
		var err error
		if s.auth.Encoding == "base64" {
			mac, err = base64.StdEncoding.Strict().DecodeString(text)
		} else {
			mac, err = hex.DecodeString(text)
		}
		if err == nil {
			all = append(all, mac)
		}
	}
	return all
}

func (s *signed) sum(r *Request, g given, secret, url string) []byte {
	var h hash.Hash
	if s.auth.Scheme == schemeDigest {
		h = s.newHash()
	} else {
		h = hmac.New(s.newHash, []byte(secret))
	}
	s.template.write(h, r, g, secret, url)
	return h.Sum(nil)
}

func (s *signed) newHash() hash.Hash {
	switch s.auth.Hash {
	case "sha1":
		return sha1.New() //nolint:gosec // see the import
	case "sha512":
		return sha512.New()
	}
	return sha256.New()
}

// urls are the forms in which the source may have signed the address it called; one, any, where the
// address is not signed.
func (s *signed) urls(r *Request) []string {
	if !s.template.has(partURL) {
		return []string{""}
	}
	all := []string{cmp.Or(s.base, "https://"+r.Host) + r.URL.RequestURI()}
	if s.base == "" && s.local {
		all = append(all, "http://"+r.Host+r.URL.RequestURI())
	}
	if s.auth.Unescape == "" {
		return all
	}
	for _, raw := range all[:len(all):len(all)] {
		if decoded := unescape(raw, s.auth.Unescape); decoded != raw {
			all = append(all, decoded)
		}
	}
	return all
}

// unescape decodes the percent-escapes of some characters and leaves all others alone.
func unescape(text, characters string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) {
			if c, err := hex.DecodeString(text[i+1 : i+3]); err == nil && strings.IndexByte(characters, c[0]) >= 0 {
				b.WriteByte(c[0])
				i += 2
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// SignedAt is the time that a request says it was signed, or false. It is for looking at samples, which
// are older than any tolerance.
func (s *Source) SignedAt(r *Request) (time.Time, bool) {
	if g, err := s.spec.Auth.read(r); err == nil && s.spec.Auth.hasTimestamp() {
		at, err := readTime(g.timestamp, s.spec.Auth.TimestampUnit)
		return at, err == nil
	}
	return time.Time{}, false
}
