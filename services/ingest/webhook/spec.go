package webhook

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"time"
)

// Spec is one source as a file describes it. Programs are jq; their input is
//
//	{"headers": {lower-case name: value}, "query": {name: value}, "method", "body", "received_at", "source"}
//
// with numbers as exact as they were sent, and $settings holds the source's settings.
type Spec struct {
	// Preset is a source of the shipped file that this one begins as; what is said here replaces what
	// is said there, field by field.
	Preset string `yaml:"preset"`

	Auth      Auth        `yaml:"auth"`
	Handshake []Handshake `yaml:"handshake"`
	Ack       Ack         `yaml:"ack"`

	// Format is what bodies are: json (the default), form, xml, text.
	Format string `yaml:"format"`
	// Split says that a body which is an array holds a message in each element. Each is mapped, and
	// where need be dead-lettered, by itself.
	Split bool `yaml:"split"`

	// Order yields what the messages of a split body are put in order by, smallest first: for senders that promise none.
	// Those for which it yields nothing come first.
	Order string `yaml:"order"`
	// Conceal are the names of XML elements whose text nobody may see: it is blotted out before programs see the body, and
	// before a dead letter keeps it.
	Conceal Names `yaml:"conceal"`

	// Settings are for the programs. A text may be ${NAME} or ${NAME:-default}, from the environment.
	Settings map[string]any `yaml:"settings"`
	// Functions are definitions that all programs of the source share.
	Functions string `yaml:"functions"`

	// Kind names the kind of a message, which picks its program from Map.
	Kind string `yaml:"kind"`
	// Dedup is the idempotency key of a message: text, or an array of its parts. Where a part is
	// missing a hash of the message takes its place.
	Dedup string `yaml:"dedup"`
	// Time and Identity are of outputs that do not say themselves when and who.
	Time     string `yaml:"time"`
	Identity string `yaml:"identity"`
	// Remember yields {"keys": [text], "value": any} for what later messages can recall by key.
	Remember string `yaml:"remember"`

	// Refuse and Ignore are conditions by reason: messages for which one holds become a dead letter, or
	// nothing. Refuse is asked first.
	Refuse map[string]string `yaml:"refuse"`
	Ignore map[string]string `yaml:"ignore"`

	// Map has a program for each kind; one text is a program for all. A name may end in *.
	Map Programs `yaml:"map"`
	// Unmapped is what becomes of kinds that Map does not know: dead_letter (the default) or skip.
	Unmapped string `yaml:"unmapped"`

	Memory Memory `yaml:"memory"`

	// Poll is how the source is asked, beside the webhooks that it sends or in their place: then it
	// needs no Auth.
	Poll Poll `yaml:"poll"`
}

// calls reports whether the source sends webhooks.
func (s *Spec) calls() bool { return s.Poll.URL == "" || s.Auth.Scheme != "" }

// Ack is how a source is answered.
type Ack struct {
	Status       int    `yaml:"status"` // of success, duplicates included; 200
	Type         string `yaml:"type"`   // content type of Body
	Body         string `yaml:"body"`
	BadSignature int    `yaml:"bad_signature"` // 401
	// RetryAfter is how long a source is asked to wait where Kafka is away or too much is waiting; the
	// front door's own idea of it when left out.
	RetryAfter time.Duration `yaml:"retry_after"`
}

// Memory bounds what is remembered for joins. It is each process's own and does not outlive it.
type Memory struct {
	Entries int           `yaml:"entries"` // 100,000
	Keep    time.Duration `yaml:"keep"`    // 72h
}

// Programs are jq programs by kind; "*" is the one for all others.
type Programs map[string]string

// UnmarshalYAML takes one program or a mapping.
func (p *Programs) UnmarshalYAML(decode func(any) error) error {
	var one string
	if decode(&one) == nil {
		*p = Programs{"*": one}
		return nil
	}
	var many map[string]string
	if err := decode(&many); err != nil {
		return err
	}
	*p = many
	return nil
}

// Names are one text or several.
type Names []string

// UnmarshalYAML takes either.
func (n *Names) UnmarshalYAML(decode func(any) error) error {
	var one string
	if decode(&one) == nil {
		*n = Names{one}
		return nil
	}
	var many []string
	if err := decode(&many); err != nil {
		return err
	}
	*n = many
	return nil
}

// over lays a source over the preset that it names.
func (s Spec) over(preset Spec) Spec {
	lay(reflect.ValueOf(&s).Elem(), reflect.ValueOf(preset))
	return s
}

// lay fills what is zero in top from beneath: structs field by field, mappings by key, lists and the
// rest as a whole.
func lay(top, beneath reflect.Value) {
	switch {
	case top.Kind() == reflect.Struct:
		for i := range top.NumField() {
			lay(top.Field(i), beneath.Field(i))
		}
	case top.Kind() == reflect.Map && !top.IsNil() && !beneath.IsNil():
		for _, key := range beneath.MapKeys() {
			if !top.MapIndex(key).IsValid() {
				top.SetMapIndex(key, beneath.MapIndex(key))
			}
		}
	case top.IsZero():
		if beneath.Kind() == reflect.Map && !beneath.IsNil() {
			copied := reflect.MakeMap(beneath.Type())
			for _, key := range beneath.MapKeys() {
				copied.SetMapIndex(key, beneath.MapIndex(key))
			}
			beneath = copied
		}
		top.Set(beneath)
	}
}

// settle puts defaults in the place of what is not said.
func (s *Spec) settle() {
	orElse(&s.Format, formatJSON)
	orElse(&s.Unmapped, unmappedDeadLetter)
	orElse(&s.Ack.Status, 200)
	orElse(&s.Ack.BadSignature, 401)
	orElse(&s.Ack.Type, "application/json")
	if s.Ack.Body == "" && s.Ack.Type == "application/json" && s.Ack.Status != 204 {
		s.Ack.Body = "{}"
	}
	orElse(&s.Memory.Entries, 100_000)
	orElse(&s.Memory.Keep, 72*time.Hour)
	s.Auth.each((*Auth).settle)
	for i := range s.Handshake {
		s.Handshake[i].settle()
	}
	s.Poll.settle()
}

func orElse[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

const (
	unmappedDeadLetter = "dead_letter"
	unmappedSkip       = "skip"
)

// problems are what is wrong beside the programs.
func (s *Spec) problems() error {
	var all []error
	say := func(field, allowed string) { all = append(all, problem(field, allowed)) }
	if !slices.Contains([]string{formatJSON, formatForm, formatXML, formatText}, s.Format) {
		say("format", "json, form, xml or text")
	}
	if s.Split && s.Format != formatJSON {
		say("split", "only with format json")
	}
	if s.Order != "" && !s.Split {
		say("order", "only with split")
	}
	if len(s.Conceal) > 0 && s.Format != formatXML {
		say("conceal", "only with format xml")
	}
	if s.Unmapped != unmappedDeadLetter && s.Unmapped != unmappedSkip {
		say("unmapped", "dead_letter or skip")
	}
	if len(s.Map) == 0 {
		say("map", "required: a jq program, or one for each kind")
	}
	if _, all := s.Map["*"]; s.Kind == "" && len(s.Map) > 0 && (len(s.Map) > 1 || !all) {
		say("kind", "required where map has a program for each kind")
	}
	if s.Ack.Status < 200 || s.Ack.Status > 299 {
		say("ack.status", "from 200 to 299: anything else is a failure to who sends")
	}
	if s.Ack.BadSignature < 400 || s.Ack.BadSignature > 499 || s.Ack.BadSignature == 410 {
		say("ack.bad_signature", "from 400 to 499, but not 410, which ends a subscription")
	}
	if s.Ack.RetryAfter < 0 {
		say("ack.retry_after", "not negative")
	}
	if s.Memory.Entries < 0 || s.Memory.Keep < 0 {
		say("memory", "not negative")
	}
	for _, reason := range slices.Sorted(maps.Keys(s.Refuse)) {
		if !slices.Contains(Reasons(), Reason(reason)) {
			say("refuse."+reason, "one of "+listed(Reasons()))
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(s.Ignore)) {
		if !isWord(reason) {
			say("ignore."+reason, "a reason of lower-case letters, digits and underscores")
		}
	}
	for i, h := range s.Handshake {
		all = append(all, h.problems(i)...)
	}
	switch p := &s.Poll; {
	case p.URL != "":
		all = append(all, p.problems()...)
	case !reflect.ValueOf(*p).IsZero():
		say("poll.url", "required")
	}
	if s.calls() {
		all = append(all, s.Auth.problems("auth")...)
	}
	return errors.Join(all...)
}
