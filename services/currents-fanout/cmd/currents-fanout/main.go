// Command currents-fanout hands what Braze reports to everybody who needs it, each at its own pace.
package main

import (
	currentsfanout "github.com/sluicehq/sluice/services/currents-fanout"

	"github.com/sluicehq/sluice/pkg/daemon"
)

func main() { daemon.Main("currents-fanout", currentsfanout.Alone) }
