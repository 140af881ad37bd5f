//go:build !race

package filesink

import (
	"errors"

	"cloud.google.com/go/storage"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	_ "gocloud.dev/blob/azureblob" // azblob://
	_ "gocloud.dev/blob/gcsblob"   // gs://
	_ "gocloud.dev/blob/s3blob"    // s3://
	"google.golang.org/api/googleapi"
)

// The clouds' own libraries are most of the program. They are left out of builds with the race detector
// (clouds_race.go), which would take minutes longer to compile and link each of our suites; what concerns
// them is tested without it.

// status is the HTTP status that a cloud answered with; 0 where there is none.
func status(err error) int {
	var aws interface{ HTTPStatusCode() int }
	var azure *azcore.ResponseError
	var google *googleapi.Error
	switch {
	case errors.As(err, &aws):
		return aws.HTTPStatusCode()
	case errors.As(err, &azure):
		return azure.StatusCode
	case errors.As(err, &google):
		return google.Code
	}
	return 0
}

// startBehind asks a cloud to name only what comes behind a key, or with it. Azure and files have no such
// thing, and name what is before too.
func startBehind(as func(any) bool, key string) {
	var inS3 *s3.ListObjectsV2Input
	var inGCS *storage.Query
	switch {
	case as(&inS3):
		inS3.StartAfter = &key
	case as(&inGCS):
		inGCS.StartOffset = key
	}
}
