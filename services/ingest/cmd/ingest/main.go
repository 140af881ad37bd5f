// Command ingest is the front door: events over HTTP in, records on Kafka out.
package main

import (
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/services/ingest"
)

func main() { daemon.Main("ingest", ingest.Open) }
