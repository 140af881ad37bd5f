package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Spans of suppression in these stories. Cases of low severity are those that end by themselves while one looks on.
const (
	briefly     = 6 * time.Second
	caseFields  = "support: {suppress: {low: 6s, normal: 7d, high: 14d, urgent: 21d}, renew_step: 0s}\n"
	coolDown    = 24 * time.Hour
	surveyAfter = 24 * time.Hour
	dateTime    = "2006-01-02T15:04:05Z"
)

// report is a report of a support case.
type report struct {
	spot
	event.Case
}

// lives makes up what happens to some customers: each has a few cases, of which reports are lost, come twice and in
// any order.
func lives(dice *rand.Rand, users int, now time.Time) (list []*report) {
	words := event.CaseEvents()
	type arrival struct {
		at time.Time
		*event.Case
	}
	var arriving []arrival
	for u := range users {
		moments := map[int64]bool{} // no two reports of a customer at the same moment: there the rules are finer than here
		for n := range 1 + dice.IntN(3) {
			for range 2 + dice.IntN(7) {
				at := now.Add(-time.Duration(dice.Int64N(int64(60 * time.Hour)))).Truncate(time.Millisecond)
				if moments[at.UnixMilli()] {
					continue
				}
				moments[at.UnixMilli()] = true
				c := &event.Case{
					ID: fmt.Sprintf("%d-%d", u, at.UnixMilli()), User: event.User{ExternalID: fmt.Sprintf("c%06d", u)}, CaseID: strconv.Itoa(n),
					Source: []string{"zendesk", "intercom"}[n%2], Event: words[dice.IntN(len(words))], OccurredAt: at.UTC(), ReceivedAt: now.UTC(),
				}
				if c.Event == event.CaseRated {
					c.Rating = new(int64)
					*c.Rating = dice.Int64N(event.MaxRating + 1)
				} else if dice.IntN(2) == 0 {
					c.Severity = event.Severities()[1+dice.IntN(3)]
				}
				for dice.IntN(10) > 0 { // else it is lost
					arriving = append(arriving, arrival{at.Add(time.Duration(dice.ExpFloat64() * float64(10*time.Hour))), c})
					if dice.IntN(4) > 0 {
						break
					}
				}
			}
		}
	}
	slices.SortFunc(arriving, func(a, b arrival) int { return a.at.Compare(b.at) })
	for _, a := range arriving {
		list = append(list, &report{Case: *a.Case})
	}
	return list
}

// naiveCase is one case's story, told from its beginning.
type naiveCase struct {
	known, open, risky bool
	status             string
	severity           event.Severity
	news               time.Time
	decided            time.Time
	opening, resolved  time.Time
	rated              time.Time
	rating             int64
}

// naive follows reports in the order in which they happened.
func naive(reports []*report) map[string]*naiveCase {
	told := slices.Clone(reports)
	slices.SortStableFunc(told, func(a, b *report) int { return a.OccurredAt.Compare(b.OccurredAt) })
	all := map[string]*naiveCase{}
	for _, r := range told {
		c := all[r.Source+" "+r.CaseID]
		if c == nil {
			c = &naiveCase{}
			all[r.Source+" "+r.CaseID] = c
		}
		if r.Event == event.CaseRated {
			c.rated, c.rating = r.OccurredAt, *r.Rating
			continue
		}
		if !c.known {
			c.decided = r.OccurredAt
		}
		c.known, c.news = true, r.OccurredAt
		if r.Severity != "" {
			c.severity = r.Severity
		}
		switch r.Event {
		case event.CaseResolved:
			c.open, c.status, c.decided, c.resolved = false, "resolved", r.OccurredAt, r.OccurredAt
		case event.CaseOpened, event.CaseReopened, event.CaseEscalated:
			c.open, c.decided, c.opening = true, r.OccurredAt, r.OccurredAt
			c.status = map[event.CaseEvent]string{event.CaseOpened: "open", event.CaseReopened: "reopened", event.CaseEscalated: "escalated"}[r.Event]
			c.risky = c.risky || r.Event == event.CaseEscalated
			if r.Event == event.CaseEscalated && r.Severity == "" && c.severity != event.SeverityUrgent {
				c.severity = event.SeverityHigh
			}
		default:
			c.risky = c.risky || r.Event == event.CaseAtRisk
			if c.status == "" {
				c.open, c.status = true, "open"
			}
		}
	}
	return all
}

// until is how long the case holds promotions back; zero where it does not.
func (c *naiveCase) until() time.Time {
	switch {
	case !c.known:
		return time.Time{}
	case !c.open:
		return wholeSecond(c.resolved.Add(coolDown))
	}
	span := map[event.Severity]time.Duration{"": 7, event.SeverityNormal: 7, event.SeverityHigh: 14, event.SeverityUrgent: 21}[c.severity] * 24 * time.Hour
	if c.severity == event.SeverityLow {
		span = briefly
	}
	return wholeSecond(c.news.Add(span))
}

func wholeSecond(t time.Time) time.Time {
	return t.Add(time.Second - time.Millisecond).Truncate(time.Second)
}

// supported are the attributes that a customer's cases come to.
func supported(all map[string]*naiveCase) map[string]string {
	if len(all) == 0 {
		return map[string]string{}
	}
	open, risky := 0, false
	var until time.Time
	var last, rated *naiveCase
	for _, c := range all {
		if t := c.until(); t.After(until) {
			until = t
		}
		if c.open {
			open++
			risky = risky || c.risky || c.severity == event.SeverityUrgent
		}
		if c.known && (last == nil || c.decided.After(last.decided)) {
			last = c
		}
		if !c.rated.IsZero() && (rated == nil || c.rated.After(rated.rated)) {
			rated = c
		}
	}
	a := map[string]string{"open_cases": strconv.Itoa(open), "at_risk": strconv.FormatBool(risky)}
	if !until.IsZero() {
		a["promotions_suppressed_until"] = until.UTC().Format(`"` + dateTime + `"`)
	}
	if last != nil {
		a["last_case_status"] = strconv.Quote(last.status)
	}
	if rated != nil {
		a["last_case_rating"] = strconv.FormatInt(rated.rating, 10)
	}
	return a
}

// TestCasesEndAsTheyOughtToWhateverIsLost plays random lives of support cases, whose reports come twice, late or never,
// past processes that are killed. In the end each profile is what a naive model says, told once. Then cases are opened
// and everything is lost, the processes too: what stands in the profile passes by itself. And when the processes come
// back, they say once that nothing has been heard of these cases.
func TestCasesEndAsTheyOughtToWhateverIsLost(t *testing.T) {
	seed := number(t, "CHAOS_SEED", uint64(time.Now().UnixNano())%1_000_000)
	users, n := number(t, "CHAOS_CASES", 1_500), number(t, "CHAOS_BLOWS", 6)
	t.Logf("CHAOS_SEED=%d CHAOS_CASES=%d CHAOS_BLOWS=%d", seed, users, n)
	s := newStage(t, seed)
	s.replicas(build(t, Syncer), schema.SupportCases, caseFields, "ATTRIBUTE_BATCH=100", "ATTRIBUTE_LINGER=0s")
	k := &support{stage: s, reports: lives(s.dice, users, time.Now())}
	ctx, cancel := within(t.Context(), 5*time.Minute+time.Duration(n)*10*time.Second, "the whole run")
	defer cancel()
	if err := k.play(ctx, n); err != nil {
		t.Fatal(err)
	}
	k.check()
	t.Logf("seed %d, %v in all: %s\n%s", seed, time.Since(s.began).Round(100*time.Millisecond), s.blown(Syncer), k)
	if len(k.findings) > 0 {
		t.Errorf("%d findings; again with CHAOS_SEED=%d", len(k.findings), seed)
	}
	if k.surveys == 0 || k.winBacks == 0 || k.freed == 0 || s.killed[Syncer] == 0 {
		t.Error("the run tries too little")
	}
}

// support is the story of support cases, and what came of it.
type support struct {
	*stage
	reports []*report
	silent  []*report // of the cases of which nothing is heard any more
	dark    int       // updates of these that there were before anybody came back

	findings                       []Finding
	updates, named, surveys, freed int
	winBacks, doubled, customers   int
}

func (k *support) broken(law, format string, args ...any) {
	k.findings = append(k.findings, Finding{law, fmt.Sprintf(format, args...)})
}

func (k *support) record(r *report) *stream.Record {
	return &stream.Record{
		Topic: k.kafka.Topic(schema.SupportCases), Key: []byte(r.User.ExternalID),
		Value: avro.AppendCase(nil, k.ids[schema.SupportCases], &r.Case),
	}
}

func (k *support) play(ctx context.Context, n int) error {
	if err := k.open(ctx); err != nil {
		return err
	}
	c := &commits{g: k.stands[0].group}
	next := 0
	err := k.stage.play(ctx, c, story{events: len(k.reports), ahead: 500}, blows(k.dice, n, len(k.reports)), func(most int) ([]*stream.Record, func()) {
		most = min(most, 200)
		chunk, of := make([]*stream.Record, most), k.reports[next:next+most]
		next += most
		for i, r := range of {
			chunk[i] = k.record(r)
		}
		return chunk, func() {
			for i, r := range of {
				r.spot = spot{chunk[i].Partition, chunk[i].Offset}
			}
		}
	})
	if err != nil {
		return err
	}
	return k.lose(ctx, c)
}

// lose opens cases of which nothing more is heard, and loses the processes before the date has passed.
func (k *support) lose(ctx context.Context, c *commits) error {
	const silent = 40
	now := time.Now().UTC().Truncate(time.Millisecond)
	var chunk []*stream.Record
	for i := range silent {
		r := &report{Case: event.Case{
			ID: fmt.Sprint("silent-", i), User: event.User{ExternalID: fmt.Sprintf("silent%02d", i)}, CaseID: "1", Source: "zendesk",
			Event: event.CaseOpened, Severity: event.SeverityLow, OccurredAt: now, ReceivedAt: now,
		}}
		k.silent = append(k.silent, r)
		chunk = append(chunk, k.record(r))
	}
	if err := k.producer.ProduceAll(ctx, chunk...); err != nil {
		return err
	}
	all := int64(len(k.reports) + silent)
	if err := k.await(ctx, c, func() bool { return c.records == all && c.committed == all }); err != nil {
		return err
	}
	for _, p := range k.stands {
		if err := p.kill(ctx); err != nil {
			return err
		}
	}
	until := (&naiveCase{known: true, open: true, severity: event.SeverityLow, news: now}).until()
	if !time.Now().Before(until) {
		return errors.New("the machine is too slow for cases that end within seconds")
	}
	if err := pause(ctx, time.Until(until.Add(2*time.Second))); err != nil {
		return err
	}
	want := map[string]string{
		"open_cases": "1", "at_risk": "false", "last_case_status": `"open"`, "promotions_suppressed_until": until.Format(`"` + dateTime + `"`),
	}
	told := map[string][]telling{}
	err := k.tellings(ctx, func(r *stream.Record, u *event.Update) error {
		t, err := tellingOf(r, u)
		if strings.HasPrefix(t.user, "silent") {
			told[t.user] = append(told[t.user], t)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, r := range k.silent {
		list := told[r.User.ExternalID]
		k.dark += len(list)
		if len(list) != 1 || !maps.Equal(list[0].attributes, want) {
			k.broken(Untold, "%s: told before the processes were lost: %v; want %v once", r.User.ExternalID, list, want)
			continue
		}
		date, err := time.Parse(`"`+dateTime+`"`, list[0].attributes["promotions_suppressed_until"])
		if err != nil || !date.Before(time.Now()) {
			k.broken(Untold, "%s: held back until %v, and all is lost: %v", r.User.ExternalID, date, err)
			continue
		}
		k.freed++
	}
	k.say("%d customers are free though everything was lost", k.freed)
	return k.comeBack(ctx)
}

// comeBack starts the processes again, kills one when it may be about to say that cases have lapsed, and waits until all
// is said.
func (k *support) comeBack(ctx context.Context) error {
	for _, p := range k.stands {
		if err := p.wipe(); err != nil {
			return err
		}
		if err := p.start(ctx, true); err != nil {
			return err
		}
	}
	if err := k.stands[0].strike(ctx, blow{hard: true, wiped: true}); err != nil {
		return err
	}
	lapsed := 0
	var failed error
	err := until(ctx, 200*time.Millisecond, func() bool {
		lapsed = 0
		failed = k.tellings(ctx, func(_ *stream.Record, u *event.Update) error {
			if strings.Contains(string(u.Attributes), `"lapsed"`) {
				lapsed++
			}
			return nil
		})
		return failed != nil || lapsed >= len(k.silent)
	})
	if err := errors.Join(err, failed); err != nil {
		return fmt.Errorf("%w: %d cases have lapsed", err, lapsed)
	}
	return k.close(ctx)
}

// check reads what was told and holds it to the naive model.
func (k *support) check() {
	told, triggers := map[string][]telling{}, map[string]int{}
	rounds := map[string]int{} // surveys by case
	err := k.tellings(k.t.Context(), func(r *stream.Record, u *event.Update) error {
		t, err := tellingOf(r, u)
		if u.Trigger == "" {
			told[t.user] = append(told[t.user], t)
			return err
		}
		if triggers[t.id]++; triggers[t.id] > 1 {
			k.broken(Repeated, "trigger %s came %d times", t.id, triggers[t.id])
		}
		if u.Trigger == "support_survey_due" {
			k.surveys++
			part := strings.Split(t.id, ":")
			rounds[t.user+" "+part[1]+" "+part[2]]++
			if ms, err := strconv.ParseInt(part[3], 10, 64); err != nil || time.UnixMilli(ms).Add(surveyAfter).After(time.Now()) {
				k.broken(Strange, "survey %s is not due", t.id)
			}
			return err
		}
		k.winBacks++
		return err
	})
	if err != nil {
		k.t.Fatal(err)
	}
	of, seen := map[string][]*report{}, map[string]bool{}
	for _, r := range k.reports {
		of[r.User.ExternalID] = append(of[r.User.ExternalID], r)
		if id := r.User.ExternalID + r.ID; seen[id] {
			k.doubled++
		} else {
			seen[id] = true
		}
	}
	k.customers = len(of)
	for _, user := range slices.Sorted(maps.Keys(of)) {
		k.checkCustomer(user, of[user], told[user])
		for name, c := range naive(of[user]) {
			due := !c.resolved.IsZero() && !c.open && c.rated.Before(c.opening) && time.Since(c.resolved) > surveyAfter+time.Minute
			if due && c.rated.IsZero() && rounds[user+" "+name] == 0 {
				k.broken(Untold, "%s: case %s was resolved at %v, and nobody is asked how it went", user, name, c.resolved)
			}
		}
	}
	for _, r := range k.silent {
		list := told[r.User.ExternalID]
		want := map[string]string{"open_cases": "0", "last_case_status": `"lapsed"`}
		if len(list) != 2 || !maps.Equal(list[1].attributes, want) {
			k.broken(Untold, "%s: told %v, and ought to be told once more: %v", r.User.ExternalID, list, want)
		}
	}
}

// checkCustomer follows one customer's updates.
func (k *support) checkCustomer(user string, reports []*report, told []telling) {
	index := map[spot]int{}
	for i, r := range reports {
		index[r.spot] = i
	}
	braze, named, next := map[string]string{}, map[int]bool{}, 0
	for n := range told {
		u := &told[n]
		k.updates++
		first, last := len(reports), -1
		for _, c := range u.causes {
			i, theirs := index[c.spot]
			if !theirs || named[i] || i < next && len(u.attributes) > 0 {
				k.broken(Causes, "%s: update %s names %v, which is not theirs or was named before", user, u.id, c.spot)
			}
			named[i] = true
			first, last = min(first, i), max(last, i)
		}
		k.named += len(u.causes)
		if len(u.attributes) == 0 {
			continue // of what came to nothing
		}
		end := max(last, next-1)
		for end < len(reports) && !maps.Equal(u.attributes, difference(braze, supported(naive(reports[:end+1])))) {
			end++
		}
		if end == len(reports) {
			k.broken(Untold, "%s: update %s tells %v, which is no difference from %v after any of %d reports from %d on", user, u.id, u.attributes, braze, len(reports), last)
			end = last
		}
		for name, value := range u.attributes {
			if braze[name] == value {
				k.broken(Repeated, "%s: update %s tells %s %s, which Braze has", user, u.id, name, value)
			}
			braze[name] = value
		}
		next = end + 1
	}
	if want := supported(naive(reports)); !maps.Equal(want, braze) {
		k.broken(Untold, "%s ends as %v, and ought to as %v", user, braze, want)
	}
}

// difference is what differs.
func difference(from, to map[string]string) map[string]string {
	d := map[string]string{}
	for name, value := range to {
		if from[name] != value {
			d[name] = value
		}
	}
	return d
}

// String is the report for a person.
func (k *support) String() string {
	return fmt.Sprintf("  %-12s %d of %d customers, %d of them doubles; %d updates name %d\n", "reports", len(k.reports), k.customers, k.doubled, k.updates, k.named) +
		fmt.Sprintf("  %-12s %d surveys and %d win-backs, none of them twice\n", "triggers", k.surveys, k.winBacks) +
		fmt.Sprintf("  %-12s %d cases opened and all lost, processes too: %d updates until the date had passed, %d customers free\n", "silence", len(k.silent), k.dark, k.freed) +
		listed(slices.SortedFunc(slices.Values(k.findings), func(a, b Finding) int { return cmp.Compare(a.Law, b.Law) }), "every profile as the naive model has it, each difference told once")
}
