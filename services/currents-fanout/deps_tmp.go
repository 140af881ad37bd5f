package currentsfanout

import (
	_ "github.com/duckdb/duckdb-go/v2"
	_ "github.com/itchyny/gojq"
	_ "github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/johannesboyne/gofakes3"
	_ "github.com/parquet-go/parquet-go"
	_ "github.com/standard-webhooks/standard-webhooks/libraries/go"
	_ "gocloud.dev/blob/azureblob"
	_ "gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/gcsblob"
	_ "gocloud.dev/blob/memblob"
	_ "gocloud.dev/blob/s3blob"
	_ "golang.org/x/oauth2/clientcredentials"
	_ "github.com/goccy/go-yaml"
	_ "github.com/google/go-cmp/cmp"
	_ "github.com/go-json-experiment/json"
	_ "github.com/twmb/avro"
	_ "github.com/linkedin/goavro/v2"
)
