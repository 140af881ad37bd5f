package feed

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The namespaces whose elements are a row's (google merchant: XML). A prefix is not looked at; but one that no
// feed has declared is taken for its own name, and many forget to declare this one.
const (
	google     = "http://base.google.com/ns/1.0"
	undeclared = "g"
	atom       = "http://www.w3.org/2005/Atom"
)

// documents reads the rows of an XML document. External entities are not followed: there is no such thing in
// this decoder, and those that a document declares itself are errors.
type documents struct {
	decoder *xml.Decoder
	meter   *meter
	depth   int
	closed  bool // the root has ended
}

func newXML(r io.Reader, m *meter) *documents {
	d := xml.NewDecoder(r)
	d.Entity = xml.HTMLEntity // feeds are full of &nbsp;
	d.CharsetReader = charset
	return &documents{decoder: d, meter: m}
}

// Next is part of [Reader].
func (d *documents) Next() (map[string]any, error) {
	for {
		d.meter.next()
		token, err := d.decoder.Token()
		switch {
		case errors.Is(err, io.EOF) && d.closed:
			return nil, io.EOF
		case err != nil:
			return nil, d.failed(err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if d.closed || d.depth == 0 && t.Name.Local != "rss" && t.Name.Local != "feed" && t.Name.Local != "RDF" {
				return nil, fmt.Errorf("it is no feed: the element %q is neither rss nor feed", clipped(t.Name.Local))
			}
			if t.Name.Local == "item" || t.Name.Local == "entry" && t.Name.Space == atom {
				return d.row()
			}
			d.depth++
		case xml.EndElement:
			d.depth--
			d.closed = d.depth == 0
		case xml.Directive:
			if strings.Contains(string(t), "ENTITY") {
				return nil, errors.New("the feed declares entities of its own, which are not followed")
			}
		}
	}
}

// row reads the elements of a row. Google's count before others of the same name.
func (d *documents) row() (map[string]any, error) {
	own, plain := map[string]any{}, map[string]any{}
	for fields := 0; ; fields++ {
		start, err := d.start()
		if err != nil {
			return nil, err
		}
		if start == nil {
			break
		}
		if fields == maxFields {
			return nil, errFields
		}
		into := plain
		switch start.Name.Space {
		case google, undeclared:
			into = own
		case "", atom:
		default:
			if err := d.decoder.Skip(); err != nil {
				return nil, d.failed(err)
			}
			continue
		}
		v, err := d.value(start, 1)
		if err != nil {
			return nil, err
		}
		if v != nil {
			add(into, start.Name.Local, v)
		}
	}
	if v, there := plain["summary"]; there && plain["description"] == nil {
		plain["description"] = v
	}
	for name, v := range own {
		plain[name] = v
	}
	return plain, nil
}

// start is the next element within the one that is open, or nil at its end.
func (d *documents) start() (*xml.StartElement, error) {
	for {
		token, err := d.decoder.Token()
		if err != nil {
			return nil, d.failed(err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			return &t, nil
		case xml.EndElement:
			return nil, nil
		}
	}
}

// value reads an element: its text, or an object of its elements; nil for an empty one.
func (d *documents) value(start *xml.StartElement, depth int) (any, error) {
	if depth > maxNesting {
		return nil, errNested
	}
	var text strings.Builder
	inner := map[string]any{}
	for {
		token, err := d.decoder.Token()
		if err != nil {
			return nil, d.failed(err)
		}
		switch t := token.(type) {
		case xml.CharData:
			text.Write(t)
		case xml.StartElement:
			v, err := d.value(&t, depth+1)
			if err != nil {
				return nil, err
			}
			if v != nil {
				add(inner, t.Name.Local, v)
			}
		case xml.EndElement:
			said := strings.TrimSpace(text.String())
			switch {
			case len(inner) > 0:
				return inner, nil
			case said != "":
				return said, nil
			}
			return hrefOf(start), nil
		}
	}
}

// hrefOf is the target of a link of Atom's, which is no text; nil of anything else.
func hrefOf(start *xml.StartElement) any {
	if start.Name.Space != atom || start.Name.Local != "link" {
		return nil
	}
	href := ""
	for _, a := range start.Attr {
		switch {
		case a.Name.Local == "rel" && a.Value != "alternate":
			return nil
		case a.Name.Local == "href":
			href = a.Value
		}
	}
	if href == "" {
		return nil
	}
	return href
}

// failed says of an error whether it is the feed's end.
func (d *documents) failed(err error) error {
	var syntax *xml.SyntaxError
	if errors.Is(err, io.EOF) || errors.As(err, &syntax) && syntax.Msg == "unexpected EOF" {
		return fmt.Errorf("%w: its elements are not closed", ErrCutOff)
	}
	return cutOff(fmt.Errorf("reading XML: %w", err))
}

func clipped(text string) string {
	const longest = 80
	if len(text) > longest {
		return strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}
