package webhook

import (
	"net/http"
	"slices"
	"time"
)

// Auth is how a source proves that a request is its own.
type Auth struct {
	// Scheme is one of
	//
	//	hmac    a signature with a shared key (Shopify, Stripe, Zendesk, HubSpot, Contentful, Intercom, Recurly)
	//	digest  a plain digest of a text that holds the secret (Cloudinary, HubSpot v1 and v2)
	//	basic   user:password
	//	bearer  Authorization: Bearer SECRET
	//	token   SECRET in a header or in the query
	//	mtls    a client certificate with one of Subjects
	Scheme string `yaml:"scheme"`

	// Secrets are ${NAME} or file:PATH each, and SecretEnv the name of a variable that holds several
	// with commas between (or, as NAME_FILE, a file with one on each line). Any of them will do.
	Secrets   []string `yaml:"secrets"`
	SecretEnv string   `yaml:"secret_env"`
	// PublicSecrets are those that the vendor itself has published, for trying things out: whoever has
	// read its manual can sign with them, so none is ever taken.
	PublicSecrets []string `yaml:"public_secrets"`

	// Header holds the signature, token or subject. Of several the first that is there counts.
	Header Names `yaml:"header"`
	// Query is the parameter that holds a token.
	Query string `yaml:"query"`

	Hash     string `yaml:"hash"`     // sha1, sha256 (the default), sha512
	Encoding string `yaml:"encoding"` // hex (the default) or base64
	Prefix   string `yaml:"prefix"`   // before the signature, such as "sha1="
	// Form is what the header holds: plain (one signature, the default), pairs (k=v with commas
	// between, such as t=1,v1=…), list (the timestamp, then signatures, with commas between).
	Form   string `yaml:"form"`
	Fields Fields `yaml:"fields"` // names of the pairs that count
	// Signed is the text that is signed, {body} by default: also {timestamp}, {method}, {url}, {path},
	// {secret}, {signed_headers} and {header:Name}.
	Signed string `yaml:"signed"`
	// SignedHeaders is the header that lists the headers in {signed_headers}.
	SignedHeaders string `yaml:"signed_headers"`
	// MustSign are headers that have to be among those: what they say decides what a message means.
	MustSign Names `yaml:"must_sign"`
	// PublicURL is where the source was told to send to, without path: what {url} begins with. It may be
	// ${NAME} or ${NAME:-default}. https:// and the Host header when empty.
	PublicURL string `yaml:"public_url"`
	// Unescape has the characters whose percent-escapes in {url} may have been decoded before signing.
	Unescape string `yaml:"unescape"`

	TimestampHeader string `yaml:"timestamp_header"`
	TimestampUnit   string `yaml:"timestamp_unit"` // s (the default), ms, rfc3339
	// Tolerance is how old a signed timestamp may be. It must be said where there is one.
	Tolerance time.Duration `yaml:"tolerance"`

	// Subjects are distinguished names as RFC 2253 writes them, such as CN=caller,O=Acme.
	Subjects []string `yaml:"subjects"`

	// And is what must hold too.
	And *Auth `yaml:"and"`
	// Or is another proof that will do: an older way to sign, say. With a secret_env of its own it is looked at only where
	// that is set, which is how it is switched on.
	Or *Auth `yaml:"or"`
}

// Fields name the members of a header of the form pairs.
type Fields struct {
	Timestamp string `yaml:"timestamp"`
	Signature string `yaml:"signature"`
}

// The schemes there are.
const (
	schemeHMAC   = "hmac"
	schemeDigest = "digest"
	schemeBasic  = "basic"
	schemeBearer = "bearer"
	schemeToken  = "token"
	schemeMTLS   = "mtls"
)

// The forms of a signature's header.
const (
	formPlain = "plain"
	formPairs = "pairs"
	formList  = "list"
)

func (a *Auth) settle() {
	if !a.isSigned() {
		return
	}
	orElse(&a.Hash, "sha256")
	orElse(&a.Encoding, "hex")
	orElse(&a.Form, formPlain)
	orElse(&a.Signed, "{body}")
	orElse(&a.TimestampUnit, "s")
}

// each calls visit for it and for what it is combined with.
func (a *Auth) each(visit func(*Auth)) {
	if a == nil {
		return
	}
	visit(a)
	a.And.each(visit)
	a.Or.each(visit)
}

func (a *Auth) isSigned() bool { return a.Scheme == schemeHMAC || a.Scheme == schemeDigest }

// hasTimestamp reports whether a time comes with the signature.
func (a *Auth) hasTimestamp() bool {
	return a.TimestampHeader != "" || a.Form == formList || a.Form == formPairs && a.Fields.Timestamp != ""
}

// headers are those that hold secrets, in their canonical form.
func (a *Auth) headers() []string {
	var all []string
	if a.Scheme != schemeMTLS {
		for _, h := range a.Header {
			all = append(all, http.CanonicalHeaderKey(h))
		}
	}
	return all
}

// problems are what is wrong with it, and with what must hold too.
func (a *Auth) problems(path string) []error {
	var all []error
	say := func(field, allowed string) { all = append(all, problem(path+"."+field, allowed)) }
	oneOf := func(field, value string, allowed ...string) {
		if !slices.Contains(allowed, value) {
			say(field, "one of "+listed(allowed))
		}
	}
	oneOf("scheme", a.Scheme, schemeHMAC, schemeDigest, schemeBasic, schemeBearer, schemeToken, schemeMTLS)
	if a.Scheme != schemeMTLS && len(a.Secrets) == 0 && a.SecretEnv == "" {
		say("secrets", "required, as secrets or as secret_env")
	}
	if a.Tolerance < 0 {
		say("tolerance", "not negative")
	}
	switch a.Scheme {
	case schemeHMAC, schemeDigest:
		oneOf("hash", a.Hash, "sha1", "sha256", "sha512")
		oneOf("encoding", a.Encoding, "hex", "base64")
		oneOf("form", a.Form, formPlain, formPairs, formList)
		oneOf("timestamp_unit", a.TimestampUnit, "s", "ms", "rfc3339")
		if len(a.Header) == 0 {
			say("header", "required: the header that holds the signature")
		}
		if a.Form == formPairs && a.Fields.Signature == "" {
			say("fields.signature", "required with form pairs")
		}
		t, err := parseTemplate(a.Signed)
		if err != nil {
			say("signed", err.Error())
		}
		all = append(all, a.signedProblems(path, t)...)
	case schemeToken:
		if (len(a.Header) == 0) == (a.Query == "") {
			say("header", "either header or query")
		}
	case schemeMTLS:
		if len(a.Subjects) == 0 {
			say("subjects", "required")
		}
		if len(a.Header) > 0 && a.And == nil {
			say("and", "required where a header names the subject: anybody can send a header, so the proxy must prove itself, with a token say")
		}
	}
	if a.And != nil {
		all = append(all, a.And.problems(path+".and")...)
	}
	if a.Or != nil {
		all = append(all, a.Or.problems(path+".or")...)
	}
	return all
}

// signedProblems are contradictions between what is signed and where it comes from.
func (a *Auth) signedProblems(path string, t template) []error {
	var all []error
	say := func(field, allowed string) { all = append(all, problem(path+"."+field, allowed)) }
	if !t.has(partBody) {
		say("signed", "a text with {body}: what is not signed can be anything")
	}
	if a.Scheme == schemeDigest && !t.has(partSecret) {
		say("signed", "a text with {secret}: a digest without it proves nothing")
	}
	if a.Scheme == schemeHMAC && t.has(partSecret) {
		say("signed", "a text without {secret}, which is the key already")
	}
	if a.Tolerance == 0 && a.hasTimestamp() {
		say("tolerance", "required where a timestamp is signed, such as 300s")
	}
	if a.Tolerance > 0 && !a.hasTimestamp() {
		say("tolerance", "only where a timestamp comes along: timestamp_header, form list, or fields.timestamp")
	}
	if t.has(partTimestamp) && !a.hasTimestamp() {
		say("signed", "a text without {timestamp}, or say where it comes from: timestamp_header, form list, or fields.timestamp")
	}
	if a.hasTimestamp() && !t.has(partTimestamp) && !t.has(partSignedHeaders) {
		say("signed", "a text with {timestamp}: a time that is not signed keeps nobody from sending again")
	}
	if t.has(partSignedHeaders) != (a.SignedHeaders != "") {
		say("signed_headers", "the header that lists what stands in {signed_headers}, together with it")
	}
	if len(a.MustSign) > 0 && a.SignedHeaders == "" {
		say("must_sign", "only with signed_headers")
	}
	return all
}
