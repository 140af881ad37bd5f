package salesforcefake

import (
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// selection is the only form of SOQL that is understood.
var selection = regexp.MustCompile(`(?is)^\s*SELECT\s+([A-Za-z0-9_,\s]+?)\s+FROM\s+([A-Za-z0-9_]+)(?:\s+WHERE\s+([A-Za-z0-9_]+)\s*(=|IN)\s*(.*?))?(?:\s+LIMIT\s+([0-9]+))?\s*$`)

// most records of one answer.
const mostFound = 2000

// mostQuery is the length of a URL that is still taken.
const mostQuery = 16_384

func (s *Sandbox) query(c *call) answer {
	if len(c.r.URL.RawQuery) > mostQuery {
		return answer{status: http.StatusRequestURITooLong, text: []byte("<h1>Bad Message 414</h1>"), kind: "text/html"}
	}
	m := selection.FindStringSubmatch(c.r.URL.Query().Get("q"))
	if m == nil {
		return failed(http.StatusBadRequest, "MALFORMED_QUERY", "unexpected token")
	}
	t := s.table(m[2])
	if t == nil {
		return failed(http.StatusBadRequest, "INVALID_TYPE", "sObject type '%s' is not supported.", m[2])
	}
	var fields []string
	for f := range strings.SplitSeq(m[1], ",") {
		name, ok := t.queryable(strings.TrimSpace(f))
		if !ok {
			return failed(http.StatusBadRequest, "INVALID_FIELD", "No such column '%s' on entity '%s'.", strings.TrimSpace(f), t.Name)
		}
		fields = append(fields, name)
	}
	candidates := t.order
	matches := func(map[string]jsontext.Value) bool { return true }
	if m[3] != "" {
		where, ok := t.queryable(m[3])
		if !ok {
			return failed(http.StatusBadRequest, "INVALID_FIELD", "No such column '%s' on entity '%s'.", m[3], t.Name)
		}
		list := strings.TrimSpace(m[5])
		if strings.EqualFold(m[4], "IN") {
			var ok bool
			if list, ok = strings.CutPrefix(list, "("); ok {
				list, ok = strings.CutSuffix(list, ")")
			}
			if !ok {
				return failed(http.StatusBadRequest, "MALFORMED_QUERY", "expecting a list")
			}
		}
		f := t.field(where)
		wanted, err := literals(list, f == nil || f.Type != Number)
		if err != nil {
			return failed(http.StatusBadRequest, "MALFORMED_QUERY", "%v", err)
		}
		if t.keys[where] != nil {
			candidates = t.among(where, wanted)
		}
		matches = func(doc map[string]jsontext.Value) bool {
			return doc[where].Kind() != 'n' && wanted[strings.TrimSuffix(keyOf(doc[where]), ".0")]
		}
	}
	limit := mostFound
	if n, err := strconv.Atoi(m[6]); m[6] != "" && err == nil {
		limit = min(n, limit)
	}
	found := []map[string]jsontext.Value{}
	total := 0
	for _, id := range candidates {
		doc := s.document(t, t.records[id], c)
		if !matches(doc) {
			continue
		}
		if total++; len(found) < limit {
			one := map[string]jsontext.Value{"attributes": doc["attributes"]}
			for _, f := range fields {
				one[f] = doc[f]
			}
			found = append(found, one)
		}
	}
	return answer{status: http.StatusOK, value: map[string]any{"totalSize": total, "done": total <= len(found) || m[6] != "", "records": found}}
}

// among are the ids of the records that have one of some external ids.
func (t *table) among(field string, wanted map[string]bool) []string {
	ids := make([]string, 0, len(wanted))
	for key := range wanted {
		if id, ok := t.keys[field][key]; ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// queryable is a field's name as the schema has it.
func (t *table) queryable(field string) (string, bool) {
	for _, own := range []string{"Id", "CreatedDate", "LastModifiedDate", "LastModifiedById"} {
		if strings.EqualFold(own, field) {
			return own, true
		}
	}
	if f := t.field(field); f != nil {
		return f.Name, true
	}
	return "", false
}

// literals reads what stands between the parentheses: strings in quotes, or numbers without, and null.
func literals(list string, quoted bool) (map[string]bool, error) {
	wanted := map[string]bool{}
	for i := 0; ; {
		for i < len(list) && list[i] == ' ' {
			i++
		}
		if i == len(list) {
			return nil, errors.New("a literal is missing")
		}
		var text strings.Builder
		if list[i] == '\'' {
			if !quoted {
				return nil, errors.New("filter criteria should not be enclosed in quotes")
			}
			i++
			for ; i < len(list) && list[i] != '\''; i++ {
				if list[i] == '\\' && i+1 < len(list) {
					i++
					text.WriteByte(unescaped(list[i]))
					continue
				}
				text.WriteByte(list[i])
			}
			if i == len(list) {
				return nil, errors.New("a quote is open")
			}
			i++
		} else {
			for ; i < len(list) && list[i] != ',' && list[i] != ' '; i++ {
				text.WriteByte(list[i])
			}
			if _, err := strconv.ParseFloat(text.String(), 64); err != nil && text.String() != "null" || quoted && text.String() != "null" {
				return nil, errors.New("unexpected token: " + text.String())
			}
		}
		wanted[strings.ToLower(text.String())] = true
		for i < len(list) && list[i] == ' ' {
			i++
		}
		if i == len(list) {
			return wanted, nil
		}
		if list[i] != ',' {
			return nil, errors.New("unexpected token: " + list[i:i+1])
		}
		i++
	}
}

func unescaped(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	}
	return c
}
