//go:build race

package currentsfanout_test

// manySinks are fewer under the race detector, which slows fifty members of groups down until the broker takes
// them for dead. It also changes what things weigh, and makes a compressor's large buffers anew each time.
const (
	manySinks   = 10
	weighed     = false
	compression = "none"
)
