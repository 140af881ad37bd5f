// Command crm-writeback keeps CRMs, billing and loyalty systems in step with Braze, both ways.
package main

import (
	crmwriteback "github.com/sluicehq/sluice/services/crm-writeback"

	"github.com/sluicehq/sluice/pkg/daemon"
)

func main() { daemon.Main("crm-writeback", crmwriteback.Open) }
