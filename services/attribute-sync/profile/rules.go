package profile

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/config"
)

// Rules is what fields.yaml says about the fields of profiles. It is for reading only once Validate has
// been called, and may then be shared. The file must be decoded strictly: a word that is misspelled there
// would let anybody write.
type Rules struct {
	OnInvalid OnInvalid `yaml:"on_invalid" default:"refuse" oneof:"refuse,drop" doc:"what becomes of a record with a value that Braze would not take: refuse the record, or drop the field and take the rest"`
	Fields    []Field   `yaml:"fields" doc:"rules for fields; the first that fits a name counts"`
	// DedupWindow is how long the ids of events with increments or with operators on arrays of objects
	// are remembered, so that a repeat is not applied again; 0 means 24 h.
	DedupWindow time.Duration `yaml:"-"`

	exact    map[string]int // literal names, to their place in Fields
	patterns []int          // places of the others
	own      []Field        // of what is made here
}

// OnInvalid is what becomes of a record with something in it that Braze would not take.
type OnInvalid string

// What can become of it.
const (
	Refuse OnInvalid = "refuse" // nothing of the record is applied; it goes to the dead letters
	Drop   OnInvalid = "drop"   // the field is declined and the rest applied
)

// Field is a rule for a field, or for all those that a pattern fits.
type Field struct {
	// Name is a field's name, or a pattern such as loyalty_* in the manner of [path.Match]. The state in
	// a subscription group goes by the name subscription_groups.<id>.
	Name string `yaml:"name" doc:"a field's name, or a pattern such as loyalty_*; subscription groups are called subscription_groups.<id>"`
	// Owner is the only source whose writes count; empty for any.
	Owner string `yaml:"owner" doc:"the only source that may write the field; empty: any"`
	// Type is what values must be: the type that is fixed in Braze's dashboard, beyond which Braze takes
	// nothing and says nothing.
	Type Type `yaml:"type" oneof:"string,integer,number,boolean,date,array,object" doc:"what values must be; empty: anything"`
	// MaxItems is how long an array may get, 25 unless it was raised in Braze; 0 means 25.
	MaxItems int `yaml:"max_items" doc:"how many values an array may hold, 1 to 100; 0: 25, as Braze has it unless it was raised"`
	// Blocked keeps the field from being sent by anybody.
	Blocked bool `yaml:"blocked" doc:"nothing is sent of it"`
}

// Type is a type of custom attributes.
type Type string

// The types there are. A number may be an integer; an array may be one of objects.
const (
	TypeString  Type = "string"
	TypeInteger Type = "integer"
	TypeNumber  Type = "number"
	TypeBoolean Type = "boolean"
	TypeDate    Type = "date"
	TypeArray   Type = "array"
	TypeObject  Type = "object"
)

// How long an array may be (braze-docs: user_attributes_object, 2025).
const (
	defaultItems = 25
	mostItems    = 100
)

// groupPrefix is what the name of a subscription group's state begins with for people; groupMark is what
// it begins with in the state, where no attribute's name can be the same.
const (
	groupPrefix = "subscription_groups."
	groupMark   = "\x00"
)

// Validate says what is wrong with the rules, each a config.Problem, and gets them ready. It must be
// called before Apply, and does no harm twice.
func (r *Rules) Validate() error {
	var problems []error
	bad := func(i int, key string, value any, allowed string) {
		problems = append(problems, config.Problem{Field: fmt.Sprintf("fields[%d].%s", i, key), Value: value, Allowed: allowed})
	}
	r.OnInvalid = cmp.Or(r.OnInvalid, Refuse)
	if r.OnInvalid != Refuse && r.OnInvalid != Drop {
		problems = append(problems, config.Problem{Field: "on_invalid", Value: string(r.OnInvalid), Allowed: "refuse, drop"})
	}
	if r.DedupWindow == 0 {
		r.DedupWindow = 24 * time.Hour
	}
	r.exact, r.patterns = map[string]int{}, nil
	for i := range r.Fields {
		f := &r.Fields[i]
		_, syntax := path.Match(f.Name, "")
		first, twice := r.exact[folded(f.Name)]
		isPattern := strings.ContainsAny(f.Name, `*?[\`)
		switch {
		case f.Name == "":
			bad(i, "name", nil, "a name or a pattern is needed")
		case syntax != nil:
			bad(i, "name", f.Name, "a name, or a pattern whose brackets are closed")
		case twice:
			bad(i, "name", f.Name, fmt.Sprintf("a name that fields[%d] does not have already", first))
		case reserved(f.Name) != "":
			bad(i, "name", f.Name, "the name of an attribute; "+reserved(f.Name))
		case isPattern:
			r.patterns = append(r.patterns, i)
		default:
			r.exact[folded(f.Name)] = i
		}
		switch {
		case f.Type != "" && !f.Type.known():
			bad(i, "type", string(f.Type), "string, integer, number, boolean, date, array, object")
		case f.Type != "" && standards[f.Name] != nil:
			bad(i, "type", string(f.Type), "no type: Braze has its own for "+f.Name)
		}
		if f.MaxItems < 0 || f.MaxItems > mostItems {
			bad(i, "max_items", f.MaxItems, "from 1 to 100, or nothing for 25")
		}
		if len(f.Owner) > maxSource || !utf8.ValidString(f.Owner) {
			bad(i, "owner", f.Owner, "a source's name of at most 255 bytes")
		}
		if f.Blocked && f.Owner != "" {
			bad(i, "blocked", true, "either an owner or blocked: nobody owns what is not sent")
		}
	}
	return errors.Join(problems...)
}

func (t Type) known() bool {
	switch t {
	case TypeString, TypeInteger, TypeNumber, TypeBoolean, TypeDate, TypeArray, TypeObject:
		return true
	}
	return false
}

// takes reports whether a value is of the type. A date is a string like any other but for what it says.
func (t Type) takes(is shape, raw []byte) bool {
	switch t {
	case "":
		return true
	case TypeString:
		return is == text
	case TypeInteger:
		return is == integer
	case TypeNumber:
		return is == integer || is == fraction
	case TypeBoolean:
		return is == boolean
	case TypeDate:
		return is == text && isDateValue(raw)
	case TypeArray:
		return is == array || is == objects
	case TypeObject:
		return is == object
	}
	return false
}

func (f *Field) owner() string {
	if f == nil {
		return ""
	}
	return f.Owner
}

func (f *Field) maxItems() int {
	if f == nil || f.MaxItems == 0 {
		return defaultItems
	}
	return f.MaxItems
}

func (f *Field) typ() Type {
	if f == nil {
		return ""
	}
	return f.Type
}
