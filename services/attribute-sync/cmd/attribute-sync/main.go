// Command attribute-sync finds out what Braze has to be told of customers' profiles.
package main

import (
	attributesync "github.com/sluicehq/sluice/services/attribute-sync"

	"github.com/sluicehq/sluice/pkg/daemon"
)

func main() { daemon.Main("attribute-sync", attributesync.Open) }
