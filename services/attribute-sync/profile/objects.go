package profile

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/braze"
)

// operators reads a value that is no value: Braze takes {"inc": 1} for an increment, wherever it comes
// from, and so on. Ops says which.
func (b *batch) operators(n *name, op ops, raw []byte) *Refusal {
	if op&opObjects != 0 {
		return b.changeObjects(n, raw)
	}
	for spelled, value := range members(raw) {
		var refusal *Refusal
		switch operator(spelled) {
		case opInc:
			refusal = b.increment(n, value)
		case opAdd:
			refusal = b.elements(n, add, value)
		case opRemove:
			refusal = b.elements(n, remove, value)
		default: // nothing else comes here
		}
		if refusal != nil {
			return refusal
		}
	}
	return nil
}

// objectsChange is an operator on an array of objects as it is written.
type objectsChange struct {
	Add    []jsontext.Value `json:"$add"`
	Remove []identifier     `json:"$remove"`
	Update []struct {
		identifier
		New jsontext.Value `json:"$new_object"`
	} `json:"$update"`
}

type identifier struct {
	Key   string         `json:"$identifier_key"`
	Value jsontext.Value `json:"$identifier_value"`
}

// changeObjects reads $add, $remove and $update. They are few, and dear anyway, so this need not be fast.
func (b *batch) changeObjects(n *name, raw []byte) *Refusal {
	var in objectsChange
	if err := json.Unmarshal(raw, &in, json.RejectUnknownMembers(true)); err != nil {
		return b.bad(n, braze.RuleNotAllowed, "an operator on an array of objects is not as it must be")
	}
	change := &braze.ObjectsChange{Add: in.Add}
	for _, id := range in.Remove {
		change.Remove = append(change.Remove, braze.Identifier(id))
	}
	for _, u := range in.Update {
		change.Update = append(change.Update, braze.ObjectUpdate{Identifier: braze.Identifier(u.identifier), New: u.New})
	}
	if v := change.Check(); v != nil {
		return b.bad(n, v.Rule, v.Field+" "+v.Detail)
	}
	if t := n.rule.typ(); t != "" && t != TypeArray {
		return b.bad(n, braze.RuleWrongType, "fields.yaml says "+string(t))
	}
	points := int64(len(change.Remove)) // of which the pages say nothing
	for i, added := range change.Add {
		leaves, rule, detail := b.nested(added)
		if rule != "" {
			return b.bad(n, rule, "$add["+strconv.Itoa(i)+"]: "+detail)
		}
		points += leaves
	}
	for i := range change.Update {
		leaves, rule, detail := b.nested(change.Update[i].New)
		if rule != "" {
			return b.bad(n, rule, "$update["+strconv.Itoa(i)+"]: "+detail)
		}
		points += leaves
	}
	for _, id := range append(change.Remove, identifiers(change.Update)...) {
		if k := id.Value.Kind(); k == '{' || k == '[' || k == 'n' {
			return b.bad(n, braze.RuleNotAllowed, "$identifier_value is a string, a number or a boolean")
		}
	}
	if len(raw) > maxObjects {
		return b.bad(n, braze.RuleTooLarge, "an array of objects has 102400 bytes at most")
	}
	b.once = true
	b.writes = append(b.writes, write{name: n, verb: changeObjects, change: change, points: max(1, points)})
	return nil
}

func identifiers(updates []braze.ObjectUpdate) (ids []braze.Identifier) {
	for _, u := range updates {
		ids = append(ids, u.Identifier)
	}
	return ids
}

// nested checks an object of an array, and counts what it costs.
func (b *batch) nested(raw []byte) (leaves int64, rule braze.Rule, detail string) {
	c := &b.inner
	c.start(raw)
	is, ok := c.value(1)
	switch {
	case !ok:
		return 0, c.rule, c.detail
	case is.shape != object:
		return 0, braze.RuleNotAnObject, ""
	case len(raw) > maxObject:
		return 0, braze.RuleTooLarge, "an object has 51200 bytes at most"
	}
	return max(1, c.leaves), "", ""
}

// change is an operator on an array of objects that waits to be sent.
type change struct {
	*braze.ObjectsChange
	points int64
	parts  []part // the writes that it is made of
}

// part is what a record's write adds to the cost of something that several make up.
type part struct {
	record int32
	points int64
}

// onlyAdds reports whether nothing is removed or updated.
func onlyAdds(c *braze.ObjectsChange) bool { return len(c.Remove) == 0 && len(c.Update) == 0 }

// changeObjects applies an operator on an array of objects. Operators are never compared: they are sent
// as they come, in their order, and what Braze has then is unknown. An operator that is older than
// another is applied all the same, only not one that is older than the array it would change. An array
// that is set late, behind an operator that is newer, is declined: what the operator did to it could not
// be said without its values.
func (s *State) changeObjects(f *field, w *write, by stamp, record int32) (applied bool) {
	if s.declinedOld(f, w, &by, record) {
		return false
	}
	if is := s.current(f); is.shape != objects && is.shape != null && is.shape != anything && !is.same(emptyArray) {
		s.decline(w, record, DeclinedWrongType, "it is "+is.shape.with())
		return false
	}
	if f.ext == nil || f.ext.kind != extObjects {
		f.ext = s.newExt(extObjects)
	}
	if s.wins(&by, &f.ext.newest) {
		f.ext.newest = by
	}
	p := s.touch(f, w.name)
	if p.whole && len(p.changes) == 0 && onlyAdds(w.change) && s.appended(p, w, record) {
		return true
	}
	if last := len(p.changes) - 1; last >= 0 && onlyAdds(w.change) && onlyAdds(p.changes[last].ObjectsChange) {
		c := &p.changes[last]
		if size(c.Add)+size(w.change.Add) < maxObjects {
			c.Add, c.points = append(c.Add, w.change.Add...), c.points+w.points
			c.parts = append(c.parts, part{record, w.points})
			return true
		}
	}
	p.changes = append(p.changes, change{w.change, w.points, []part{{record, w.points}}})
	return true
}

// appended adds objects to an array that this window has set, and so knows.
func (s *State) appended(p *pending, w *write, record int32) bool {
	if p.content.shape == null || len(p.raw)+size(w.change.Add) > maxObjects {
		return false
	}
	raw := bytes.TrimRight(bytes.TrimRight(p.raw, " \t\r\n"), "]")
	for i, object := range w.change.Add {
		if i > 0 || !p.content.same(emptyArray) {
			raw = append(raw, ',')
		}
		raw = append(raw, object...)
	}
	c := &s.batch.inner
	c.start(append(raw, ']'))
	is, ok := c.attribute()
	if !ok {
		return false
	}
	s.count(p.record, p.name, Folded, p.points)
	p.raw, p.content, p.record, p.points = c.b, is, record, max(1, c.leaves)
	return true
}

func size(values []jsontext.Value) (n int) {
	for _, v := range values {
		n += len(v) + 1
	}
	return n
}

// emptyArray is what [] looks like.
var emptyArray = content{hashed, array, saltArray}
