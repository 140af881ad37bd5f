package spending

import (
	"errors"
	"iter"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/sluicehq/sluice/pkg/config"
)

// Rules are the commerce part of the fields' file: what the attributes are called. An empty name leaves
// the attribute out, and what it would cost with it.
type Rules struct {
	Orders    string `yaml:"orders"`     // number of orders placed and not cancelled
	LastOrder string `yaml:"last_order"` // when the last was placed
	// Spent is the beginning of a name that ends in the currency: total_spent is total_spent_eur.
	Spent   string `yaml:"spent"`
	Renewal string `yaml:"renewal"` // when the next renewal is due
	Billing string `yaml:"billing"` // active, or past_due while a payment has failed
}

// Defaults are the names that hold where nothing is written.
func Defaults() Rules {
	return Rules{Orders: "orders_placed", LastOrder: "last_order_at", Spent: "total_spent", Renewal: "next_renewal_at", Billing: "billing_status"}
}

// Owned are the attributes that nobody else may write; a * stands for any currency. How payments go is not
// among them: a billing system that says so itself is as good, and the newer of the two counts.
func (r *Rules) Owned() []string {
	var names []string
	for _, name := range []string{r.Orders, r.LastOrder, r.Renewal} {
		if name != "" {
			names = append(names, name)
		}
	}
	if r.Spent != "" {
		names = append(names, r.Spent+"_*")
	}
	return names
}

// Validate reports names that Braze would not take, or that stand for two things.
func (r *Rules) Validate() error {
	var problems []error
	seen := map[string]bool{}
	for _, f := range []struct{ field, name string }{
		{"orders", r.Orders}, {"last_order", r.LastOrder}, {"spent", r.Spent}, {"renewal", r.Renewal}, {"billing", r.Billing},
	} {
		switch {
		case f.name == "":
		case len(f.name) > 200 || strings.TrimSpace(f.name) != f.name || strings.HasPrefix(f.name, "$"):
			problems = append(problems, config.Problem{Field: "commerce." + f.field, Value: f.name, Allowed: "the name of an attribute: at most 200 characters, no space around it, no $ in front; empty for none"})
		case seen[f.name]:
			problems = append(problems, config.Problem{Field: "commerce." + f.field, Value: f.name, Allowed: "a name that no other attribute has"})
		}
		seen[f.name] = true
	}
	return errors.Join(problems...)
}

// Named yields where the fields' file names an attribute, and its name; that of the sums with a * for their
// currency. Those that are left out have an empty one.
func (r *Rules) Named() iter.Seq2[string, string] {
	return func(yield func(field, name string) bool) {
		spent := r.Spent
		if spent != "" {
			spent += "_*"
		}
		_ = yield("commerce.orders", r.Orders) && yield("commerce.last_order", r.LastOrder) && yield("commerce.spent", spent) &&
			yield("commerce.renewal", r.Renewal) && yield("commerce.billing", r.Billing)
	}
}

// hash stands for an id.
func hash(parts ...string) uint64 {
	var d xxhash.Digest
	d.Reset()
	for _, p := range parts {
		_, _ = d.WriteString(p)
		_, _ = d.Write([]byte{0})
	}
	return d.Sum64()
}
