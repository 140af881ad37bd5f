package httpsink

import (
	"cmp"
	_ "embed"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/config"
)

// A preset puts what a receiver wants where the options say nothing.
type preset func(o *Options, c *check)

func presets() map[string]preset {
	return map[string]preset{"clickhouse": clickhouse, "bigquery": bigquery, "segment": segment, "posthog": posthog}
}

func presetNames() string { return strings.Join(slices.Sorted(maps.Keys(presets())), ", ") }

// Presets lists the presets there are, by name.
func Presets() []string { return slices.Sorted(maps.Keys(presets())) }

var (
	//go:embed preset/clickhouse.jq
	clickhouseTemplate string
	//go:embed preset/clickhouse_verdicts.jq
	clickhouseVerdicts string
	//go:embed preset/bigquery.jq
	bigqueryTemplate string
	//go:embed preset/bigquery_verdicts.jq
	bigqueryVerdicts string
	//go:embed preset/segment.jq
	segmentTemplate string
	//go:embed preset/posthog.jq
	posthogTemplate string
)

// clickhouse is ClickHouse's HTTP interface: an INSERT with a row in each line. The token makes a block
// that comes again be recognised, where the table keeps tokens.
func clickhouse(o *Options, c *check) {
	o.Format = cmp.Or(o.Format, formatNDJSON)
	o.Template = cmp.Or(o.Template, clickhouseTemplate)
	o.Verdicts = cmp.Or(o.Verdicts, clickhouseVerdicts)
	query := map[string]config.Secret{
		"insert_deduplication_token": batchIDMark,
		"date_time_input_format":     "best_effort",
		"wait_end_of_query":          "1", // else a 200 may come before something fails
	}
	u, err := url.Parse(o.URL)
	switch {
	case o.Query["query"] != "" || err == nil && u.Query().Has("query"):
	case !isTable(o.Table):
		c.wrong("table", o.Table, "the name of a table, or database.table: letters, digits and underscores")
	default:
		query["query"] = config.Secret("INSERT INTO `" + strings.ReplaceAll(o.Table, ".", "`.`") + "` FORMAT JSONEachRow")
	}
	maps.Copy(query, o.Query)
	o.Query = query
}

// isTable reports whether a text names a table that needs no thought about quotes.
func isTable(name string) bool {
	parts := strings.Split(name, ".")
	return len(parts) <= 2 && !slices.ContainsFunc(parts, func(part string) bool {
		return part == "" || strings.ContainsFunc(part, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_'
		})
	})
}

// bigquery is BigQuery's tabledata.insertAll. It answers 200 and tells of bad rows in the body.
func bigquery(o *Options, _ *check) {
	o.Template = cmp.Or(o.Template, bigqueryTemplate)
	o.Verdicts = cmp.Or(o.Verdicts, bigqueryVerdicts)
	// With skipInvalidRows the good rows of a request go in beside the bad ones.
	o.Envelope = cmp.Or(o.Envelope, `{"skipInvalidRows":true,"rows":[...]}`)
	o.MaxBytes = cmp.Or(o.MaxBytes, 9_500_000)
	o.MaxEvents = cmp.Or(o.MaxEvents, 500)
	o.Auth.Scheme = cmp.Or(o.Auth.Scheme, schemeGoogle)
	if o.Auth.Scheme == schemeGoogle && len(o.Auth.Scopes) == 0 {
		o.Auth.Scopes = []string{"https://www.googleapis.com/auth/bigquery.insertdata"}
	}
}

// segment is the batch call of Segment's HTTP tracking API, which others speak too.
func segment(o *Options, c *check) {
	o.URL = cmp.Or(o.URL, "https://api.segment.io/v1/batch")
	o.Template = cmp.Or(o.Template, segmentTemplate)
	o.Envelope = cmp.Or(o.Envelope, `{"batch":[...]}`)
	o.MaxBytes = cmp.Or(o.MaxBytes, 475_000) // of 500 KB, as their own libraries leave some room
	o.MaxEvents = cmp.Or(o.MaxEvents, 2_500)
	o.MaxEventBytes = cmp.Or(o.MaxEventBytes, 32_000)
	if o.Auth.Scheme == "" && needKey(o, c, "the write key of the source is needed") {
		o.Auth = Auth{Scheme: schemeBasic, Username: o.Key.Reveal()} // without a password
	}
}

// posthog is the batch call of PostHog's capture API.
func posthog(o *Options, c *check) {
	o.Template = cmp.Or(o.Template, posthogTemplate)
	if o.Envelope == "" && needKey(o, c, "the project's API key is needed") {
		key, err := jsontext.AppendQuote(nil, o.Key.Reveal())
		if err != nil {
			c.wrong("key", o.Key, "a text in UTF-8")
		}
		o.Envelope = config.Secret(fmt.Sprintf(`{"api_key":%s,"batch":[...]}`, key))
	}
}

func needKey(o *Options, c *check, why string) bool {
	c.need("key", o.Key.Reveal(), why)
	return o.Key.Reveal() != ""
}
