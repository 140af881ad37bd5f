//go:build !race

package currentsfanout_test

const (
	manySinks   = 50
	weighed     = true
	compression = "lz4"
)
