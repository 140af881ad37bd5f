module github.com/sluicehq/sluice/services/pipeline

go 1.26.0

require (
	github.com/sluicehq/sluice/pkg v0.0.0
	github.com/sluicehq/sluice/schemas v0.0.0
	github.com/sluicehq/sluice/services/braze-sender v0.0.0
	github.com/sluicehq/sluice/services/ingest v0.0.0
)

require (
	github.com/go-json-experiment/json v1.27.2 // indirect
	github.com/golang/snappy v0.0.1 // indirect
	github.com/google/go-cmp v0.7.0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/linkedin/goavro/v2 v2.15.0 // indirect
	github.com/mattn/go-colorable v0.1.15 // indirect
	github.com/mattn/go-isatty v0.0.22 // indirect
	github.com/pierrec/lz4/v4 v4.1.33 // indirect
	github.com/prometheus/client_golang v1.25.0 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/rogpeppe/go-internal v1.16.0 // indirect
	github.com/rs/zerolog v1.35.1 // indirect
	github.com/segmentio/kafka-go v0.4.51 // indirect
	github.com/spf13/cobra v1.10.2 // indirect
	github.com/spf13/pflag v1.0.9 // indirect
	github.com/twmb/avro v1.9.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/time v0.16.0 // indirect
)

replace (
	github.com/sluicehq/sluice/pkg => ../../pkg
	github.com/sluicehq/sluice/schemas => ../../schemas
	github.com/sluicehq/sluice/services/braze-sender => ../braze-sender
	github.com/sluicehq/sluice/services/ingest => ../ingest
)
