package attributesync

import (
	"slices"
	"time"

	"github.com/sluicehq/sluice/services/attribute-sync/profile"
)

// Customer is what is known of one customer, for whoever asks about them.
type Customer struct{ user user }

// ReadCustomer reads a value of the state's topic under its key.
func ReadCustomer(key, value []byte) (*Customer, error) {
	c := &Customer{}
	if err := c.user.decode(key, slices.Clone(value)); err != nil {
		return nil, err
	}
	return c, nil
}

// MutedUntil is until when promotions are held back, and whether that is still to come.
func (c *Customer) MutedUntil(f *Fields, now time.Time) (until time.Time, muted bool) {
	until = f.Support.SuppressedUntil(&c.user.cases)
	return until, until.After(now)
}

// WhyMuted says in one line why promotions are held back, or that they are not.
func (c *Customer) WhyMuted(f *Fields, now time.Time) string {
	return f.Support.WhyMuted(&c.user.cases, now)
}

// Fields are the attributes of which something is known: who wrote them, and when.
func (c *Customer) Fields() []profile.FieldState { return c.user.profile.Fields() }
