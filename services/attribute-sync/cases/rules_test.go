package cases

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/config"
)

type fields struct {
	Support Rules `yaml:"support"`
}

func load(t *testing.T, text string) (Rules, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "fields.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, _, err := config.Load[fields](config.Options{File: name, Environ: []string{}})
	return got.Support, err
}

func TestTheTagsSayWhatDefaultsSay(t *testing.T) {
	got, err := load(t, "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Defaults(), got); diff != "" {
		t.Error(diff)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
}

const written = `
support:
  attributes: {suppressed_until: quiet_until, at_risk: ""}
  suppress: {low: 0s, urgent: 28d}
  renew_step: 1d
  win_back: {at_most: 3, after: 1d12h}
  forget_after: 45d
  suppress_group: 5b3a5b0e-1111-4222-8333-444455556666
`

func TestASectionIsReadAsItIsWritten(t *testing.T) {
	want := Defaults()
	want.Names.SuppressedUntil, want.Names.AtRisk = "quiet_until", ""
	want.Suppress.Low, want.Suppress.Urgent = 0, 28*Day
	want.RenewStep = Day
	want.WinBack.AtMost, want.WinBack.After = 3, Day+Day/2
	want.ForgetAfter, want.SuppressGroup = 45*Day, "5b3a5b0e-1111-4222-8333-444455556666"
	got, err := load(t, written)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// A file that is decoded into the defaults comes to the same.
	decoded := fields{Defaults()}
	if err := yaml.UnmarshalWithOptions([]byte(written), &decoded, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, decoded.Support); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"quiet_until", "open_cases", "last_case_status", "last_case_rating"}, got.Kept()); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsWrongIsSaidFieldByFieldWithItsLine(t *testing.T) {
	_, err := load(t, `support:
  attributes: {open_cases: external_id, last_case_status: x, last_case_rating: x}
  suppress: {low: 14 days, high: 91d}
  cool_down: -1h
  survey: {after: 1d, at_most: 3}
  win_back: {at_most: 11}
  suppress_group: promotions
`)
	var lines []string
	var problems config.Problems
	if !errors.As(err, &problems) {
		t.Fatal(err)
	}
	for _, p := range problems {
		origin := p.Origin[strings.LastIndex(p.Origin, ":")+1:]
		lines = append(lines, origin+" "+p.Field+": "+p.Allowed)
	}
	want := []string{
		"3 support.suppress.low: a duration such as 90m, 24h or 14d",
		"5 support.survey.at_most: unknown key; known here: trigger, after",
		"6 support.win_back.at_most: a whole number from 0 to 10",
		"3 support.suppress.high: a duration from 0s to 90d",
		"4 support.cool_down: a duration from 0s to 90d",
		"2 support.attributes.open_cases: a name that Braze takes: attributes.external_id has a name that is reserved",
		"2 support.attributes.last_case_rating: a name of its own; attributes.last_case_status has this one",
		"7 support.suppress_group: the id of a subscription group, which is a UUID such as 11111111-2222-3333-4444-555555555555",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
}

func TestACaseIsRememberedForAsLongAsAnythingMayComeOfIt(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Rules)
		want   string
	}{
		{"suppression", func(r *Rules) { r.Suppress.High = 30 * Day }, "30d12h"},
		{"a late double of a resolution", func(r *Rules) { r.Survey.After, r.TooLate = 10*Day, 21*Day }, "31d"},
		{"a late double of a rating", func(r *Rules) { r.WinBack.After, r.TooLate = 10*Day, 21*Day }, "31d"},
		{"the cool-down", func(r *Rules) { r.CoolDown = 60 * Day }, "60d"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := Defaults()
			tt.change(&r)
			var p config.Problem
			if err := r.Validate(); !errors.As(err, &p) || p.Field != "forget_after" || !strings.HasPrefix(p.Allowed, "at least "+tt.want+":") {
				t.Errorf("got %v, want at least %s", err, tt.want)
			}
		})
	}
}

func TestSpan(t *testing.T) {
	for _, tt := range []struct {
		text string
		want time.Duration
		back string // where it is written otherwise
	}{
		{"14d", 336 * time.Hour, ""},
		{"1d12h", 36 * time.Hour, ""},
		{"24h", 24 * time.Hour, "1d"},
		{"0s", 0, ""},
		{"0d", 0, "0s"},
		{"90m", 90 * time.Minute, "1h30m"},
		{"1h", time.Hour, ""},
		{"2d0h", 48 * time.Hour, "2d"},
		{"1d1h0m5s", 25*time.Hour + 5*time.Second, ""},
		{"10m", 10 * time.Minute, ""},
		{"-1h", -time.Hour, ""},
	} {
		var s Span
		if err := s.UnmarshalText([]byte(tt.text)); err != nil || time.Duration(s) != tt.want {
			t.Errorf("%s: %v, %v; want %v", tt.text, time.Duration(s), err, tt.want)
		}
		back := tt.back
		if back == "" {
			back = tt.text
		}
		if s.String() != back {
			t.Errorf("%s is written as %s, want %s", tt.text, s, back)
		}
	}
	for _, text := range []string{"", "d", "14", "1.5d", "-1d", "1d-1h", "1h1d", "99999d", "1w", "1d 1h", "9999999h9999999999h"} {
		var s Span
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is read as %v", text, s)
		}
	}
	decoded := fields{Defaults()}
	err := yaml.UnmarshalWithOptions([]byte("support: {cool_down: 5 days}"), &decoded, yaml.Strict())
	if want := `duration: "5 days"; allowed: a duration such as 90m, 24h or 14d`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestWhereAttributesAreNamed(t *testing.T) {
	r := Defaults()
	r.Names.AtRisk = ""
	want := map[string]string{
		"support.attributes.suppressed_until": "promotions_suppressed_until", "support.attributes.open_cases": "open_cases",
		"support.attributes.at_risk": "", "support.attributes.last_case_status": "last_case_status",
		"support.attributes.last_case_rating": "last_case_rating",
	}
	if diff := cmp.Diff(want, maps.Collect(r.Named())); diff != "" {
		t.Error(diff)
	}
}
