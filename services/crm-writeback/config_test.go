package crmwriteback_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/config"
	crmwriteback "github.com/sluicehq/sluice/services/crm-writeback"
)

func TestREADMEHasTheConfigurationTable(t *testing.T) {
	table := config.MarkdownTable[crmwriteback.Config]()
	if os.Getenv("GOLDEN") == "write" {
		if err := config.UpdateMarkdown("README.md", table); err != nil {
			t.Fatal(err)
		}
	}
	if err := config.CheckMarkdown("README.md", table); err != nil {
		t.Error(err)
	}
}

func TestADrainThatLastsLongerThanTheProcessIsRefused(t *testing.T) {
	var c crmwriteback.Config
	c.DrainTimeout, c.Writeback.Drain = 10*time.Second, 9*time.Second
	if err := c.Validate(); err != nil {
		t.Errorf("9 s of 10 are refused: %v", err)
	}
	c.Writeback.Drain = 10 * time.Second
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "writeback.drain") {
		t.Errorf("10 s of 10: %v", err)
	}
}
