package main

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/sluicehq/sluice/pkg/currents"
)

// engagementsPath is where the reference of engagement events stands.
const engagementsPath = "schemas/ENGAGEMENTS.md"

const engagementsHead = `# Engagement events

What Braze reports back through Currents stands on the topic ` + "[`braze.engagements`](TOPICS.md#brazeengagements)" + `: a row for each
event, with the columns that most questions need, and the event itself in ` + "`event_json`" + `, as Braze sent it:

` + "```json" + `
{"event_type": "users.messages.email.Click", "id": "…", "time": 1785315688, "user": {…}, "properties": {…}}
` + "```" + `

This page says for each type that is known what stands in ` + "`user` and `properties`" + `, and gives it a view. Braze adds types and
fields whenever it likes; they pass through all the same, stand in ` + "`event_json`" + `, and are reported as drift until they are
listed here.

The types are those of Currents' schemas. *Required* means never null there, which Braze has loosened before: rely on id,
type and time only. *HTTP only* and *files only* are fields that the published samples of the other form lack, files being
the Avro files in object storage that ` + "`sluice backfill currents`" + ` reads; where a file calls a field otherwise, Sluice gives
it the name that HTTP has. A 32-bit number is not exact for money.

This page is generated from the code (` + "`make generate`" + `).

## Views

The views work in PostgreSQL and in DuckDB, over a table or view ` + "`braze.engagements`" + ` that has the columns of the topic.
Braze may send an event more than once, so all of them stand on one that has each once:

` + "```sql" + `
CREATE VIEW braze.engagements_once AS
SELECT DISTINCT ON (event_id) *, CAST(event_json AS json) AS event
FROM braze.engagements
ORDER BY event_id, received_at;
` + "```" + `

` + "`external_user_id` of the event is the column `external_id`, and its `user_id`, Braze's own, is `braze_id`" + `; the column ` + "`user_id`" + ` is
the canonical id, the key that topics are joined by.
`

// engagementsReference is the page about all types of engagement events.
func engagementsReference() string {
	types := currents.Types()
	var sections []string
	for i := range types {
		if !slices.Contains(sections, types[i].Section) {
			sections = append(sections, types[i].Section)
		}
	}
	slices.Sort(sections)
	var b strings.Builder
	b.WriteString(engagementsHead)
	b.WriteString("\n## Types\n\n| type | channel | happens when | since |\n|---|---|---|---|\n")
	for i := range types {
		t := &types[i]
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s | %s |\n", t.Name, anchor(t.Name), cell(t.Channel), cell(t.When), since(t))
	}
	for _, section := range sections {
		fmt.Fprintf(&b, "\n## %s\n", section)
		for i := range types {
			if types[i].Section == section {
				engagement(&b, &types[i])
			}
		}
	}
	return b.String()
}

// since is when a type came, and what is particular about it.
func since(t *currents.Type) string {
	switch {
	case t.Status == currents.Unannounced:
		return "may appear"
	case t.Status == currents.Legacy:
		return "of old"
	case t.Status == currents.Storage:
		return fmt.Sprintf("v%d, files only", t.Since)
	case t.Status == currents.Beta:
		return fmt.Sprintf("v%d, beta", t.Since)
	case t.Since <= 2:
		return ""
	}
	return fmt.Sprintf("v%d", t.Since)
}

// engagement is about one type.
func engagement(b *strings.Builder, t *currents.Type) {
	fmt.Fprintf(b, "\n### %s\n\n%s.\n\n| field | type | |\n|---|---|---|\n", t.Name, strings.ToUpper(t.When[:1])+t.When[1:])
	for i := range t.Fields {
		f := &t.Fields[i]
		var notes []string
		if f.Required {
			notes = append(notes, "required")
		}
		switch f.Only {
		case currents.HTTP:
			notes = append(notes, "HTTP only")
		case currents.Avro:
			notes = append(notes, "files only")
		}
		if f.Avro != "" {
			notes = append(notes, "`"+f.Avro+"` in files")
		}
		fmt.Fprintf(b, "| `%s.%s` | %s | %s |\n", f.In, f.Name, kindOf(f.Kind), strings.Join(notes, ", "))
	}
	fmt.Fprintf(b, "\n```sql\n%s```\n", view(t))
}

func kindOf(k currents.Kind) string {
	switch k {
	case currents.String:
		return "text"
	case currents.Int:
		return "whole number, 32 bits"
	case currents.Long:
		return "whole number, 64 bits"
	case currents.Float:
		return "number, 32 bits"
	case currents.Double:
		return "number, 64 bits"
	case currents.Boolean:
		return "boolean"
	case currents.Strings:
		return "list of texts"
	case currents.JSON:
		return "object"
	}
	return string(k)
}

// columns are the fields that are columns of the topic, and what those are called.
var columns = map[string]string{
	"app_id": "app_id", "campaign_id": "campaign_id", "campaign_name": "campaign_name", "message_variation_id": "message_variation_id",
	"canvas_id": "canvas_id", "canvas_name": "canvas_name", "canvas_variation_id": "canvas_variation_id", "canvas_step_id": "canvas_step_id",
	"canvas_step_message_variation_id": "canvas_step_message_variation_id", "canvas_step_message_variation_api_id": "canvas_step_message_variation_id",
	"send_id": "send_id", "dispatch_id": "dispatch_id", "device_id": "device_id", "channel": "channel",
}

// view is the statement that makes a type's view.
func view(t *currents.Type) string {
	selected := []string{"event_id", "user_id", "external_id", "braze_id", "occurred_at", "received_at", "workspace"}
	for i := range t.Fields {
		f := &t.Fields[i]
		switch column, ok := columns[f.Name]; {
		case f.Name == "user_id" || f.Name == "external_user_id":
		case ok:
			selected = append(selected, column)
		default:
			selected = append(selected, expression(f)+" AS "+f.Name)
		}
	}
	return fmt.Sprintf("CREATE VIEW braze.%s AS\nSELECT %s\nFROM braze.engagements_once\nWHERE event_type = '%s';\n",
		viewName(t.Name), wrap(selected), t.Name)
}

// wrap puts commas between the columns of a SELECT, and so many on a line as are read with ease.
func wrap(selected []string) string {
	var b strings.Builder
	width := len("SELECT ")
	for i, s := range selected {
		switch {
		case i == 0:
		case width+len(s) > 116:
			b.WriteString(",\n       ")
			width = len("SELECT ")
		default:
			b.WriteString(", ")
			width += 2
		}
		b.WriteString(s)
		width += len(s)
	}
	return b.String()
}

// expression takes a field out of the event.
func expression(f *currents.Field) string {
	text := "event->'" + f.In + "'->>'" + f.Name + "'"
	switch f.Kind {
	case currents.Int:
		return "CAST(" + text + " AS integer)"
	case currents.Long:
		return "CAST(" + text + " AS bigint)"
	case currents.Float, currents.Double:
		return "CAST(" + text + " AS double precision)"
	case currents.Boolean:
		return "CAST(" + text + " AS boolean)"
	case currents.Strings, currents.JSON:
		return "event->'" + f.In + "'->'" + f.Name + "'"
	case currents.String:
	}
	return text
}

// viewName is a type's name as one of SQL: users.messages.inappmessage.Click, users_messages_inappmessage_click.
func viewName(typeName string) string {
	var b strings.Builder
	last := '.'
	for _, r := range typeName {
		switch {
		case r == '.':
			b.WriteByte('_')
		case unicode.IsUpper(r) && last != '.':
			b.WriteByte('_')
			fallthrough
		default:
			b.WriteRune(unicode.ToLower(r))
		}
		last = r
	}
	return b.String()
}
