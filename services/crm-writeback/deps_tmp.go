package crmwriteback

import (
	_ "github.com/goccy/go-yaml"
	_ "github.com/itchyny/gojq"
	_ "golang.org/x/oauth2/clientcredentials"
	_ "golang.org/x/oauth2/jwt"
	_ "golang.org/x/time/rate"

	_ "github.com/sluicehq/sluice/pkg/jsontree"
	_ "github.com/sluicehq/sluice/pkg/kafkatest"
	_ "github.com/sluicehq/sluice/pkg/table/tabletest"
)
