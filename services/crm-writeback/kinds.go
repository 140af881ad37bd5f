package crmwriteback

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/quota"
	"github.com/sluicehq/sluice/services/crm-writeback/rules"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
	"github.com/sluicehq/sluice/services/crm-writeback/target/httptarget"
	"github.com/sluicehq/sluice/services/crm-writeback/target/hubspot"
	"github.com/sluicehq/sluice/services/crm-writeback/target/salesforce"
)

// System is one target of writeback.yaml, as its writer sees it.
type System struct {
	Name, Kind    string
	Rate          quota.Rate    // calls of all replicas; zero: as many as it takes
	Linger        time.Duration // longest wait of a lone row for company
	Memory        int64         // bytes that its writer may hold
	Concurrency   int           // calls under way at once, at most the kind's own
	FailureBudget time.Duration
	// Open makes the target, without waiting for its far end.
	Open Opener
}

// Opener makes a target.
type Opener func(ctx context.Context, d target.Deps) (target.Target, error)

// Kind reads what stands under its name in writeback.yaml.
type Kind func(t rules.Target) (Opener, error)

// Kinds are all there are, by the word in writeback.yaml.
type Kinds map[string]Kind

// BuiltIn are the kinds of targets that there are.
var BuiltIn = Kinds{
	rules.Salesforce: KindOf(salesforce.Open),
	rules.HubSpot:    KindOf(hubspot.Open),
	rules.HTTP:       KindOf(httptarget.Open),
}

// KindOf is a Kind with options of type O, a struct with yaml tags whose pointer may have a Validate.
func KindOf[O any](open func(context.Context, O, target.Deps) (target.Target, error)) Kind {
	return func(t rules.Target) (Opener, error) {
		var o O
		if err := t.Options(&o); err != nil {
			return nil, err
		}
		return func(ctx context.Context, d target.Deps) (target.Target, error) { return open(ctx, o, d) }, nil
	}
}

// Systems reads the options of all targets of a file. Its errors are config.Problems, as those of the file are.
func (k Kinds) Systems(set *rules.Set) ([]System, error) {
	var systems []System
	var problems config.Problems
	for _, t := range set.Targets() {
		kind := k[t.Kind]
		if kind == nil {
			return nil, fmt.Errorf("the target %s is of the kind %s, which nobody has", t.Name, t.Kind)
		}
		open, err := kind(t)
		if theirs := config.Problems(nil); errors.As(err, &theirs) {
			problems = append(problems, theirs...)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading the options of the target %s: %w", t.Name, err)
		}
		systems = append(systems, System{
			Name: t.Name, Kind: t.Kind, Rate: t.Rate, Linger: t.Linger, Memory: t.Memory, Concurrency: t.Concurrency,
			FailureBudget: t.FailureBudget, Open: open,
		})
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return systems, nil
}
