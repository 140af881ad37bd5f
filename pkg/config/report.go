package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"text/tabwriter"
)

// Report says what every field of a configuration is, and where that came from. It holds no secrets.
type Report struct {
	// Settings has one element per field, in the order of declaration.
	Settings []Setting
}

// Setting is one field's line of a [Report].
type Setting struct {
	Field string `json:"field"`         // path in the YAML file, such as "braze.linger"
	Env   string `json:"env,omitempty"` // environment variable that sets it, if any
	// Value is text (durations too), a number, a boolean, or a list of these or of maps. A secret in
	// it is "set" or "unset".
	Value any `json:"value"`
	// Origin is "default", "sluice.yaml:12", "env BRAZE_LINGER", "file named by BRAZE_API_KEY_FILE";
	// "unset" when no layer said anything.
	Origin string `json:"origin"`
	Secret bool   `json:"secret,omitempty"` // Value is, or has inside, a secret
}

func (l *loader) report(v reflect.Value) *Report {
	r := &Report{}
	l.root.each(func(f *field) {
		origin := l.origins[f.path]
		if origin == "" {
			origin = "unset"
		}
		r.Settings = append(r.Settings, Setting{
			Field: f.path, Env: f.env, Value: plain(f.get(v), f.elem), Origin: origin, Secret: f.secret,
		})
	})
	return r
}

// Table writes aligned columns for a person: field, value, origin.
func (r *Report) Table(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "FIELD\tVALUE\tORIGIN")
	for _, s := range r.Settings {
		value := fmt.Sprint(s.Value)
		if list, ok := s.Value.([]any); ok {
			value = flow(list)
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", s.Field, oneLine(value), oneLine(s.Origin))
	}
	return table.Flush() // which reports what any of the writes met
}

// JSON is the settings as an array, indented.
func (r *Report) JSON() ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(append([]Setting{}, r.Settings...))
	return b.Bytes(), err
}

// YAML is a configuration file that yields the same values again, with each origin as a comment.
// Secrets stand in it as comments only, so they have to be given anew.
func (r *Report) YAML() []byte {
	var b bytes.Buffer
	var above []string
	for _, s := range r.Settings {
		path := strings.Split(s.Field, ".")
		sections, key := path[:len(path)-1], path[len(path)-1]
		shared := 0
		for shared < min(len(sections), len(above)) && sections[shared] == above[shared] {
			shared++
		}
		for i, name := range sections[shared:] {
			fmt.Fprintf(&b, "%s%s:\n", strings.Repeat("  ", shared+i), name)
		}
		above = sections
		hidden := ""
		if s.Secret {
			hidden = "# "
		}
		fmt.Fprintf(&b, "%s%s%s: %s # %s\n", strings.Repeat("  ", len(sections)), hidden, key, flow(s.Value), oneLine(s.Origin))
	}
	return b.Bytes()
}

// flow renders a value on one line, in JSON, which is YAML too.
func flow(value any) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return `"` + oneLine(fmt.Sprint(value)) + `"`
	}
	return strings.TrimSuffix(b.String(), "\n")
}
