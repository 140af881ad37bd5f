package yamlfile

import (
	"slices"

	"github.com/goccy/go-yaml/ast"
)

// Raw is a part of a file that nobody has read yet. The zero Raw is one that is not there, and reads as its defaults.
//
// Whoever knows the type of the whole part reads it with [Raw.Decode]. Where one key of it says what the others are, its
// keys and elements can be taken apart, and read with [File.Read] bit by bit.
type Raw struct {
	name   string // of the file
	path   string
	node   ast.Node
	at     ast.Node // its key
	lookup func(string) (string, bool)
}

// Given reports whether the part is there.
func (r Raw) Given() bool { return !isNull(r.node) }

// Decode reads the part into a pointer to a struct as [File.Decode] does a file, and calls its Validate where it has one:
// that may return config.Problems whose fields are keys of the part. The error is config.Problems. The part is not changed,
// and may be read again.
func (r Raw) Decode(into any) error {
	f := New(r.name, r.lookup)
	Default(into)
	if f.Read(r, into) {
		if check, ok := into.(interface{ Validate() error }); ok {
			f.Objections(r, check.Validate())
		}
	}
	return f.Err()
}

// Text is the part as the file has it, ${NAME} and all; empty where it is no text or number.
func (r Raw) Text() string {
	text, _ := scalarText(r.node)
	return text
}

// Elements are those of a list, none where nothing is given; false for what is no list.
func (r Raw) Elements() (all []Raw, ok bool) {
	sequence, ok := r.node.(*ast.SequenceNode)
	if !ok {
		return nil, !r.Given()
	}
	for i, element := range sequence.Values {
		part := r
		part.path, part.node, part.at = r.path+"["+called(element, i)+"]", element, element
		all = append(all, part)
	}
	return all, true
}

// Keys are those of a mapping, in its order.
func (r Raw) Keys() []string {
	var keys []string
	values, _ := mappingOf(r.node)
	for _, v := range values {
		keys = append(keys, keyText(v.Key))
	}
	return keys
}

// Behind is what stands behind a key, given or not.
func (r Raw) Behind(key string) Raw {
	part := r
	part.path, part.node = join(r.path, shortened(key)), nil
	values, _ := mappingOf(r.node)
	for _, v := range values {
		if keyText(v.Key) == key {
			part.at, part.node = v.Key, v.Value
		}
	}
	return part
}

// Without is a mapping without some of its keys, for those to be read apart.
func (r Raw) Without(keys ...string) Raw {
	values, ok := mappingOf(r.node)
	if !ok {
		return r
	}
	rest := slices.DeleteFunc(slices.Clone(values), func(v *ast.MappingValueNode) bool { return slices.Contains(keys, keyText(v.Key)) })
	r.node = ast.Mapping(r.node.GetToken(), true, rest...)
	return r
}
