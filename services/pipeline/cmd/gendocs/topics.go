package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/twmb/avro"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/schemas"
)

const topicsHead = `# Topics

Every topic is a public table: one record type, Avro in the Confluent wire format (a zero byte, the
schema's id as four big-endian bytes, the record), subject ` + "`<topic>-value`" + ` in the schema registry.
` + "`TOPIC_PREFIX`" + ` goes before every name. Topics keyed by user share one partition count, so that partition
*n* of each concerns the same people; keys are placed by murmur2, as Kafka's own clients place them. A
record's timestamp is the clock of whoever wrote it; when something happened is a field.

Headers, all of them text: ` + "`event-id`, `source`, `origin` and `hops`" + ` say again what a record is and how it came;
` + "`traceparent`" + ` is that of the request. Writers may add ` + "`priority: backfill`" + ` to what happened long ago: whatever is
happening now goes to Braze before it. ` + "`replayed-from`" + ` names the place that a copy was made of, and ` + "`parts-done`" + ` beside it
how many of the things that a record asks Braze for were done before it was refused.

This page is generated from the code and the ` + "`.avsc`" + ` files (` + "`make generate`" + `); what changed from version
to version stands in ` + "`CHANGELOG.md`" + `.

`

// topicsReference is the page about all topics.
func topicsReference() (string, error) {
	var b strings.Builder
	b.WriteString(topicsHead)
	b.WriteString("| topic | key | cleanup | largest batch | written by | read by |\n|---|---|---|---|---|---|\n")
	for _, t := range schema.Topics() {
		key := "the state's own"
		if t.RecordType != "" {
			root, err := parse(t)
			if err != nil {
				return "", err
			}
			key = keyOf(root.Doc)
		}
		configs := t.Configs()
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s | %s bytes | %s | %s |\n",
			t.Name, anchor(t.Name), cell(key), cell(cleanup(t, configs)), configs["max.message.bytes"], cell(t.WrittenBy), cell(t.ReadBy))
	}
	for _, t := range schema.Topics() {
		if err := section(&b, t); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

func parse(t schema.Topic) (*avro.SchemaNode, error) {
	s, err := avro.Parse(t.Text())
	if err != nil {
		return nil, fmt.Errorf("parsing the schema of %s: %w", t.Name, err)
	}
	return s.Root(), nil
}

// section is about one topic.
func section(b *strings.Builder, t schema.Topic) error {
	if t.RecordType == "" {
		fmt.Fprintf(b, "\n## %s\n\n%s\n\nThe form of its records is the service's own and may change.\n", t.Name, t.Doc)
		return nil
	}
	root, err := parse(t)
	if err != nil {
		return err
	}
	versions, err := schemas.Versions(t.RecordType)
	if err != nil {
		return err
	}
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n", t.Name, t.Doc)
	access := "Written by Sluice only."
	if t.Public {
		access = "Open to other producers."
	}
	fmt.Fprintf(b, "%s %s\n\nRecord `%s.%s`, version %d: [`%s/v%d.avsc`](%s/v%d.avsc).\n\n",
		access, root.Doc, root.Namespace, root.Name, len(versions), t.RecordType, len(versions), t.RecordType, len(versions))
	b.WriteString("| field | type | meaning |\n|---|---|---|\n")
	fields(b, "", root)
	return nil
}

// fields are the rows of a record, those of records inside it behind their field.
func fields(b *strings.Builder, path string, record *avro.SchemaNode) {
	for i := range record.Fields {
		f := &record.Fields[i]
		meaning := f.Doc
		if pii, ok := f.Props["pii"]; ok {
			meaning += fmt.Sprintf(" Personal data: %v.", pii)
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", path+f.Name, cell(typeOf(&f.Type)), cell(meaning))
		if inner, suffix := innerRecord(&f.Type); inner != nil {
			fields(b, path+f.Name+suffix+".", inner)
		}
	}
}

// innerRecord is the record that a type holds, and how a path says that it is inside a list.
func innerRecord(t *avro.SchemaNode) (record *avro.SchemaNode, suffix string) {
	switch t.Type {
	case "record":
		return t, ""
	case "array":
		inner, deeper := innerRecord(t.Items)
		return inner, "[]" + deeper
	case "union":
		for i := range t.Branches {
			if inner, deeper := innerRecord(&t.Branches[i]); inner != nil {
				return inner, deeper
			}
		}
	}
	return nil, ""
}

// typeOf is a type in words.
func typeOf(t *avro.SchemaNode) string {
	switch {
	case t.Type == "union" && len(t.Branches) == 2 && t.Branches[0].Type == "null":
		return typeOf(&t.Branches[1]) + " or null"
	case t.Type == "array":
		return "list of " + typeOf(t.Items)
	case t.Type == "map":
		return "map of " + typeOf(t.Values)
	case t.Type == "record":
		return "`" + t.Name + "`"
	case t.LogicalType == "decimal":
		return fmt.Sprintf("decimal(%d,%d)", t.Precision, t.Scale)
	case t.LogicalType != "":
		return t.Type + ", " + t.LogicalType
	}
	return t.Type
}

// keyOf is what a record's doc says about its key: "Key: the user's canonical id, …".
func keyOf(doc string) string {
	_, after, _ := strings.Cut(doc, "Key")
	_, says, _ := strings.Cut(after, ": ") // "Key and partition: …" too
	sentence, _, _ := strings.Cut(says, ". ")
	return strings.TrimSuffix(sentence, ".")
}

func cleanup(t schema.Topic, configs map[string]string) string {
	policy := configs["cleanup.policy"]
	if policy == "delete" {
		return fmt.Sprintf("delete after %g days", t.Retention.Hours()/(24*time.Hour).Hours())
	}
	return policy
}

// anchor is how Markdown readers name a heading.
func anchor(heading string) string {
	return strings.NewReplacer(".", "", " ", "-").Replace(strings.ToLower(heading))
}

// cell keeps a text within one cell of a table.
func cell(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", `\|`)
}
