package registry

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/twmb/avro"
)

// Finding is one place where a schema leaves the dialect.
type Finding struct {
	Path   string // the field, such as lines[].price; empty for the record itself
	Rule   int    // the rule's number in the list at [Lint]
	Advice bool   // worth a thought, not a fault
	Text   string // what is there
	Fix    string // what to do
}

// String is the finding on one line.
func (f Finding) String() string {
	path, kind := f.Path, "rule"
	if path == "" {
		path = "the record"
	}
	if f.Advice {
		kind = "advice of rule"
	}
	return fmt.Sprintf("%s: %s (%s %d): %s", path, f.Text, kind, f.Rule, f.Fix)
}

// Lint holds the schema of a public topic against the dialect of Avro that ksqlDB, Flink, ClickHouse,
// DuckDB, Spark, BigQuery and plain clients all read alike. Findings come in the order of the schema.
//
//	 1  One record type a topic, under the subject <topic>-value; no references, no recursion.
//	 3  Unions only as ["null", T] with default null.
//	 4  No enums: a string, the known values in its doc.
//	 5  Times are long with timestamp-millis and a name that ends in _at; dates are int with date.
//	 6  Ids are plain strings, without the uuid logical type.
//	 7  Money is bytes with decimal, the same everywhere, with a currency beside it; never a double.
//	 8  Whole numbers are long, and doubles are measurements. (advice)
//	 9  Maps hold strings; free-form properties are one string named …_json.
//	10  Arrays hold scalars or records: no nulls, no arrays, no maps.
//	11  Names are lower_snake_case, short, unique, and no keywords of the readers; one namespace.
//	12  Every record and field has a doc of one line, and personal data a "pii" property.
//
// (Rule 2 is about keys, and the rules from 13 on are about change, headers and topics.)
func Lint(subject, schema string) []Finding {
	l := linter{records: make(map[string]bool)}
	l.subject(subject)
	parsed, err := ParseSchema(schema)
	if err != nil {
		l.find("", 1, err.Error(), "correct the schema")
		return l.findings
	}
	root := parsed.Root()
	if root.Type != "record" {
		l.find("", 1, "the top level is "+describe(root), "make it a record")
		return l.findings
	}
	l.namespace = root.Namespace
	if l.namespace == "" {
		l.find("", 11, "no namespace", "give the record the namespace of the other topics")
	}
	l.record("", root, false)
	return l.findings
}

type linter struct {
	findings  []Finding
	namespace string
	open      []string        // full names of the records around the place looked at
	records   map[string]bool // names of records seen, in lower case
	decimal   *avro.SchemaNode
}

func (l *linter) find(path string, rule int, text, fix string) {
	l.findings = append(l.findings, Finding{Path: path, Rule: rule, Text: text, Fix: fix})
}

func (l *linter) advise(path string, rule int, text, fix string) {
	l.findings = append(l.findings, Finding{Path: path, Rule: rule, Advice: true, Text: text, Fix: fix})
}

var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

func (l *linter) subject(subject string) {
	topic, ok := strings.CutSuffix(subject, "-value")
	if !ok || !topicName.MatchString(topic) {
		l.find("", 1, fmt.Sprintf("the subject is %q", clipped(subject)), "name it after its topic: <topic>-value")
	}
}

// record looks at a record; priced says that a record around it has a currency.
func (l *linter) record(path string, r *avro.SchemaNode, priced bool) {
	full := fullName(r.Name, r.Namespace)
	l.open = append(l.open, full)
	defer func() { l.open = l.open[:len(l.open)-1] }()

	if r.Namespace != l.namespace {
		l.find(path, 11, fmt.Sprintf("record %s is in namespace %q", clipped(r.Name), clipped(r.Namespace)), fmt.Sprintf("leave the namespace out, so that it is %q", l.namespace))
	}
	if name := strings.ToLower(r.Name); l.records[name] {
		l.find(path, 11, fmt.Sprintf("a second record is called %s", clipped(r.Name)), "give it a name of its own")
	} else {
		l.records[name] = true
	}
	l.doc(path, r.Doc)
	names := make(map[string]string, len(r.Fields))
	for i := range r.Fields {
		priced = priced || isCurrency(&r.Fields[i])
	}
	for i := range r.Fields {
		f := &r.Fields[i]
		at := below(path, f.Name)
		l.name(at, f.Name)
		if twin, taken := names[strings.ToLower(f.Name)]; taken {
			l.find(at, 11, fmt.Sprintf("differs from %s only in case", twin), "rename it; many readers ignore case")
		}
		names[strings.ToLower(f.Name)] = f.Name
		l.doc(at, f.Doc)
		l.field(at, f, priced)
	}
}

// field looks at what only a field has: its default, its properties, and the sense of its name.
func (l *linter) field(path string, f *avro.SchemaField, priced bool) {
	for _, misplaced := range []string{"logicalType", "precision", "scale"} {
		if _, ok := f.Props[misplaced]; ok {
			l.find(path, 5, misplaced+" stands beside the type, where most readers overlook it", `put it inside: "type": {"type": …, "`+misplaced+`": …}`)
		}
	}
	l.pii(path, f)
	t := &f.Type
	if t.Type == "union" {
		if !optional(t) {
			l.find(path, 3, "the type is "+describe(t), `make it ["null", T], null first`)
			for i := range t.Branches {
				if t.Branches[i].Type != "null" {
					l.valueType(path, f.Name, &t.Branches[i], priced)
				}
			}
			return
		}
		if !nullable(f) {
			l.find(path, 3, "it may be null, but null is not its default", `add "default": null`)
		}
		t = &t.Branches[1]
	}
	l.valueType(path, f.Name, t, priced)
}

// valueType looks at a type that is no union; name is the field's.
func (l *linter) valueType(path, name string, t *avro.SchemaNode, priced bool) {
	if strings.HasSuffix(name, "_json") && t.Type != "string" {
		l.find(path, 9, "called …_json, but is "+describe(t), "make it a string that holds a JSON object")
	}
	if l.logical(path, name, t, priced) {
		return
	}
	switch t.Type {
	case "null":
		l.find(path, 3, "it can only be null", `leave it out, or make it ["null", T]`)
	case "int":
		l.advise(path, 8, "a number of 32 bits", "use long, unless 32 bits is the meaning")
	case "float", "double":
		if isMoney(name) {
			l.find(path, 7, "money as "+t.Type, `use {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 9}`)
			break
		}
		l.advise(path, 8, "a number that is not exact", "keep it only for a measurement")
	case "array":
		l.items(path+"[]", name, t.Items, priced)
	case "map":
		if t.Values.Type != "string" || t.Values.LogicalType != "" {
			l.find(path, 9, describe(t), "use a map of string, or one string named …_json")
		}
	case "record":
		l.record(path, t, priced)
	case "enum":
		l.find(path, 4, "an enum", "use string, and list the known values in doc")
	case "boolean", "long", "bytes", "string", "fixed":
	default:
		l.reference(path, t)
	}
	if t.Type != "array" && t.Type != "record" && strings.HasSuffix(name, "_at") {
		l.find(path, 5, "called …_at, but is "+describe(t), `use {"type": "long", "logicalType": "timestamp-millis"}, or another name`)
	}
}

// reference looks at a type that is named here and defined elsewhere in the schema.
func (l *linter) reference(path string, t *avro.SchemaNode) {
	if slices.ContainsFunc(l.open, func(name string) bool { return name == t.Type || unqualified(name) == t.Type }) {
		l.find(path, 1, "the record contains itself", "flatten it, or hold the inner ones as JSON text")
	}
}

func unqualified(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

func (l *linter) items(path, name string, t *avro.SchemaNode, priced bool) {
	switch t.Type {
	case "union":
		l.find(path, 10, "items of "+describe(t), "use one type, and leave out what would be null")
	case "array":
		l.find(path, 10, "an array of arrays", "use an array of records that hold the inner array's values, or JSON text")
	case "map":
		l.find(path, 10, "an array of maps", "use an array of records")
	default:
		l.valueType(path, name, t, priced)
	}
}

// logical looks at a type with a logical type and says whether it has one.
func (l *linter) logical(path, name string, t *avro.SchemaNode, priced bool) bool {
	const time = `use {"type": "long", "logicalType": "timestamp-millis"} in UTC`
	switch logical := t.LogicalType; {
	case logical == "":
		return false
	case logical == "timestamp-millis" && t.Type == "long":
		if !strings.HasSuffix(name, "_at") {
			l.find(path, 5, "a time whose name does not end in _at", "rename it")
		}
	case logical == "date" && t.Type == "int":
		if strings.HasSuffix(name, "_at") {
			l.find(path, 5, "called …_at, but is a date", "end its name in _on or _date")
		}
	case logical == "date":
		l.find(path, 5, describe(t), `use {"type": "int", "logicalType": "date"}`)
	case strings.HasPrefix(logical, "timestamp-"), strings.HasPrefix(logical, "local-timestamp-"):
		l.find(path, 5, describe(t), time)
	case strings.HasPrefix(logical, "time-"), logical == "duration":
		l.find(path, 5, describe(t), time+", or a long with its unit in the name")
	case logical == "uuid":
		l.find(path, 6, describe(t), "use a plain string")
	case logical == "decimal", logical == "big-decimal":
		l.money(path, t, priced)
	default:
		l.find(path, 12, "unknown logical type "+clipped(logical), "leave it out: some readers refuse what they do not know")
	}
	return true
}

func (l *linter) money(path string, t *avro.SchemaNode, priced bool) {
	const fix = `use {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 9}`
	switch {
	case t.Type != "bytes" || t.LogicalType != "decimal":
		l.find(path, 7, describe(t), fix)
	case t.Precision > 38 || t.Scale > 9 || t.Precision-t.Scale > 29:
		l.find(path, 7, describe(t)+" is wider than BigQuery's NUMERIC", fix)
	case l.decimal == nil:
		l.decimal = t
	case t.Precision != l.decimal.Precision || t.Scale != l.decimal.Scale:
		l.find(path, 7, describe(t)+", elsewhere it is "+describe(l.decimal), "use the same everywhere")
	}
	if !priced {
		l.find(path, 7, "an amount without a currency", "add a string field currency (ISO 4217) to this record or one around it")
	}
}

// isCurrency says whether a field can be the currency of its record's amounts.
func isCurrency(f *avro.SchemaField) bool {
	t := &f.Type
	if optional(t) {
		t = &t.Branches[1]
	}
	return t.Type == "string" && endsInWord(f.Name, "currency")
}

var (
	moneyWords = []string{"amount", "price", "total", "subtotal", "cost", "revenue", "tax", "fee", "discount", "balance", "paid", "due", "spent", "mrr", "arr"}
	piiWords   = []string{"email", "phone", "mobile", "first_name", "last_name", "full_name", "surname", "birthday", "birth_date", "date_of_birth", "street", "address", "postal_code", "zip_code", "ip_address", "ssn", "iban", "passport"}
	// keywords are words of SQL, or names that tools give to a record's own parts.
	keywords  = []string{"user", "order", "group", "key", "value", "timestamp", "time", "date", "offset", "partition", "topic", "headers", "rowtime", "rowkey", "rowpartition", "rowoffset", "window"}
	fieldName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

const maxName = 63 // bytes: PostgreSQL's limit for a column

func isMoney(name string) bool {
	return slices.ContainsFunc(moneyWords, func(word string) bool { return endsInWord(name, word) })
}

// endsInWord says whether a snake_case name is word or ends in _word.
func endsInWord(name, word string) bool { return name == word || strings.HasSuffix(name, "_"+word) }

func (l *linter) name(path, name string) {
	if !fieldName.MatchString(name) {
		l.find(path, 11, "the name is not lower_snake_case", "rename it")
	}
	if len(name) > maxName {
		l.find(path, 11, fmt.Sprintf("the name has %d characters", len(name)), fmt.Sprintf("use at most %d", maxName))
	}
	if slices.Contains(keywords, strings.ToLower(name)) {
		l.find(path, 11, "the name is a keyword of SQL or of the tools", "say which: "+strings.ToLower(name)+"_id, occurred_at, sort_order")
	}
}

func (l *linter) doc(path, doc string) {
	switch {
	case strings.TrimSpace(doc) == "":
		l.find(path, 12, "no doc", "say in one line what it is")
	case strings.ContainsAny(doc, "\n\r"):
		l.find(path, 12, "the doc has several lines", "say it in one")
	}
}

func (l *linter) pii(path string, f *avro.SchemaField) {
	property, has := f.Props["pii"]
	if kind, ok := property.(string); has && (!ok || kind == "") {
		l.find(path, 12, `"pii" is not a word`, `name the kind, such as "pii": "email"`)
	}
	if !has && slices.ContainsFunc(piiWords, func(word string) bool { return endsInWord(f.Name, word) }) {
		l.find(path, 12, "looks like personal data", `add the property "pii" with its kind, such as "email"`)
	}
}
