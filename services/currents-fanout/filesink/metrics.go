package filesink

import "github.com/prometheus/client_golang/prometheus"

// metrics count what a sink has written; the sink's name is a label of the registry's.
type metrics struct {
	files, rows, bytes, misfits prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_fanout_files_" + name, Help: help})
	}
	m := &metrics{
		files:   counter("written_total", "Files written; those written again are counted again."),
		rows:    counter("rows_total", "Rows in them."),
		bytes:   counter("bytes_total", "Bytes of them, as stored."),
		misfits: counter("misfits_total", "Values that did not fit their column: it is null there, and the value stands in event_json."),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.files, m.rows, m.bytes, m.misfits} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) wrote(f manifestFile) {
	m.files.Inc()
	m.rows.Add(float64(f.Rows))
	m.bytes.Add(float64(f.Bytes))
}
