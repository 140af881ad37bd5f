package feed_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/services/ingest/feed"
)

func decode(line []byte) (any, error) {
	var v any
	err := json.Unmarshal(line, &v)
	return v, err
}

// read reads a feed to its end.
func read(r io.Reader, format feed.Format) (rows []map[string]any, err error) {
	f, err := feed.Open(r, feed.Options{Format: format, MaxBytes: 64 << 20, Decode: decode})
	if err != nil {
		return nil, err
	}
	for {
		row, err := f.Next()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
}

type (
	row  = map[string]any
	list = []any
)

const rss = `<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:base="http://base.google.com/ns/1.0" xmlns:c="http://base.google.com/cns/1.0"><channel><title>Shop</title><link>https://shop.example.com</link><description>All</description>
 <item><base:id>TRAIL-42</base:id><title>plain</title><base:title>Trail &amp; Runner</base:title><description><![CDATA[Light <b>shoe</b>]]></description><base:link>https://shop.example.com/p/77?a=1&amp;b=2</base:link>
  <base:additional_image_link>https://img.example.com/1.jpg</base:additional_image_link><base:additional_image_link>https://img.example.com/2.jpg</base:additional_image_link>
  <base:product_type>Shoes &gt; Trail</base:product_type><base:price>75.00 EUR</base:price><base:sale_price/><c:margin>9</c:margin><base:brand>Caf&eacute;&nbsp;Acme</base:brand>
  <base:shipping><base:country>AT</base:country><base:service>Standard</base:service><base:price>4.95 EUR</base:price></base:shipping></item>
 <!-- a comment --><item><base:id> trail-42 </base:id></item>
</channel></rss>
`

const atomFeed = `<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0"><title>Shop</title><link rel="self" href="https://shop.example.com/feed"/>
<entry><id>tag:plain</id><g:id>A1</g:id><title>Lamp</title><link href="https://shop.example.com/a1"/><summary>Bright</summary><g:price>1.00 EUR</g:price></entry></feed>`

func TestRowsAreReadAsTheyAreMeant(t *testing.T) {
	trail := row{
		"id": "TRAIL-42", "title": "Trail & Runner", "description": "Light <b>shoe</b>", "link": "https://shop.example.com/p/77?a=1&b=2",
		"additional_image_link": list{"https://img.example.com/1.jpg", "https://img.example.com/2.jpg"}, "product_type": list{"Shoes > Trail"},
		"price": "75.00 EUR", "brand": "Café\u00a0Acme", "shipping": list{row{"country": "AT", "service": "Standard", "price": "4.95 EUR"}},
	}
	for _, c := range []struct {
		name   string
		format feed.Format
		text   string
		want   []row
	}{
		{"RSS with a prefix of its own", feed.XML, rss, []row{trail, {"id": "trail-42"}}},
		{"Atom", feed.XML, atomFeed, []row{{"id": "A1", "title": "Lamp", "link": "https://shop.example.com/a1", "summary": "Bright", "description": "Bright", "price": "1.00 EUR"}}},
		{"a prefix that nobody declares", feed.XML, `<rss><channel><item><g:id>1</g:id></item></channel></rss>`, []row{{"id": "1"}}},
		{"another encoding", feed.XML, `<?xml version="1.0" encoding="ISO-8859-1"?><rss><channel><item><id>` + "\xfc" + `</id></item></channel></rss>`, []row{{"id": "ü"}}},
		{"XML of nothing", feed.XML, `<rss><channel/></rss>`, nil},
		{
			"CSV", feed.CSV, "\ufeffid,Image Link,g:price,additional_image_link,product_type,note\r\nA1,https://i/1,\"15,00 EUR\",\"https://i/2, https://i/3\",\"Home > Women, Dresses\",\"two\r\nlines \"\"quoted\"\"\"\r\na1,,,,,\r\n\r\n",
			[]row{
				{"id": "A1", "image_link": "https://i/1", "price": "15,00 EUR", "additional_image_link": list{"https://i/2", "https://i/3"}, "product_type": list{"Home > Women, Dresses"}, "note": "two\nlines \"quoted\""},
				{"id": "a1"},
			},
		},
		{"CSV whose short rows end in lines", feed.CSV, "id,title,price\n1,Lamp\n2,Bulb,1 EUR", []row{{"id": "1", "title": "Lamp"}, {"id": "2", "title": "Bulb", "price": "1 EUR"}}},
		{"a table of names only", feed.CSV, "id,title\n", nil},
		{"TSV with inches", feed.TSV, "id\ttitle\tshipping\n1\t12\" screen\tUS::Standard:4.95 USD\n2\t\"in \"\"quotes\"\"\"\n", []row{
			{"id": "1", "title": "12\" screen", "shipping": list{"US::Standard:4.95 USD"}}, {"id": "2", "title": "in \"quotes\""},
		}},
		{"JSON by lines, the last without an end", feed.JSON, "{\"id\":\"1\",\"tags\":[null]}\n\n  {\"id\":\"2\"}", []row{{"id": "1", "tags": list{nil}}, {"id": "2"}}},
		{"JSON of nothing", feed.JSON, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, r := range map[string]io.Reader{
				"whole": strings.NewReader(c.text), "byte by byte": iotest.OneByteReader(strings.NewReader(c.text)), "compressed": bytes.NewReader(zipped(t, c.text)),
			} {
				got, err := read(r, c.format)
				if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
					t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
				}
			}
		})
	}
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		var wide []byte
		for _, unit := range utf16.Encode([]rune("\ufeffid\ttitle\n1\tGröße 😀\n")) {
			wide = order.AppendUint16(wide, unit)
		}
		got, err := read(bytes.NewReader(wide), feed.TSV)
		if diff := cmp.Diff([]row{{"id": "1", "title": "Größe 😀"}}, got); diff != "" || err != nil {
			t.Errorf("UTF-16, %s: %v %s", order, err, diff)
		}
	}
}

func zipped(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.WriteString(z, text)
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestNoBeginningOfAFeedIsTakenForAWholeOne cuts XML at every byte, and what is compressed too.
func TestNoBeginningOfAFeedIsTakenForAWholeOne(t *testing.T) {
	for _, text := range []string{rss, atomFeed} {
		for n := range strings.LastIndex(text, ">") {
			if _, err := read(strings.NewReader(text[:n]), feed.XML); err == nil {
				t.Errorf("the first %d bytes pass for the whole of it: …%s", n, text[max(0, n-40):n])
			}
		}
	}
	if _, err := read(strings.NewReader(rss[:len(rss)-20]), feed.XML); !errors.Is(err, feed.ErrCutOff) {
		t.Errorf("got %v", err)
	}
	for format, text := range map[feed.Format]string{feed.CSV: "id,title\n1,Lamp\n", feed.TSV: "id\ttitle\n1\tLamp\n", feed.JSON: "{\"id\":\"1\"}\n", feed.XML: rss} {
		whole := zipped(t, text)
		for n := 1; n < len(whole); n++ {
			if _, err := read(bytes.NewReader(whole[:n]), format); err == nil {
				t.Errorf("%s: the first %d of %d compressed bytes pass for the whole of it", format, n, len(whole))
			}
		}
	}
}

func TestWhatIsNoFeedIsRefused(t *testing.T) {
	long := strings.Repeat("x", feed.MaxRowBytes+200_000)
	for _, c := range []struct {
		name   string
		format feed.Format
		text   string
		want   string
	}{
		{"a page of HTML", feed.XML, "<html><body>Wartung</body></html>", "neither rss nor feed"},
		{"nothing", feed.XML, "", "cut off"},
		{"a second document", feed.XML, "<rss></rss><rss/>", "it is no feed"},
		{"an external entity", feed.XML, `<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]><rss><channel><item><id>&x;</id></item></channel></rss>`, "entities of its own"},
		{"an entity that nobody declares", feed.XML, `<rss><channel><item><id>&x;</id></item></channel></rss>`, "invalid character entity"},
		{"an encoding that is not known", feed.XML, `<?xml version="1.0" encoding="EBCDIC"?><rss/>`, `"EBCDIC" is not known here`},
		{"elements that cross", feed.XML, "<rss><channel><item><a></item></channel></rss>", "reading XML"},
		{"a row that does not end", feed.XML, "<rss><channel><item><id>" + long, "a row is larger than"},
		{"elements within elements", feed.XML, "<rss><channel><item>" + strings.Repeat("<a>", 20), "nested too deeply"},
		{"more fields than anybody reads", feed.XML, "<rss><channel><item>" + strings.Repeat("<a>1</a>", 1001), "more than 1000 fields"},
		{"a table of nothing", feed.CSV, "", "not even a line of names"},
		{"a name twice", feed.CSV, "id,Image Link,image_link\n", `two columns are called "image_link"`},
		{"a row with too many fields", feed.CSV, "id,title\n1,Lamp,red\n", "row 1 has 3 fields"},
		{"a last row that stops", feed.CSV, "id,title,price\n1,Lamp,1 EUR\n2,Bu", "cut off: the last row has 2 of 3 fields"},
		{"a last line that stops", feed.TSV, "id\ttitle\tprice\n1\tLamp\t1 EUR\n2", "cut off: the last row has 1 of 3 fields"},
		{"a quotation that does not end", feed.CSV, "id,title\n1,\"Lamp", "cut off: a quotation does not end"},
		{"a row of CSV that does not end", feed.CSV, "id\n\"" + long, "a row is larger than"},
		{"what is not UTF-8", feed.CSV, "id,title\n1,\xff\n", "it is not UTF-8"},
		{"a line that is no object", feed.JSON, "{}\n7\n", "reading line 2: it is no object"},
		{"a line that is no JSON", feed.JSON, "{}\n{\"id\"\n{}\n", "reading line 2"},
		{"a last line that is cut off", feed.JSON, "{}\n{\"id\":\"1", "the feed is cut off: in line 2"},
		{"a line that does not end", feed.JSON, "{\"id\":\"" + long, "a row is larger than"},
		{"half of a character of UTF-16", feed.TSV, "\xff\xfei\x00d", "cut off"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if rows, err := read(strings.NewReader(c.text), c.format); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v", rows, err)
			}
		})
	}
	bomb := zipped(t, "id\n"+strings.Repeat("1\n", 1<<20))
	f, err := feed.Open(bytes.NewReader(bomb), feed.Options{Format: feed.CSV, MaxBytes: 1 << 16})
	for err == nil {
		_, err = f.Next()
	}
	if !errors.Is(err, feed.ErrTooLong) {
		t.Errorf("a bomb: %v", err)
	}
}

// endless is a feed of many rows, made as it is read.
type endless struct {
	rows, n int
	rest    []byte
}

func (e *endless) Read(p []byte) (int, error) {
	for len(e.rest) == 0 {
		switch {
		case e.n == 0:
			e.rest = []byte("<rss><channel>")
		case e.n <= e.rows:
			e.rest = fmt.Appendf(nil, "<item><id>%d</id><title>%s</title></item>", e.n, strings.Repeat("t", 200))
		case e.n == e.rows+1:
			e.rest = []byte("</channel></rss>")
		default:
			return 0, io.EOF
		}
		e.n++
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// TestMemoryDoesNotGrowWithTheFeed bounds what is allocated for a row, since nothing but the row is kept.
func TestMemoryDoesNotGrowWithTheFeed(t *testing.T) {
	perRow := func(rows int) float64 {
		return testing.AllocsPerRun(1, func() {
			f, err := feed.Open(&endless{rows: rows}, feed.Options{Format: feed.XML, MaxBytes: 1 << 40})
			n := 0
			for ; err == nil; n++ {
				_, err = f.Next()
			}
			if !errors.Is(err, io.EOF) || n != rows+1 {
				t.Fatalf("%d rows, %v", n, err)
			}
		}) / float64(rows)
	}
	if few, many := perRow(500), perRow(5_000); many > few+1 {
		t.Errorf("%.1f allocations for a row of a short feed, %.1f of a long one", few, many)
	}
}

// FuzzFeed gives every format any bytes: there is no panic, an end, and rows of plain values.
func FuzzFeed(f *testing.F) {
	for _, text := range []string{rss, atomFeed, "id,title\n1,\"a\nb\"\n", "id\ttitle\n1\t\"\"\"\n", "{\"id\":1}\n{}", "\xff\xfea\x00", "\x1f\x8b"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, format := range feed.Formats() {
			rows, err := read(bytes.NewReader(text), format)
			if _, failed := json.Marshal(rows); failed != nil {
				t.Fatalf("%s: %v", format, failed)
			}
			again, other := read(iotest.OneByteReader(bytes.NewReader(text)), format)
			if diff := cmp.Diff(rows, again); diff != "" || (err == nil) != (other == nil) {
				t.Fatalf("%s: %v and %v %s", format, err, other, diff)
			}
		}
	})
}
