package crmwriteback_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/crm"
)

// spent is the CPU time of this process so far.
func spent() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkWriter has rows taken from Kafka, written in calls of 200 and settled with their deliveries. The broker runs in
// this process too, so cpu-ns/row has its share and both of its clients' in it.
func BenchmarkWriter(b *testing.B) {
	const rows = 50_000
	for b.Loop() {
		b.StopTimer()
		s := newScene(b, "crm")
		e := s.ends["crm"]
		e.form.Rows = 200
		s.systems[0].Memory = 128 << 20
		var writes []crm.Write
		for i := range rows {
			writes = append(writes, row("crm", fmt.Sprintf("w%05d", i), fmt.Sprintf("u%d", i), `{"HasOptedOutOfEmail":true,"LastName":"Lovelace"}`))
		}
		s.write(writes...)
		b.StartTimer()
		began := spent()
		r := s.start()
		r.settled("crm", rows)
		b.ReportMetric(float64(spent()-began)/rows, "cpu-ns/row")
		b.ReportMetric(rows/float64(e.made())/200*100, "%fill")
		b.StopTimer()
		r.stop()
		r.holds("crm")
		b.StartTimer()
	}
}
