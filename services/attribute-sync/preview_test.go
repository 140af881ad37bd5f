package attributesync_test

import (
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/stream"
	attributesync "github.com/sluicehq/sluice/services/attribute-sync"
)

// What a preview says of records is what the service then does with them.
func TestAPreviewSaysWhatTheServiceDoes(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		fields, err := attributesync.LoadFields("")
		if err != nil {
			t.Fatal(err)
		}
		records := []*stream.Record{
			s.profile("u", "1", 1, `{"tier":"gold","city":"Wien"}`),
			s.profile("u", "2", 2, `{"city":"Wien","tier":"gold"}`),
			s.profile("u", "3", 3, `{"tier":"silver","city":"Wien"}`),
			s.profile("u", "4", -5, `{"tier":"bronze"}`),
			s.profile("u", "5", 5, `{"country":"Atlantis"}`),
		}
		preview, state := attributesync.NewPreview(fields, s.source, 24*time.Hour), []byte(nil)
		var cost attributesync.Cost
		for _, record := range records { // none is of one batch with another
			record.Timestamp = time.Now()
			after, c, err := preview.Apply(t.Context(), "u", state, []*stream.Record{record}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			state = after
			cost.Add(c)
		}
		expect(t, "the preview", attributesync.Cost{
			Records: 5, Told: 2, Unchanged: 1, Declined: 1, Refused: 1, Updates: 2, DataPoints: 3, Saved: 3,
		}, cost)

		r := s.start()
		s.one(r, records...)
		expect(t, "the law", map[string]int{"delivered": 2, "skipped unchanged": 1, "skipped stale": 1, "refused invalid": 1}, r.law(5))
		expect(t, "data points", map[string]int{"sent": 3, "same": 3}, r.counters("sluice_attributes_data_points_total", "fate"))

		// A second time nothing would be told, whatever comes together.
		_, cost, err = preview.Apply(t.Context(), "u", state, records[:3], time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if cost.Updates != 0 || cost.DataPoints != 0 {
			t.Errorf("a second time it would cost %+v", cost)
		}
	})
}
