package currents_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/currents"
	"github.com/sluicehq/sluice/pkg/currents/sample"
)

// TestOneEventOfEveryType pins what is read of an event of every type, and the samples themselves: other
// people's tests count on them.
func TestOneEventOfEveryType(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 11))
	var b strings.Builder
	for n, typ := range currents.Types() {
		e, err := currents.Read(sample.Event(rng, typ.Name, n), "eu-retail", arrival)
		if err != nil {
			t.Fatal(err)
		}
		if drifts := currents.Drifts(&e); drifts != nil {
			t.Errorf("%s drifts: %v", typ.Name, drifts)
		}
		fmt.Fprintf(&b, "%s\n  id %s, key %s, channel %q, at %s\n", e.Type, e.ID, e.Key(), e.Channel, e.OccurredAt.Format(time.RFC3339Nano))
		fmt.Fprintf(&b, "  app %q, campaign %q %q %q, Canvas %q %q %q %q %q\n", e.AppID, e.CampaignID, e.CampaignName, e.MessageVariationID,
			e.CanvasID, e.CanvasName, e.CanvasVariationID, e.CanvasStepID, e.CanvasStepMessageVariationID)
		fmt.Fprintf(&b, "  send %q, dispatch %q, device %q\n", e.SendID, e.DispatchID, e.DeviceID)
		if n%8 == 0 {
			fmt.Fprintf(&b, "  %s\n", e.JSON)
		}
	}
	golden(t, "events.txt", b.String())
}
