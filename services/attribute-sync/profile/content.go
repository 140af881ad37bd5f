package profile

import "math/bits"

// kind is how a value is remembered.
type kind uint8

const (
	unknown kind = iota // Braze may have anything
	absent              // Braze has none
	isFalse
	isTrue
	whole  // a number without fraction: bits is the int64 itself
	hashed // bits is a hash
	kinds
)

// shape is what sort of value it is. It is known even of some values that are not.
type shape uint8

const (
	anything shape = iota
	null
	boolean
	integer
	fraction // a number written with a point or an exponent
	text
	array // of strings, numbers and booleans
	object
	objects // array of objects
	shapes
)

var shapeNames = [shapes]string{"unknown", "absent", "boolean", "integer", "number", "string", "array", "object", "array of objects"}

// String is what a person calls it.
func (s shape) String() string {
	if s < shapes {
		return shapeNames[s]
	}
	return "invalid"
}

// with is the name with its article.
func (s shape) with() string {
	switch s {
	case integer, array, object, objects:
		return "an " + s.String()
	case anything, null:
		return s.String()
	default:
		return "a " + s.String()
	}
}

// content is what is remembered of a value: enough to say whether another is the same. Values are the
// same when they mean the same: the order of an object's members, the spelling of a number (1, 1.0, 10e-1)
// and the escapes of a string do not count. Only that 1.0 is no integer to Braze does, where it is the
// whole value: it could not be incremented.
type content struct {
	kind  kind
	shape shape
	bits  uint64
}

// same reports whether both are the same value. What is unknown is the same as nothing.
func (c content) same(d content) bool {
	return c.kind == d.kind && c.bits == d.bits && c.kind != unknown && (c.shape == fraction) == (d.shape == fraction)
}

// sum is a hash of the value, whatever its kind.
func (c content) sum() uint64 {
	if c.kind == hashed {
		return c.bits
	}
	return mix(uint64(c.kind)+saltKind, c.bits)
}

// The salts keep a string apart from an array of one string, and so on. They and mix are part of the
// format of the state: a change makes every value look changed, once, for every user.
const (
	saltKind   = 0x9e3779b97f4a7c15
	saltString = 0xa0761d6478bd642f
	saltNumber = 0xe7037ed1a0b428db
	saltArray  = 0x8ebc6af09c88c6e3
	saltObject = 0x589965cc75374cc3
)

// mix makes one hash of two.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x2d358dccaa6c78a5, b^0x8bb84b93962eacc9)
	return hi ^ lo ^ a
}
