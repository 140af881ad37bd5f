package currents

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/currents"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline/replay"
)

// Drift is something in events that the catalogue does not know. It is no fault: Braze adds types and fields
// when it likes, and all of them pass.
type Drift struct {
	Type      string    `json:"event_type"`
	Field     string    `json:"field,omitempty"` // such as properties.locale_key; empty of an unknown type
	What      string    `json:"what"`            // unknown_type, unknown_field or other_kind
	Events    int       `json:"events"`          // repeats included
	First     time.Time `json:"first_received"`
	Last      time.Time `json:"last_received"`
	Workspace string    `json:"workspace,omitempty"` // of the first one
	// Example is a value of it, masked: letters are x, digits are 9. Of an unknown type it is all its
	// properties.
	Example string `json:"example,omitempty"`
}

// Drifts are all of them, by type and field.
type Drifts struct {
	Since      time.Time `json:"since"`
	Events     int       `json:"events"` // that were looked at
	Drifts     []Drift   `json:"drifts"`
	More       bool      `json:"more"` // there are others, and no room for them
	Unreadable int       `json:"unreadable"`
}

// maxDrifts bounds how many are told apart.
const maxDrifts = 2_000

// FindDrifts reads what came since a moment.
func FindDrifts(ctx context.Context, c *replay.Cluster, since time.Time) (Drifts, error) {
	r, err := open(ctx, c)
	if err != nil {
		return Drifts{}, err
	}
	all := Drifts{Since: since, Drifts: []Drift{}}
	found := map[currents.Drift]*Drift{}
	err = c.Read(ctx, stream.Range{Topic: r.topic, Since: since}, func(rec *stream.Record) error {
		e, ok, err := r.decode(ctx, rec)
		if !ok || e.ReceivedAt.Before(since) { // reading begins with a whole batch
			return err
		}
		all.Events++
		for _, seen := range currents.Drifts(e) {
			d := found[seen]
			if d == nil {
				if len(found) >= maxDrifts {
					all.More = true
					continue
				}
				d = &Drift{
					Type: seen.Type, Field: seen.Field, What: seen.What, First: e.ReceivedAt, Workspace: strings.Clone(e.Workspace),
					Example: example(e.JSON, seen.Field),
				}
				found[seen] = d
			}
			d.Events++
			if e.ReceivedAt.Before(d.First) {
				d.First = e.ReceivedAt
			}
			if e.ReceivedAt.After(d.Last) {
				d.Last = e.ReceivedAt
			}
		}
		return nil
	})
	if err != nil {
		return Drifts{}, err
	}
	for _, d := range found {
		all.Drifts = append(all.Drifts, *d)
	}
	slices.SortFunc(all.Drifts, func(x, y Drift) int {
		return cmp.Or(cmp.Compare(x.Type, y.Type), cmp.Compare(x.Field, y.Field), cmp.Compare(x.What, y.What))
	})
	all.Unreadable = r.unreadable
	return all, nil
}

// example is a field's value in an event, masked; of no field, all properties.
func example(event []byte, field string) string {
	value := jsontext.Value(event)
	if field == "" {
		field = currents.InProperties
	}
	path := []string{field}
	if in, name, nested := strings.Cut(field, "."); nested && (in == currents.InUser || in == currents.InProperties) {
		path = []string{in, name}
	}
	for _, name := range path {
		var members map[string]jsontext.Value
		if json.Unmarshal(value, &members, jsontext.AllowDuplicateNames(true)) != nil {
			return ""
		}
		value = members[name]
	}
	return mask(value)
}
