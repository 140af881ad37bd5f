//go:build !race

package filesink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"google.golang.org/api/googleapi"

	"github.com/sluicehq/sluice/pkg/outcome"
)

// awsError is what the AWS library's errors have.
type awsError int

func (e awsError) Error() string       { return http.StatusText(int(e)) }
func (e awsError) HTTPStatusCode() int { return int(e) }

func TestWhatAnErrorMeans(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		reason string
		halt   bool
	}{
		{"AWS: not allowed", awsError(403), "forbidden", true},
		{"AWS: a token that has ended", awsError(400), "rejected", true},
		{"AWS: another writer at the same moment", awsError(409), "conflict", false},
		{"AWS: slow down", awsError(503), "server_error", false},
		{"AWS: a store without conditional writes", awsError(501), "unsupported", true},
		{"Azure: not allowed", &azcore.ResponseError{StatusCode: 403, ErrorCode: "AuthorizationFailure"}, "forbidden", true},
		{"Azure: no container", &azcore.ResponseError{StatusCode: 404, ErrorCode: "ContainerNotFound"}, "no_bucket", true},
		{"Azure: busy", &azcore.ResponseError{StatusCode: 503, ErrorCode: "ServerBusy"}, "server_error", false},
		{"Google: not allowed", &googleapi.Error{Code: 403}, "forbidden", true},
		{"Google: too much", &googleapi.Error{Code: 429}, "rate_limited", false},
		{"a name that is not resolved", &net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}, "unreachable", false},
		{"a connection that is refused", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, "unreachable", false},
		{"an object that takes too long", context.DeadlineExceeded, "timeout", false},
		{"a folder that is not ours", &fs.PathError{Op: "open", Err: syscall.EACCES}, "forbidden", true},
		{"a disk that is only read", &fs.PathError{Op: "open", Err: syscall.EROFS}, "forbidden", true},
		{"a disk that is full", &fs.PathError{Op: "write", Err: syscall.ENOSPC}, "no_space", false},
		{"a file system without hard links", &os.LinkError{Op: "link", Err: syscall.EOPNOTSUPP}, "unsupported", true},
		{"credentials that cannot be found", errOpening, "open", true},
		{"an intent that a person has edited", errUnreadable, "unreadable", true},
		{"anything else", errors.New("?"), "unreachable", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := classify(fmt.Errorf("writing x: %w", c.err))
			if a.All.Kind != outcome.Deferred || a.All.Reason != c.reason || a.Halt != c.halt || a.All.Detail == "" {
				t.Errorf("%+v", a)
			}
		})
	}
}

func TestAnIntentThatIsNoneHalts(t *testing.T) {
	dir := t.TempDir()
	o := Options{URL: "file://" + dir}
	mustWrite(t, openFiles(t, o), stretch(0, 5), mixed(t, 0, 5))
	if err := os.WriteFile(dir+"/"+intentKey(stretch(0, 5)), []byte("oops"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openFiles(t, o)
	if _, _, err := s.Begun(t.Context(), topic, 3, 0); !errors.Is(err, errUnreadable) {
		t.Errorf("begun: %v", err)
	}
	if a := s.WriteStretch(t.Context(), stretch(0, 5), mixed(t, 0, 5)); !a.Halt || a.All.Reason != "unreadable" {
		t.Errorf("%+v", a)
	}
}

func TestACancelledStretchIsDeferred(t *testing.T) {
	s := openFiles(t, Options{URL: "file://" + t.TempDir()})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if a := s.WriteStretch(ctx, stretch(0, 5), mixed(t, 0, 5)); a.All.Reason != "interrupted" || a.Halt {
		t.Errorf("%+v", a)
	}
}
