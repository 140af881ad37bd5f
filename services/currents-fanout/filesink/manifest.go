package filesink

import (
	"fmt"

	"github.com/go-json-experiment/json"

	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// manifest is the last object that is written of a stretch, and says that all of it is there. It is one
// line of JSON, so that all of them together are JSON lines. Its bytes follow from the events alone.
type manifest struct {
	Topic     string         `json:"topic"`
	Partition int32          `json:"partition"`
	First     int64          `json:"first"` // offset
	End       int64          `json:"end"`   // the offset behind the last
	Rows      int64          `json:"rows"`
	Bytes     int64          `json:"bytes"`
	Files     []manifestFile `json:"files"`
}

// manifestFile is one file of a stretch.
type manifestFile struct {
	Path      string `json:"path"` // within the prefix
	EventType string `json:"event_type"`
	Date      string `json:"date"`
	Rows      int64  `json:"rows"`
	Bytes     int64  `json:"bytes"`
	SHA256    string `json:"sha256"` // of the file, in lower-case hexadecimal digits
}

func manifestKey(st sink.Stretch) string {
	return manifestFolder + stretchName(st.Topic, st.Partition, st.First) + ".json"
}

func newManifest(st sink.Stretch, files []manifestFile) manifest {
	m := manifest{Topic: st.Topic, Partition: st.Partition, First: st.First, End: st.End, Files: files}
	for _, f := range files {
		m.Rows += f.Rows
		m.Bytes += f.Bytes
	}
	return m
}

func (m manifest) bytes() ([]byte, error) {
	data, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("writing a manifest: %w", err)
	}
	return append(data, '\n'), nil
}
