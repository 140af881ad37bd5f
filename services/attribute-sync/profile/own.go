package profile

import (
	"errors"
	"iter"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/config"
)

// Own gives fields that are computed here to the source that computes them, unless the file has a rule
// with that very name. A name may be a pattern, such as total_spent_*, as [Field.Name] may. It is to be
// called before Apply. A source that owns something here finds room in a profile that is full for others.
func (r *Rules) Own(source string, names ...string) {
	for _, name := range names {
		r.own = append(r.own, Field{Name: name, Owner: source})
	}
}

// makes reports whether a source has attributes of its own here.
func (r *Rules) makes(source string) bool {
	return slices.ContainsFunc(r.own, func(f Field) bool { return f.Owner == source })
}

// rule returns the first rule that fits a name, or nil. What the file says of that very name comes before
// what is made here, and that before the file's patterns.
func (r *Rules) rule(name string) *Field {
	literal, found := r.exact[folded(name)]
	if !found {
		for i := range r.own {
			own := &r.own[i]
			said := slices.ContainsFunc(r.Fields, func(f Field) bool { return f.Name == own.Name })
			if !said && matches(own.Name, name) {
				return own
			}
		}
	}
	for _, i := range r.patterns {
		if found && literal < i {
			break
		}
		if matches(r.Fields[i].Name, name) {
			return &r.Fields[i]
		}
	}
	if found {
		return &r.Fields[literal]
	}
	return nil
}

// matches is path.Match for names, in which a slash is a character like any other.
func matches(pattern, name string) bool {
	fits, _ := path.Match(slashless.Replace(folded(pattern)), slashless.Replace(folded(name)))
	return fits
}

var slashless = strings.NewReplacer("/", "\x01")

// folded is the one spelling of names that are the same. A group's id is a UUID, and may be written in
// letters of either size.
func folded(name string) string {
	if strings.HasPrefix(name, groupPrefix) {
		return strings.ToLower(name)
	}
	return name
}

// CheckMade says which names of attributes that are made here cannot be, each as a config.Problem: names
// that Braze keeps for other things, or for fields of its own, whose values are others; and names that two
// attributes have, unless both are of one section, which sees to that itself. What it is given are sections,
// each with the places of names in the file, such as support.attributes.open_cases, and the names, of which
// one may end in a * for a currency. A name that is empty is none.
func CheckMade(made ...iter.Seq2[string, string]) error {
	type place struct {
		section     int
		field, name string
	}
	var problems []error
	var seen []place
	for section, names := range made {
		for field, name := range names {
			if name == "" {
				continue
			}
			if allowed := checkMade(name); allowed != "" {
				problems = append(problems, config.Problem{Field: field, Value: name, Allowed: allowed})
			}
			for _, other := range seen {
				same := other.name == name && other.section != section
				if same || other.name != name && (matches(other.name, name) || matches(name, other.name)) {
					problems = append(problems, config.Problem{Field: field, Value: name, Allowed: "a name of its own; " + other.field + " has this one"})
				}
			}
			seen = append(seen, place{section, field, name})
		}
	}
	return errors.Join(problems...)
}

// checkMade says what a name ought to be instead, or nothing.
func checkMade(name string) string {
	switch {
	case !utf8.ValidString(name) || utf8.RuneCountInString(name) > braze.MaxNameLen || strings.TrimSpace(name) != name || strings.HasPrefix(name, "$"):
		return "the name of an attribute: at most 255 characters, no space around it, no $ in front"
	case strings.ContainsAny(strings.TrimSuffix(name, "*"), `*?[\`):
		return "a name, and no pattern"
	case reserved(name) != "":
		return "the name of an attribute; " + reserved(name)
	case standards[name] != nil:
		return "a name that is not one of Braze's own fields"
	case strings.HasPrefix(name, groupPrefix):
		return "the name of an attribute; states in subscription groups are called so"
	}
	return ""
}
