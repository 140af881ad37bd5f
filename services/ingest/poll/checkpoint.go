package poll

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
)

// checkpoint is how far a source has been read, as it stands on the topic under the source's name. All
// that it says has been read is durable.
type checkpoint struct {
	// Epoch rises with each owner. Where two wrote, because one had not noticed yet that it was one no
	// more, the later owner's counts.
	Epoch int64 `json:"epoch"`
	// Asked is a hash of how the source was asked, and Scale what its marks are of: another file makes
	// places, or marks, of those that stand here mean something else (changed.go).
	Asked string `json:"asked,omitzero"`
	Scale string `json:"scale,omitzero"`
	// Since is the last change that finished rounds have seen.
	Since mark `json:"since"`
	// Cursor is where the next round goes on, of sources whose cursor lasts.
	Cursor string `json:"cursor,omitzero"`
	// Begun is when the last finished round began, Done when it ended; Whole when the last began that
	// read everything.
	Begun time.Time `json:"begun,omitzero"`
	Done  time.Time `json:"done,omitzero"`
	Whole time.Time `json:"whole,omitzero"`
	Round *round    `json:"round,omitzero"` // under way

	Items int64 `json:"items"` // all that became records or dead letters
	Pages int64 `json:"pages"`

	Validators validators `json:"validators,omitzero"`
	Recent     recent     `json:"recent,omitzero"`
	// Doubted are the known items of which something has been told that what is known of them does not say
	// yet (doubt.go).
	Doubted doubted `json:"doubted,omitzero"`
	// AllDoubted says that of a feed too much was told for Doubted to name it: then all of it is told again.
	AllDoubted bool `json:"all_doubted,omitzero"`
}

// round is one reading from the first page to the last.
type round struct {
	Begun time.Time `json:"begun"`
	// Whole says that it reads everything, and not only what has changed.
	Whole bool `json:"whole,omitzero"`
	// Resumed says that another process began it, so that nobody knows all that it has shown.
	Resumed bool `json:"resumed,omitzero"`
	// From is what {since} says, and At where the next page is: nothing for the first.
	From mark   `json:"from"`
	At   string `json:"at,omitzero"`
	// Last is the last change on its pages, and Limit when it began by the clock that is behind, theirs
	// or ours.
	Last  mark      `json:"last"`
	Limit time.Time `json:"limit,omitzero"`

	Items int64 `json:"items"` // on its pages
	Pages int64 `json:"pages"`
}

// validators let a server say that nothing has changed. They belong to one address, and to rounds of
// one page: that the first of several is unchanged says nothing of the others.
type validators struct {
	Of           string `json:"of,omitzero"` // a hash of the address, in which there may be a key
	ETag         string `json:"etag,omitzero"`
	LastModified string `json:"last_modified,omitzero"`
}

// longestPlace bounds a cursor, or the address of a next page.
const longestPlace = 16 << 10

var errCheckpoint = errors.New("it is no checkpoint of ours")

func (c *checkpoint) encode() ([]byte, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encoding the checkpoint: %w", err)
	}
	return text, nil
}

func decodeCheckpoint(text []byte) (checkpoint, error) {
	var c checkpoint
	if err := json.Unmarshal(text, &c); err != nil {
		return checkpoint{}, fmt.Errorf("decoding the checkpoint: %w", err)
	}
	bad := c.Epoch < 1 || c.Items < 0 || c.Pages < 0 || len(c.Cursor) > longestPlace || len(c.Doubted)%hashBytes != 0
	if r := c.Round; r != nil {
		bad = bad || r.Begun.IsZero() || r.Items < 0 || r.Pages < 0 || len(r.At) > longestPlace
	}
	if bad {
		return checkpoint{}, errCheckpoint
	}
	return c, nil
}
