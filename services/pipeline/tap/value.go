package tap

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	twmb "github.com/twmb/avro"

	"github.com/sluicehq/sluice/pkg/avro"
)

// plan renders what was written with one schema.
type plan struct {
	root  *twmb.SchemaNode
	named map[string]*twmb.SchemaNode // records, enums and fixed, which may be referred to by name
	bad   error
}

func newPlan(text string) *plan {
	s, err := twmb.Parse(text)
	if err != nil {
		return &plan{bad: &avro.Unreadable{Reason: "incompatible_schema", Detail: "parsing the writer's schema: " + err.Error()}}
	}
	p := &plan{root: s.Root(), named: map[string]*twmb.SchemaNode{}}
	p.collect(p.root)
	return p
}

// collect finds the definitions of named types.
func (p *plan) collect(n *twmb.SchemaNode) {
	if n.Name != "" {
		p.named[n.Name] = n
		if n.Namespace != "" {
			p.named[n.Namespace+"."+n.Name] = n
		}
	}
	for i := range n.Fields {
		p.collect(&n.Fields[i].Type)
	}
	for i := range n.Branches {
		p.collect(&n.Branches[i])
	}
	for _, inner := range []*twmb.SchemaNode{n.Items, n.Values} {
		if inner != nil {
			p.collect(inner)
		}
	}
}

// Bounds of what is rendered, so that a hostile record fills neither memory nor screen.
const (
	maxRendered = 64 << 20 // bytes
	maxDepth    = 64
	maxNothings = 10_000 // items of an array that take no bytes of the record
)

// render makes JSON of a body.
func (p *plan) render(body []byte, expand bool) (json.RawMessage, error) {
	if p.bad != nil {
		return nil, p.bad
	}
	v := value{plan: p, in: body, expand: expand}
	v.node(p.root, 0)
	if v.bad == "" && len(v.in) > 0 {
		v.bad = "bytes are left over behind the last field"
	}
	if v.bad != "" {
		return nil, &avro.Unreadable{Reason: "undecodable", Detail: v.bad}
	}
	return v.out, nil
}

// value is one body on its way to JSON. The first thing that is wrong sticks.
type value struct {
	plan   *plan
	in     []byte
	out    []byte
	expand bool
	path   []string
	bad    string
}

func (v *value) fail(what string) {
	if v.bad == "" {
		v.bad = strings.TrimPrefix(strings.Join(v.path, ".")+": "+what, ": ")
	}
	v.in = nil
}

func (v *value) long() int64 {
	n, size := binary.Varint(v.in)
	if size <= 0 {
		v.fail("a number is cut off or too long")
		return 0
	}
	v.in = v.in[size:]
	return n
}

// take is the next n bytes.
func (v *value) take(n int64) []byte {
	if n < 0 || n > int64(len(v.in)) {
		v.fail("it claims more bytes than there are")
		return nil
	}
	b := v.in[:n]
	v.in = v.in[n:]
	return b
}

func (v *value) bytes() []byte { return v.take(v.long()) }

// node renders one value of the type n.
func (v *value) node(n *twmb.SchemaNode, depth int) {
	if v.bad != "" {
		return
	}
	if depth > maxDepth || len(v.out) > maxRendered {
		v.fail("it is too deep or too large to be shown")
		return
	}
	switch n.Type {
	case "null":
		v.out = append(v.out, "null"...)
	case "boolean":
		if b := v.take(1); v.bad == "" {
			v.out = strconv.AppendBool(v.out, b[0] != 0)
		}
	case "int", "long":
		v.whole(n, v.long())
	case "float":
		if b := v.take(4); v.bad == "" {
			v.float(float64(math.Float32frombits(binary.LittleEndian.Uint32(b))), 32)
		}
	case "double":
		if b := v.take(8); v.bad == "" {
			v.float(math.Float64frombits(binary.LittleEndian.Uint64(b)), 64)
		}
	case "string":
		v.out = appendJSON(v.out, string(v.bytes()))
	case "bytes":
		v.blob(n, v.bytes())
	case "fixed":
		v.blob(n, v.take(int64(n.Size)))
	case "enum":
		if i := v.long(); i >= 0 && i < int64(len(n.Symbols)) {
			v.out = appendJSON(v.out, n.Symbols[i])
		} else {
			v.fail("the enum has no such symbol")
		}
	case "union":
		if i := v.long(); i >= 0 && i < int64(len(n.Branches)) {
			v.node(&n.Branches[i], depth+1)
		} else {
			v.fail("the union has no such branch")
		}
	case "record", "error":
		v.record(n, depth)
	case "array":
		v.blocks('[', ']', func() { v.node(n.Items, depth+1) })
	case "map":
		v.blocks('{', '}', func() {
			v.out = append(appendJSON(v.out, string(v.bytes())), ':')
			v.node(n.Values, depth+1)
		})
	default:
		if named := v.plan.named[n.Type]; named != nil {
			v.node(named, depth+1)
			return
		}
		v.fail("its type " + n.Type + " is not known")
	}
}

func (v *value) record(n *twmb.SchemaNode, depth int) {
	v.out = append(v.out, '{')
	for i := range n.Fields {
		f := &n.Fields[i]
		if i > 0 {
			v.out = append(v.out, ',')
		}
		v.path = append(v.path, f.Name)
		v.out = append(appendJSON(v.out, f.Name), ':')
		from := len(v.out)
		v.node(&f.Type, depth+1)
		if v.expand && strings.HasSuffix(f.Name, "_json") {
			v.out = append(v.out[:from], expanded(v.out[from:])...)
		}
		v.path = v.path[:len(v.path)-1]
	}
	v.out = append(v.out, '}')
}

// expanded is the JSON that a text holds; the text itself where it holds none.
func expanded(text []byte) []byte {
	var inner string
	if json.Unmarshal(text, &inner) != nil || !json.Valid([]byte(inner)) {
		return text
	}
	return []byte(inner)
}

// blocks renders the items of an array or map.
func (v *value) blocks(open, shut byte, item func()) {
	v.out = append(v.out, open)
	first, nothings := true, 0
	for n := v.long(); n != 0 && v.bad == ""; n = v.long() {
		if n < 0 { // the block's size in bytes comes behind its count
			n = -n
			v.long()
		}
		for ; n != 0 && v.bad == ""; n-- {
			if !first {
				v.out = append(v.out, ',')
			}
			first = false
			before := len(v.in)
			item()
			if before == len(v.in) {
				if nothings++; nothings > maxNothings {
					v.fail("it has too many items")
				}
			}
		}
	}
	v.out = append(v.out, shut)
}

// whole renders an int or long as what it means.
func (v *value) whole(n *twmb.SchemaNode, i int64) {
	var at time.Time
	switch n.LogicalType {
	case "timestamp-millis":
		at = time.UnixMilli(i)
	case "timestamp-micros":
		at = time.UnixMicro(i)
	case "date":
		if day := time.Unix(i*86_400, 0).UTC(); i > -1_000_000 && i < 2_900_000 {
			v.out = appendJSON(v.out, day.Format(time.DateOnly))
			return
		}
	}
	if at = at.UTC(); at.IsZero() || at.Year() < 0 || at.Year() > 9999 { // no time, or none that can be written
		v.out = strconv.AppendInt(v.out, i, 10)
		return
	}
	layout := Millis
	if n.LogicalType == "timestamp-micros" {
		layout = "2006-01-02T15:04:05.000000Z07:00"
	}
	v.out = appendJSON(v.out, at.Format(layout))
}

func (v *value) float(f float64, bits int) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		v.out = appendJSON(v.out, strconv.FormatFloat(f, 'g', -1, bits))
		return
	}
	v.out = strconv.AppendFloat(v.out, f, 'g', -1, bits)
}

// blob renders bytes: a decimal as the exact number it is, anything else in base64.
func (v *value) blob(n *twmb.SchemaNode, b []byte) {
	if v.bad != "" {
		return
	}
	if n.LogicalType == "decimal" {
		v.out = append(v.out, decimal(b, n.Scale)...)
		return
	}
	v.out = append(v.out, '"')
	v.out = base64.StdEncoding.AppendEncode(v.out, b)
	v.out = append(v.out, '"')
}

// decimal is the number of a two's-complement unscaled value.
func decimal(b []byte, scale int) string {
	unscaled := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0]&0x80 != 0 {
		unscaled.Sub(unscaled, new(big.Int).Lsh(big.NewInt(1), uint(len(b))*8))
	}
	digits := new(big.Int).Abs(unscaled).String()
	if missing := scale + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	sign := ""
	if unscaled.Sign() < 0 {
		sign = "-"
	}
	if scale <= 0 {
		return sign + digits
	}
	return fmt.Sprintf("%s%s.%s", sign, digits[:len(digits)-scale], digits[len(digits)-scale:])
}

// appendJSON appends a text as a JSON string; what is no UTF-8 in it is replaced.
func appendJSON(b []byte, text string) []byte {
	b, _ = jsontext.AppendQuote(b, text) // which says so, too
	return b
}
