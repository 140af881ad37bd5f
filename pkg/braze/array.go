package braze

// Array is one of the three arrays of a /users/track request. Their order is the one in which Braze
// applies them, whatever the order in the body (braze-docs: api_limits).
type Array uint8

// The arrays of /users/track, in the order in which Braze applies them.
const (
	Attributes Array = iota
	Events
	Purchases
)

// arrays is how many there are.
const arrays = 3

var arrayNames = [arrays]string{"attributes", "events", "purchases"}

// String is the array's name on the wire.
func (a Array) String() string {
	if a < arrays {
		return arrayNames[a]
	}
	return "unknown array"
}

// parseArray finds the array with that name on the wire.
func parseArray(name string) (Array, bool) {
	for i, known := range arrayNames {
		if name == known {
			return Array(i), true
		}
	}
	return 0, false
}
