package shelf

import (
	"bytes"
	"compress/gzip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/event"
)

// Page is an item in one locale, as it is served: prepared once, when it comes in.
type Page struct {
	doc []byte
	sum uint64
	// zipped is made when it is asked for first, since filling a shelf would take ten times as long
	// otherwise. It is empty where compressing does not pay.
	zipped atomic.Pointer[[]byte]
}

// Doc is the JSON object that is served.
func (p *Page) Doc() []byte { return p.doc }

// AppendETag appends a strong entity tag with its quotes. The compressed form has one of its own.
func (p *Page) AppendETag(dst []byte, zipped bool) []byte {
	dst = append(dst, '"')
	dst = strconv.AppendUint(dst, p.sum, 16)
	if zipped {
		dst = append(dst, "-gzip"...)
	}
	return append(dst, '"')
}

// Zipped is Doc compressed by gzip; nil where that does not pay, or is being done: of the many who ask for a
// new page at once one compresses it, and the others have it as it is.
func (p *Page) Zipped() []byte {
	if len(p.doc) < worthZipping {
		return nil
	}
	if z := p.zipped.Load(); z != nil {
		return *z
	}
	if !p.zipped.CompareAndSwap(nil, &zipping) {
		return nil
	}
	z := compress(p.doc)
	p.zipped.Store(&z)
	return z
}

// zipping stands in for a page that is being compressed.
var zipping []byte

// worthZipping is the size from which a page is compressed, and gain how much of it has to go: a packet on
// the wire is not cheaper for being half empty.
const (
	worthZipping = 1 << 10
	gain         = 10 // one part in so many
)

var zippers = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.DefaultCompression) // the level is a good one
	return z
}}

func compress(doc []byte) []byte {
	var b bytes.Buffer
	z := zippers.Get().(*gzip.Writer)
	defer zippers.Put(z)
	z.Reset(&b)
	_, err := z.Write(doc)
	if closing := z.Close(); err != nil || closing != nil || b.Len() > len(doc)-len(doc)/gain {
		return nil
	}
	return bytes.Clone(b.Bytes()) // without what the buffer has to spare
}

// fill prepares a page. Its keys are always all there, with nothing in them where there is nothing, because
// a missing key renders as nothing in Liquid and says so to nobody.
//
//	{"ok":true,"default":false,"collection":"banners","id":"spring","version":"8","locale":"de",
//	 "tags":["hero"],"valid_until":"2026-04-01T00:00:00Z","body":{…},"assets":[{"url":…}]}
func (p *Page) fill(c *event.Content, locale string, body []byte) {
	scratch := scratches.Get().(*[]byte)
	doc := append((*scratch)[:0], `{"ok":true,"default":false,"collection":`...)
	doc = appendText(doc, c.Collection)
	doc = append(doc, `,"id":`...)
	doc = appendText(doc, c.ItemID)
	doc = append(doc, `,"version":"`...)
	doc = AppendVersion(doc, c, body)
	doc = append(doc, `","locale":`...)
	doc = appendText(doc, locale)
	doc = append(doc, `,"tags":[`...)
	for i, tag := range c.Tags {
		doc = appendText(comma(doc, i), tag)
	}
	doc = append(doc, `],"valid_until":"`...)
	if !c.ValidUntil.IsZero() {
		doc = c.ValidUntil.AppendFormat(doc, time.RFC3339)
	}
	doc = append(doc, `","body":`...)
	doc = append(doc, body...)
	doc = append(doc, `,"assets":[`...)
	for i := range c.Assets {
		doc = appendAsset(comma(doc, i), &c.Assets[i])
	}
	doc = append(doc, `]}`...)
	p.doc = bytes.Clone(doc) // without what is to spare
	p.sum = xxhash.Sum64(p.doc)
	if cap(doc) <= mostScratch {
		*scratch = doc
		scratches.Put(scratch)
	}
}

// scratches are where pages are written before it is known how long they are. Larger ones are not kept.
var scratches = sync.Pool{New: func() any { return new([]byte) }}

const mostScratch = 64 << 10

// AppendVersion appends the source's version, or where it has none, one that the body decides.
func AppendVersion(dst []byte, c *event.Content, body []byte) []byte {
	if c.Version != nil {
		return strconv.AppendInt(dst, *c.Version, 10)
	}
	return strconv.AppendUint(append(dst, 'h'), xxhash.Sum64(body), 16)
}

func appendAsset(doc []byte, a *event.ContentAsset) []byte {
	doc = append(doc, `{"url":`...)
	doc = appendText(doc, a.URL)
	doc = append(doc, `,"type":`...)
	doc = appendText(doc, a.MediaType)
	doc = append(doc, `,"rendition":`...)
	doc = appendText(doc, a.Rendition)
	doc = append(doc, `,"width":`...)
	doc = appendSize(doc, a.Width)
	doc = append(doc, `,"height":`...)
	return append(appendSize(doc, a.Height), '}')
}

func appendSize(doc []byte, n *int64) []byte {
	if n == nil {
		return append(doc, `null`...)
	}
	return strconv.AppendInt(doc, *n, 10)
}

func comma(doc []byte, i int) []byte {
	if i > 0 {
		return append(doc, ',')
	}
	return doc
}

// appendText appends a JSON string.
func appendText(dst []byte, s string) []byte {
	quoted, err := jsontext.AppendQuote(dst, s)
	if err != nil { // not UTF-8, which has been replaced as far as that goes
		return quoted
	}
	return quoted
}
