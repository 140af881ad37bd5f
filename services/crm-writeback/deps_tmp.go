package crmwriteback

import (
	_ "github.com/goccy/go-yaml"
	_ "github.com/google/go-cmp/cmp"
	_ "github.com/itchyny/gojq"
	_ "golang.org/x/oauth2/clientcredentials"
	_ "golang.org/x/oauth2/jwt"
	_ "golang.org/x/time/rate"

	_ "github.com/sluicehq/sluice/pkg/daemon"
	_ "github.com/sluicehq/sluice/pkg/table/tabletest"
	_ "github.com/sluicehq/sluice/pkg/kafkatest"
	_ "github.com/sluicehq/sluice/pkg/stream/embedded"
	_ "github.com/sluicehq/sluice/pkg/registry/embedded"
	_ "github.com/sluicehq/sluice/pkg/topics"
	_ "github.com/sluicehq/sluice/pkg/deadletter"
	_ "github.com/sluicehq/sluice/pkg/jsontree"
)
