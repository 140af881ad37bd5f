package cases

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/config"
)

// Rules are the section support of fields.yaml. [Defaults] are what holds where nothing is written; the
// zero value holds nothing back and remembers nothing. They are only read here, so goroutines may share them.
type Rules struct {
	Names    AttributeNames `yaml:"attributes"`
	Suppress Suppress       `yaml:"suppress"`
	// RenewStep is what the end of suppression is rounded up to. Shorter is more exact; longer costs fewer
	// data points while a case is busy.
	RenewStep Span `yaml:"renew_step" default:"12h" doc:"what the end of suppression is rounded up to, so that news costs at most one data point in so long"`
	// CoolDown is zero where a customer may be written to as soon as his last case is resolved.
	CoolDown Span    `yaml:"cool_down" default:"1d" doc:"how long promotions stay suppressed after the last case was resolved"`
	Survey   Survey  `yaml:"survey"`
	WinBack  WinBack `yaml:"win_back"`
	// TooLate keeps a long outage, or a replay, from asking customers about what they have forgotten.
	TooLate Span `yaml:"too_late" default:"7d" doc:"a survey or win-back that is overdue by so long is not sent"`
	// ForgetAfter has to be longer than anything that may still come of a case.
	ForgetAfter Span `yaml:"forget_after" default:"30d" doc:"a case of which nothing was heard for so long is no longer kept"`
	// SuppressGroup is off where it is empty.
	SuppressGroup    string `yaml:"suppress_group" doc:"id of a subscription group that a customer is taken out of while a case is open"`
	AssumeSubscribed bool   `yaml:"assume_subscribed" doc:"take a customer for subscribed to suppress_group when no source has said; wrong where customers can unsubscribe without our hearing of it, since they are subscribed again afterwards"`
}

// AttributeNames are what the attributes are called in Braze. One with an empty name is not kept.
type AttributeNames struct {
	SuppressedUntil string `yaml:"suppressed_until" default:"promotions_suppressed_until" doc:"date-time until which promotions are to be held back; may be past"`
	OpenCases       string `yaml:"open_cases" default:"open_cases" doc:"how many cases are open"`
	AtRisk          string `yaml:"at_risk" default:"at_risk" doc:"whether an open case is urgent, or was escalated or called at risk"`
	LastStatus      string `yaml:"last_case_status" default:"last_case_status" doc:"open, escalated, reopened, resolved or lapsed"`
	LastRating      string `yaml:"last_case_rating" default:"last_case_rating" doc:"newest rating, 0 to 10"`
}

// Suppress is how long an open case holds promotions back after its last news, by severity; a case of
// which nobody says how severe it is counts as normal. With 0 such cases hold nothing back.
type Suppress struct {
	Low    Span `yaml:"low" default:"3d" doc:"suppression after the last news of a case of low severity; 0 for none"`
	Normal Span `yaml:"normal" default:"7d" doc:"the same for normal severity, or none said"`
	High   Span `yaml:"high" default:"14d" doc:"the same for high severity"`
	Urgent Span `yaml:"urgent" default:"21d" doc:"the same for urgent severity"`
}

// Survey is the event that asks the customer how it went, once a case has stayed resolved for a while.
type Survey struct {
	Trigger string `yaml:"trigger" default:"support_survey_due" doc:"name of the event when a survey is due; empty for none"`
	After   Span   `yaml:"after" default:"1d" doc:"how long a case has to have stayed resolved"`
}

// WinBack is the event that follows a bad rating.
type WinBack struct {
	Trigger string `yaml:"trigger" default:"support_win_back_due" doc:"name of the event when a customer is to be won back; empty for none"`
	AtMost  int    `yaml:"at_most" default:"2" min:"0" max:"10" doc:"highest rating that is a bad one"`
	After   Span   `yaml:"after" default:"1h" doc:"how long after the rating, or after the last case was closed if that is later"`
}

// Defaults make flow 5 work with no configuration. They say the same as the tags.
func Defaults() Rules {
	return Rules{
		Names: AttributeNames{
			SuppressedUntil: "promotions_suppressed_until",
			OpenCases:       "open_cases",
			AtRisk:          "at_risk",
			LastStatus:      "last_case_status",
			LastRating:      "last_case_rating",
		},
		Suppress:    Suppress{Low: 3 * Day, Normal: 7 * Day, High: 14 * Day, Urgent: 21 * Day},
		RenewStep:   Day / 2,
		CoolDown:    Day,
		Survey:      Survey{Trigger: "support_survey_due", After: Day},
		WinBack:     WinBack{Trigger: "support_win_back_due", AtMost: 2, After: Span(time.Hour)},
		TooLate:     7 * Day,
		ForgetAfter: 30 * Day,
	}
}

// MaxSpan is the longest that may be configured anywhere: nobody is muted for longer by one report.
const MaxSpan = 90 * Day

// Validate joins a config.Problem for everything that is wrong. Fields are as in the section.
func (r *Rules) Validate() error {
	var problems []error
	wrong := func(field string, value any, allowed string, args ...any) {
		problems = append(problems, config.Problem{Field: field, Value: value, Allowed: fmt.Sprintf(allowed, args...)})
	}
	for _, s := range []struct {
		field string
		span  Span
		most  Span
	}{
		{"suppress.low", r.Suppress.Low, MaxSpan},
		{"suppress.normal", r.Suppress.Normal, MaxSpan},
		{"suppress.high", r.Suppress.High, MaxSpan},
		{"suppress.urgent", r.Suppress.Urgent, MaxSpan},
		{"renew_step", r.RenewStep, 7 * Day},
		{"cool_down", r.CoolDown, MaxSpan},
		{"survey.after", r.Survey.After, MaxSpan},
		{"win_back.after", r.WinBack.After, MaxSpan},
		{"too_late", r.TooLate, MaxSpan},
		{"forget_after", r.ForgetAfter, 4 * MaxSpan},
	} {
		if s.span < 0 || s.span > s.most {
			wrong(s.field, s.span, "a duration from 0s to %s", s.most)
		}
	}
	if r.WinBack.AtMost < 0 || r.WinBack.AtMost > 10 {
		wrong("win_back.at_most", r.WinBack.AtMost, "a rating from 0 to 10")
	}
	if needed := r.needed(); r.ForgetAfter < needed && len(problems) == 0 {
		wrong("forget_after", r.ForgetAfter, "at least %s: until then a case may still suppress, or a late double of its resolution ask again", needed)
	}
	r.validateNames(wrong)
	if r.SuppressGroup != "" && !isUUID(r.SuppressGroup) {
		wrong("suppress_group", r.SuppressGroup, "the id of a subscription group, which is a UUID such as 11111111-2222-3333-4444-555555555555")
	}
	return errors.Join(problems...)
}

// needed is the shortest time that a case has to be remembered for.
func (r *Rules) needed() Span {
	return max(
		max(r.Suppress.Low, r.Suppress.Normal, r.Suppress.High, r.Suppress.Urgent)+r.RenewStep,
		max(r.Survey.After, r.WinBack.After)+r.TooLate,
		r.CoolDown,
	)
}

func (r *Rules) validateNames(wrong func(field string, value any, allowed string, args ...any)) {
	seen := map[string]string{}
	for _, n := range []struct{ field, name string }{
		{"attributes.suppressed_until", r.Names.SuppressedUntil},
		{"attributes.open_cases", r.Names.OpenCases},
		{"attributes.at_risk", r.Names.AtRisk},
		{"attributes.last_case_status", r.Names.LastStatus},
		{"attributes.last_case_rating", r.Names.LastRating},
	} {
		if n.name == "" {
			continue
		}
		object, err := jsontext.AppendQuote([]byte("{"), n.name)
		if err != nil {
			wrong(n.field, n.name, "a name in UTF-8")
			continue
		}
		if v := braze.CheckAttributes(append(object, ":0}"...)); v != nil {
			wrong(n.field, n.name, "a name that Braze takes: %s", v)
		}
		if other := seen[n.name]; other != "" {
			wrong(n.field, n.name, "a name of its own; %s has this one", other)
		}
		seen[n.name] = n.field
	}
	for _, n := range []struct{ field, name string }{{"survey.trigger", r.Survey.Trigger}, {"win_back.trigger", r.WinBack.Trigger}} {
		if len(n.name) > MaxText {
			wrong(n.field, n.name, "a name of at most %d bytes", MaxText)
		}
	}
}

// Kept are the names of the attributes that are kept, so that nobody else writes them.
func (r *Rules) Kept() []string {
	var names []string
	for _, n := range []string{r.Names.SuppressedUntil, r.Names.OpenCases, r.Names.AtRisk, r.Names.LastStatus, r.Names.LastRating} {
		if n != "" {
			names = append(names, n)
		}
	}
	return names
}

// Named yields where the fields' file names an attribute, and its name, empty where it is left out.
func (r *Rules) Named() iter.Seq2[string, string] {
	return func(yield func(field, name string) bool) {
		const section = "support.attributes."
		_ = yield(section+"suppressed_until", r.Names.SuppressedUntil) && yield(section+"open_cases", r.Names.OpenCases) &&
			yield(section+"at_risk", r.Names.AtRisk) && yield(section+"last_case_status", r.Names.LastStatus) &&
			yield(section+"last_case_rating", r.Names.LastRating)
	}
}

// of is the span of a severity, in milliseconds.
func (s *Suppress) of(importance uint8) int64 {
	switch importance {
	case low:
		return s.Low.ms()
	case high:
		return s.High.ms()
	case urgent:
		return s.Urgent.ms()
	}
	return s.Normal.ms()
}
