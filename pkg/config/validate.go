package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// validate asks every struct that makes up the section, innermost first, for its own opinion.
func (l *loader) validate(s *section, v reflect.Value, path string) {
	for _, e := range s.entries {
		switch {
		case e.section != nil:
			l.validate(e.section, v, join(path, e.name))
		case e.field.elem != nil:
			list := e.field.get(v)
			for i := range list.Len() {
				l.validate(e.field.elem, list.Index(i), fmt.Sprintf("%s[%d]", join(path, e.name), i))
			}
		}
	}
	for _, at := range s.structs {
		part := v.FieldByIndex(at)
		if !part.CanAddr() || !part.Addr().CanInterface() {
			continue
		}
		if validator, ok := part.Addr().Interface().(interface{ Validate() error }); ok {
			for _, err := range flatten(validator.Validate()) {
				l.objection(s, path, err)
			}
		}
	}
}

// objection records what a Validate of the struct at path said.
func (l *loader) objection(s *section, path string, err error) {
	p, ok := err.(Problem) //nolint:errorlint // flatten has taken the error apart; what wraps a Problem keeps its words
	if !ok {
		p = Problem{Allowed: err.Error()}
	}
	p.Allowed = l.scrub(p.Allowed)
	f, at := s.locate(path, p.Field), join(path, p.Field)
	if f != nil {
		at = within(s, f, path)
		p.Env = cmp.Or(p.Env, f.env)
		if f.secret && p.Value != nil {
			p.Value = concealed(p.Value)
		}
	} else if global := l.root.locate("", p.Field); global != nil { // the path was given in full
		l.objection(l.root, "", p)
		return
	}
	if said := fmt.Sprint(p.Value); p.Value != nil && l.scrub(said) != said {
		p.Value = l.scrub(said)
	}
	p.Field, p.Origin = cmp.Or(at, "configuration"), cmp.Or(p.Origin, l.origins[at])
	// Of a field that could not be read, Validate saw the default. And an embedded struct's Validate
	// is also that of the struct around it, which asks twice.
	if !l.failed[at] && !slices.ContainsFunc(l.problems, func(o Problem) bool { return o.Error() == p.Error() }) {
		l.problems = append(l.problems, p)
	}
}

// locate finds the field of the section that a Validate means: by key, by path below, or by Go name.
func (s *section) locate(path, name string) *field {
	var found *field
	s.each(func(f *field) {
		below := strings.TrimPrefix(within(s, f, path), path)
		if found == nil && name != "" && (strings.TrimPrefix(below, ".") == name || f.goName == name && f.path == join(s.path, f.name)) {
			found = f
		}
	})
	return found
}

// scrub takes every secret of the configuration, and credentials in addresses, out of a text that
// others have written.
func (l *loader) scrub(text string) string {
	for _, secret := range l.secrets {
		text = strings.ReplaceAll(text, secret, "[secret]")
	}
	return redactURLs(text)
}

// gather collects the secrets that v holds. Very short ones are left out: replacing "a" would only
// make a message unreadable.
func gather(v reflect.Value) (secrets []string) {
	switch {
	case v.Type() == secretType:
		if v.Len() > 3 {
			secrets = append(secrets, v.String())
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			secrets = append(secrets, gather(v.Index(i))...)
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			secrets = append(secrets, gather(v.Field(i))...)
		}
	}
	return secrets
}
