package brazefake

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Knobs are what can be turned while the sandbox runs: how slow it is and what goes wrong. The zero
// Knobs are a Braze that is well. Probabilities are from 0 to 1, per request unless they say otherwise.
type Knobs struct {
	// LatencyMin and LatencyMax bound the time between taking a request in and answering it.
	LatencyMin, LatencyMax time.Duration
	// ApplyDelayMin and ApplyDelayMax bound the time between taking a request in and applying it, which
	// does not hold up the answer. Where they differ, two requests can be applied in reverse order.
	ApplyDelayMin, ApplyDelayMax time.Duration

	Down        bool    // everything is answered 503
	P429        float64 // answered 429 although there is quota
	P5xxBefore  float64 // answered 5xx, not applied
	P5xxAfter   float64 // answered 5xx, applied all the same
	PDropBefore float64 // connection closed without an answer, not applied
	PDropAfter  float64 // connection closed without an answer, applied
	PItemError  float64 // per object: refused without a reason

	// RateLimit is how many requests go in each RateWindow; 0 means any number, and then no answer
	// speaks of quota but a 429 that chance has made.
	RateLimit  int
	RateWindow time.Duration // 0 means 3 s
	// PoolLimits are limits of the other pools where they shall differ from the documented ones, such as
	// "general=100/1h,export=none"; "all" stands for every pool that is not named.
	PoolLimits string
	// Dialect of the quota's headers: "epoch" (or nothing), as most accounts have it, or "delta".
	Dialect    string
	RetryAfter time.Duration // what a 429 that chance has made asks for; 0 means 1 s

	// AllFailedStatus is the status when every object of a request is refused: 201 (or 0) or 400.
	AllFailedStatus int
	// AliasEventsIgnored plays those pages of the documentation that say an event cannot create the
	// user of an alias even where it sends _update_existing_only as false.
	AliasEventsIgnored bool
	// EmptyProductsAllowed takes commerce events whose list of products is empty.
	EmptyProductsAllowed bool

	// PlainStatus is the status of success where none is documented: 200, or 201 (or 0).
	PlainStatus int
	// QueuedStatus is the status that comes with the words that an external_send_id has just been queued;
	// 0 means 400.
	QueuedStatus int
	// RenameErrorTexts writes the errors of a rename as sentences instead of objects.
	RenameErrorTexts bool
	// ExportAnyFields lets fields_to_export be left out, as old accounts may.
	ExportAnyFields bool
	// PArbitrary is the probability that the call for a single catalog item is answered arbitrary-error.
	PArbitrary float64
}

// Dialects of the quota's headers.
const (
	DialectEpoch = "epoch" // X-RateLimit-Reset is UTC epoch seconds
	DialectDelta = "delta" // it is seconds left, and a 429 has X-Ratelimit-Retry-After alone
)

// knob is one of the Knobs with the name it has in JSON.
type knob struct {
	name, doc string
	field     func(*Knobs) any // a pointer to it
}

var knobs = []knob{
	{"latency_min", "shortest time to an answer", func(k *Knobs) any { return &k.LatencyMin }},
	{"latency_max", "longest time to an answer", func(k *Knobs) any { return &k.LatencyMax }},
	{"apply_delay_min", "shortest time until a request is applied", func(k *Knobs) any { return &k.ApplyDelayMin }},
	{"apply_delay_max", "longest time until a request is applied", func(k *Knobs) any { return &k.ApplyDelayMax }},
	{"down", "everything is answered 503", func(k *Knobs) any { return &k.Down }},
	{"p429", "probability of a 429 although there is quota", func(k *Knobs) any { return &k.P429 }},
	{"p5xx_before", "probability of a 5xx before applying", func(k *Knobs) any { return &k.P5xxBefore }},
	{"p5xx_after", "probability of a 5xx after applying", func(k *Knobs) any { return &k.P5xxAfter }},
	{"p_drop_before", "probability of a dropped connection before applying", func(k *Knobs) any { return &k.PDropBefore }},
	{"p_drop_after", "probability of a dropped connection after applying", func(k *Knobs) any { return &k.PDropAfter }},
	{"p_item_error", "probability, per object, of being refused", func(k *Knobs) any { return &k.PItemError }},
	{"rate_limit", "requests per window, 0 for any number", func(k *Knobs) any { return &k.RateLimit }},
	{"rate_window", "length of the quota's window, 0s for 3s", func(k *Knobs) any { return &k.RateWindow }},
	{"pool_limits", "of the other pools, as general=100/1h,export=none; all is every pool not named", func(k *Knobs) any { return &k.PoolLimits }},
	{"dialect", "of the quota's headers: epoch or delta", func(k *Knobs) any { return &k.Dialect }},
	{"retry_after", "what a 429 that chance has made asks for, 0s for 1s", func(k *Knobs) any { return &k.RetryAfter }},
	{"all_failed_status", "when every object is refused: 201 or 400", func(k *Knobs) any { return &k.AllFailedStatus }},
	{"alias_events_ignored", "events never create the user of an alias", func(k *Knobs) any { return &k.AliasEventsIgnored }},
	{"empty_products_allowed", "commerce events may have no products", func(k *Knobs) any { return &k.EmptyProductsAllowed }},
	{"plain_status", "of success where none is documented: 200 or 201", func(k *Knobs) any { return &k.PlainStatus }},
	{"queued_status", "with the words that an external_send_id has just been queued", func(k *Knobs) any { return &k.QueuedStatus }},
	{"rename_error_texts", "errors of a rename are sentences", func(k *Knobs) any { return &k.RenameErrorTexts }},
	{"export_any_fields", "fields_to_export may be left out", func(k *Knobs) any { return &k.ExportAnyFields }},
	{"p_arbitrary", "probability of arbitrary-error for a single catalog item", func(k *Knobs) any { return &k.PArbitrary }},
}

// Knobs returns the knobs as they stand.
func (s *Sandbox) Knobs() Knobs { return *s.knobs.Load() }

// SetKnobs turns all knobs at once. Requests under way keep those they began with.
func (s *Sandbox) SetKnobs(k Knobs) error {
	if k.Dialect == "" {
		k.Dialect = DialectEpoch
	}
	if k.RateWindow == 0 {
		k.RateWindow = 3 * time.Second
	}
	if k.RetryAfter == 0 {
		k.RetryAfter = time.Second
	}
	if k.AllFailedStatus == 0 {
		k.AllFailedStatus = http.StatusCreated
	}
	if k.PlainStatus == 0 {
		k.PlainStatus = http.StatusCreated
	}
	if k.QueuedStatus == 0 {
		k.QueuedStatus = http.StatusBadRequest
	}
	if err := k.check(); err != nil {
		return err
	}
	s.knobs.Store(&k)
	return nil
}

func (k *Knobs) check() error {
	var problems []error
	problem := func(name, format string, args ...any) {
		problems = append(problems, fmt.Errorf("knob %s: "+format, append([]any{name}, args...)...))
	}
	for _, knob := range knobs {
		switch v := knob.field(k).(type) {
		case *float64:
			if !(*v >= 0 && *v <= 1) {
				problem(knob.name, "%v is no probability from 0 to 1", *v)
			}
		case *time.Duration:
			if *v < 0 || *v > time.Hour {
				problem(knob.name, "%v is not from 0s to 1h", *v)
			}
		case *int:
			if *v < 0 {
				problem(knob.name, "%d is negative", *v)
			}
		}
	}
	if k.LatencyMin > k.LatencyMax && k.LatencyMax != 0 || k.ApplyDelayMin > k.ApplyDelayMax && k.ApplyDelayMax != 0 {
		problem("…_max", "is less than its …_min")
	}
	if k.Dialect != DialectEpoch && k.Dialect != DialectDelta {
		problem("dialect", "%q is neither epoch nor delta", k.Dialect)
	}
	if k.AllFailedStatus != http.StatusCreated && k.AllFailedStatus != http.StatusBadRequest {
		problem("all_failed_status", "%d is neither 201 nor 400", k.AllFailedStatus)
	}
	if _, err := parsePoolLimits(k.PoolLimits); err != nil {
		problem("pool_limits", "%w", err)
	}
	if k.PlainStatus != http.StatusCreated && k.PlainStatus != http.StatusOK {
		problem("plain_status", "%d is neither 200 nor 201", k.PlainStatus)
	}
	if k.QueuedStatus < 200 || k.QueuedStatus > 599 {
		problem("queued_status", "%d is no status", k.QueuedStatus)
	}
	return errors.Join(problems...)
}

// MarshalJSON writes durations as people do: "250ms".
func (k Knobs) MarshalJSON() ([]byte, error) {
	out := make(map[string]any, len(knobs))
	for _, knob := range knobs {
		switch v := knob.field(&k).(type) {
		case *time.Duration:
			out[knob.name] = v.String()
		default:
			out[knob.name] = v
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON turns those knobs that are named and leaves the others as they were. A name that is
// none of ours is an error.
func (k *Knobs) UnmarshalJSON(data []byte) error {
	var in map[string]json.RawMessage
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("reading knobs: %w", err)
	}
	turned := *k
	for _, knob := range knobs {
		value, named := in[knob.name]
		if !named {
			continue
		}
		delete(in, knob.name)
		if err := knob.set(&turned, value); err != nil {
			return fmt.Errorf("reading knob %s: %w", knob.name, err)
		}
	}
	for name := range in {
		return fmt.Errorf("there is no knob %q", name)
	}
	*k = turned
	return nil
}

func (knob knob) set(k *Knobs, value json.RawMessage) error {
	v, isDuration := knob.field(k).(*time.Duration)
	if !isDuration {
		return json.Unmarshal(value, knob.field(k))
	}
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		return err
	}
	d, err := time.ParseDuration(text)
	*v = d
	return err
}

// putKnobs answers PUT /_sandbox/knobs with the knobs as they then stand.
func (s *Sandbox) putKnobs(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxQuestion))
	k := s.Knobs()
	if err == nil {
		err = json.Unmarshal(body, &k)
	}
	if err == nil {
		err = s.SetKnobs(k)
	}
	if err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	writeJSON(w, http.StatusOK, s.Knobs())
}
