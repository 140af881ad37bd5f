package currents

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/twmb/avro"
	"github.com/twmb/avro/ocf"

	"github.com/sluicehq/sluice/pkg/event"
)

// maxBlock is how many bytes one block of a file may have, as it stands there and unpacked. Braze's
// writers close a block long before.
const maxBlock = 64 << 20

// ReadFile reads one of the Avro files that Currents puts into object storage, and hands each its events
// in the file's order. Compressed files are unpacked: deflate, snappy and zstandard.
//
// A file holds events of one type, which the path says, as event_type=<type>, and else the name of the
// schema. Its records are flat; each becomes the JSON that Braze would have sent over HTTP, and that is
// read as [Read] does: id and time on top, the user's ids and timezone in user, everything else in
// properties; null is left out; the properties of custom events and purchases, a text in the file, are the
// JSON that the text is; 32-bit floats have as many digits as it takes to tell them apart. The same event from
// either source has the same id, but its JSON has not the same bytes, nor always the same fields
// ([Field.Only]).
//
// The workspace is not in the file, so each has to set it. The events are each's to keep. ReadFile ends with
// the first error, of the file or of each, and says at which record, counted from 1; what stood before it
// was handed over.
func ReadFile(r io.Reader, path string, each func(event.Engagement) error) error {
	file, err := ocf.NewReader(r, ocf.WithMaxBlockBytes(maxBlock), ocf.WithMaxDecompressedBlockBytes(maxBlock))
	if err != nil {
		return fmt.Errorf("opening %s: %w", path, err)
	}
	defer file.Close()
	root := file.Schema().Root()
	if root.Type != "record" {
		return fmt.Errorf("opening %s: holds %s values, not records", path, root.Type)
	}
	form := newForm(root, typeOf(path, root))
	for n := 1; ; n++ {
		var record map[string]any
		if err := file.Decode(&record); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading %s: record %d: %w", path, n, err)
		}
		e, err := Read(form.event(record), "", time.Now())
		if err != nil {
			return fmt.Errorf("reading %s: record %d: %w", path, n, err)
		}
		if err := each(e); err != nil {
			return fmt.Errorf("taking record %d of %s: %w", n, path, err)
		}
	}
}

// typeOf is the type of a file's events.
func typeOf(path string, root *avro.SchemaNode) string {
	for segment := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' || r == '\\' }) {
		if name, ok := strings.CutPrefix(segment, "event_type="); ok && name != "" {
			return name
		}
	}
	// dataexport.<connection>.inner.users.messages.email and Click
	name := root.Name
	if root.Namespace != "" {
		name = root.Namespace + "." + name
	}
	if _, inner, ok := strings.Cut("."+name, ".inner."); ok {
		return inner
	}
	return name
}
