package avro

import (
	"time"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
)

// AppendProfile appends a customer.profiles record of version 1, header included; id is the id of
// that version's schema in the registry. The change's JSON members must be valid JSON objects.
func AppendProfile(dst []byte, id int, p *event.Profile) []byte {
	dst = AppendHeader(dst, id)
	dst = AppendString(dst, p.ID)
	dst = appendKey(dst, p.User)
	dst = appendUser(dst, p.User)
	dst = AppendOptBytes(dst, p.Set)
	dst = appendArray(dst, len(p.Unset), func(dst []byte, i int) []byte { return AppendString(dst, p.Unset[i]) })
	dst = AppendOptBytes(dst, p.Add)
	dst = AppendOptBytes(dst, p.Remove)
	dst = AppendOptBytes(dst, p.Increment)
	dst = appendArray(dst, len(p.Subscriptions), func(dst []byte, i int) []byte {
		return AppendString(AppendString(dst, p.Subscriptions[i].GroupID), p.Subscriptions[i].State)
	})
	dst = AppendOptString(dst, p.PreviousKey)
	dst = AppendString(dst, p.Source)
	dst = appendOptLong(dst, p.Version)
	dst = AppendTime(dst, p.OccurredAt)
	return AppendTime(dst, p.ReceivedAt)
}

// appendArray appends an array of n items as one block.
func appendArray(dst []byte, n int, item func(dst []byte, i int) []byte) []byte {
	if n > 0 {
		dst = AppendLong(dst, int64(n))
		for i := range n {
			dst = item(dst, i)
		}
	}
	return append(dst, 0) // the end of the blocks
}

// readArray reads an array of items of at least so many bytes each.
func readArray[T any](r *Reader, field string, least int, item func(*Reader) T) (items []T) {
	for n := r.Block(field, least); n > 0; n = r.Block(field, least) {
		if items == nil {
			items = make([]T, 0, min(n, atOnce))
		}
		for ; n > 0 && r.bad == ""; n-- {
			items = append(items, item(r))
		}
	}
	return items
}

// ProfileDecoder reads records of customer.profiles.
type ProfileDecoder = Decoder[event.Profile]

// NewProfileDecoder asks source for each schema id once.
func NewProfileDecoder(source Source) *ProfileDecoder {
	return &ProfileDecoder{source: source, kind: profileKind}
}

var profileKind = kindOf(schema.CustomerProfiles, []plan[event.Profile]{readProfile}, checkEvent, fillProfile)

// readProfile reads the body of a customer.profiles record of version 1. It returns the record's own
// user_id beside the change, which aliases the body.
func readProfile(body []byte, p *event.Profile) (userID string, err error) {
	r := NewReader(body)
	*p = event.Profile{}
	p.ID = r.String("event_id")
	userID, p.User = readUser(&r)
	p.Set = r.OptBytes("set_json")
	p.Unset = readArray(&r, "unset_fields", 1, func(r *Reader) string { return r.String("unset_fields") })
	p.Add = r.OptBytes("add_json")
	p.Remove = r.OptBytes("remove_json")
	p.Increment = r.OptBytes("increment_json")
	p.Subscriptions = readArray(&r, "subscriptions", 2, func(r *Reader) event.Subscription {
		return event.Subscription{GroupID: r.String("subscriptions.group_id"), State: r.String("subscriptions.state")}
	})
	p.PreviousKey = r.OptString("previous_user_id")
	p.Source = r.String("source")
	p.Version = r.optLong("source_version")
	p.OccurredAt = r.Time("occurred_at")
	p.ReceivedAt = r.Time("received_at")
	return userID, r.Err()
}

// wireProfile is version 1 of customer.profiles, as the resolving decoder fills it.
type wireProfile struct {
	wireUser
	EventID       string             `avro:"event_id"`
	SetJSON       *string            `avro:"set_json"`
	UnsetFields   []string           `avro:"unset_fields"`
	AddJSON       *string            `avro:"add_json"`
	RemoveJSON    *string            `avro:"remove_json"`
	IncrementJSON *string            `avro:"increment_json"`
	Subscriptions []wireSubscription `avro:"subscriptions"`
	PreviousKey   *string            `avro:"previous_user_id"`
	Source        string             `avro:"source"`
	Version       *int64             `avro:"source_version"`
	OccurredAt    time.Time          `avro:"occurred_at"`
	ReceivedAt    time.Time          `avro:"received_at"`
}

type wireSubscription struct {
	GroupID string `avro:"group_id"`
	State   string `avro:"state"`
}

func fillProfile(w *wireProfile, p *event.Profile) (userID string, err error) {
	*p = event.Profile{
		ID: w.EventID, User: w.user(), Set: orNil(w.SetJSON), Add: orNil(w.AddJSON), Remove: orNil(w.RemoveJSON), Increment: orNil(w.IncrementJSON),
		PreviousKey: orEmpty(w.PreviousKey), Source: w.Source, Version: w.Version,
		OccurredAt: w.OccurredAt.UTC(), ReceivedAt: w.ReceivedAt.UTC(),
	}
	if len(w.UnsetFields) > 0 {
		p.Unset = w.UnsetFields
	}
	for _, s := range w.Subscriptions {
		p.Subscriptions = append(p.Subscriptions, event.Subscription(s))
	}
	return w.UserID, nil
}
