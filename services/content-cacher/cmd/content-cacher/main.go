// Command content-cacher serves approved content to messages while they are rendered.
package main

import (
	contentcacher "github.com/sluicehq/sluice/services/content-cacher"

	"github.com/sluicehq/sluice/pkg/daemon"
)

func main() { daemon.Main("content-cacher", contentcacher.Open) }
