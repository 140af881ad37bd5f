package attributesync

import (
	"time"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/attribute-sync/cases"
	"github.com/sluicehq/sluice/services/attribute-sync/profile"
)

// make lets what cases and orders come to change the profile, and returns the triggers that have come due.
func (t *turn) make() (due []cases.Trigger) {
	if t.cases {
		support := &t.s.fields.Support
		passed := support.Advance(&t.user.cases, t.tx.Now)
		due = passed.Triggers
		t.s.batch.tally.lapsed += passed.Lapsed
		t.s.batch.tally.late += passed.TooLate
		for _, a := range support.Attributes(&t.user.cases, t.tx.Now) {
			t.set(supportSource, a.Name, a.Value, t.tx.Now)
		}
		t.group()
	}
	if t.spent {
		for _, a := range t.s.fields.Commerce.Attributes(nil, &t.user.spending) {
			t.set(commerceSource, a.Name, a.Value, a.At)
		}
	}
	t.cases, t.spent = false, false
	return due
}

// set writes one attribute that is made here. Each write is newer than the one before, whatever the clocks
// of two replicas say; to other sources it is as new as what it was made of.
func (t *turn) set(source, name string, value []byte, at time.Time) {
	t.user.revision++
	version := t.user.revision
	no := t.s.fields.Profile.Set(&t.user.profile, name, value, profile.Write{
		Source: source, Version: &version, Time: at, Place: profile.Place{Now: t.tx.Now},
	})
	if no != nil { // a name that was checked, and a value of our own: the profile is full
		t.s.log.Warn().Str("field", name).Err(no).Msg("an attribute of cases or orders is left out")
	}
}

// group takes the customer out of the group that the rules name, or puts them back.
func (t *turn) group() {
	support := &t.s.fields.Support
	say := support.Group(&t.user.cases, t.known(support.SuppressGroup), t.tx.Now)
	if len(say) == 0 {
		return
	}
	t.user.revision++
	version := t.user.revision
	no := t.s.fields.Profile.Apply(&t.user.profile, &event.Profile{
		Source: supportSource, Version: &version, OccurredAt: t.tx.Now, Subscriptions: say,
	}, profile.Place{Now: t.tx.Now})
	if no != nil {
		t.s.log.Warn().Err(no).Msg("a subscription group is left as it is")
	}
}

// known is the state that the customer is known to have in a group, or empty.
func (t *turn) known(group string) string {
	for _, state := range []string{cases.Subscribed, cases.Unsubscribed} {
		if group != "" && t.user.profile.HasSubscription(group, state) {
			return state
		}
	}
	return ""
}
