package brazesender

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/stream"
)

// spiedView notes what it is asked for, and fails a few times.
type spiedView struct {
	deliveredView
	calls []string
	fails int
}

func (v *spiedView) Assign(_ context.Context, numbers []int32) error {
	v.calls = append(v.calls, fmt.Sprint("assign ", numbers))
	if v.fails--; v.fails >= 0 {
		return errors.New("no Kafka")
	}
	return nil
}

func (v *spiedView) Revoke(numbers []int32) {
	v.calls = append(v.calls, fmt.Sprint("revoke ", numbers))
}

// TestAHalfTakenPartitionIsReadAgain: a takeover that fails behind the restoration leaves no word of it, and
// another member may have delivered since.
func TestAHalfTakenPartitionIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &spiedView{fails: 2}
		s := &Sender{log: zerolog.Nop(), health: &daemon.Health{}, window: &window{delivered: v, patience: time.Minute}}
		parts := []*stream.Partition{{Topic: "a", Number: 3}, {Topic: "b", Number: 3}, {Topic: "a", Number: 1}}
		for range 2 {
			s.restoreWindow(t.Context(), parts)
			if s.window.restoring() {
				t.Error("it is not done")
			}
		}
		want := []string{"revoke [3 1]", "assign [3 1]", "assign [3 1]", "assign [3 1]", "revoke [3 1]", "assign [3 1]"}
		if diff := cmp.Diff(want, v.calls); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}
