package webhook

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sluicehq/sluice/pkg/jsontree"
)

var (
	errNoElement   = errors.New("there is no element")
	errTwoElements = errors.New("there is more than one element")
	errDirective   = errors.New("a document type is not taken")
)

// element is an XML element on its way to being a value.
type element struct {
	value    map[string]any
	text     strings.Builder
	children []any
}

func openElement(start xml.StartElement) *element {
	attributes := map[string]any{}
	for _, a := range start.Attr {
		if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
			attributes[a.Name.Local] = a.Value
		}
	}
	return &element{value: map[string]any{"name": start.Name.Local, "attributes": attributes}}
}

// close makes a value of the element. Text between children is only how the sender wraps lines.
func (e *element) close() map[string]any {
	text := e.text.String()
	if len(e.children) > 0 {
		text = ""
	}
	if e.children == nil {
		e.children = []any{}
	}
	e.value["text"], e.value["children"] = text, e.children
	return e.value
}

// readXML makes {"name", "attributes", "text", "children"} of the one element that a body is. Names
// lose their namespaces: no vendor has two of one name. Nothing is fetched or expanded, and UTF-8 is
// the only encoding.
func readXML(body []byte) (any, error) {
	value, err := decodeXML(xml.NewDecoder(bytes.NewReader(body)))
	if err != nil {
		return nil, fmt.Errorf("reading XML: %w", shortened(err))
	}
	return value, nil
}

func decodeXML(d *xml.Decoder) (any, error) {
	var open []*element
	var whole map[string]any
	for values := 0; ; {
		token, err := d.Token() // which sees to it that every element ends
		switch {
		case errors.Is(err, io.EOF) && whole == nil:
			return nil, errNoElement
		case errors.Is(err, io.EOF):
			return whole, nil
		case err != nil:
			return nil, err
		}
		switch token := token.(type) {
		case xml.Directive: // a document type can define entities, and no vendor sends one
			return nil, errDirective
		case xml.StartElement:
			values += 1 + len(token.Attr)
			switch {
			case values > jsontree.MaxValues:
				return nil, jsontree.ErrTooMany
			case len(open) > jsontree.MaxDepth:
				return nil, jsontree.ErrTooDeep
			case len(open) == 0 && whole != nil:
				return nil, errTwoElements
			}
			open = append(open, openElement(token))
		case xml.EndElement:
			last := len(open) - 1
			value := open[last].close()
			if open = open[:last]; last == 0 {
				whole = value
			} else {
				open[last-1].children = append(open[last-1].children, value)
			}
		case xml.CharData:
			if len(open) > 0 {
				_, _ = open[len(open)-1].text.Write(token)
			}
		}
	}
}
