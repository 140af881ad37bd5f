// Command braze-sender takes customers' events to Braze.
package main

import (
	brazesender "github.com/sluicehq/sluice/services/braze-sender"

	"github.com/sluicehq/sluice/pkg/daemon"
)

func main() { daemon.Main("braze-sender", brazesender.Open) }
