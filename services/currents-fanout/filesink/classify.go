package filesink

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"syscall"

	"gocloud.dev/gcerrors"

	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// failed is what an error means. No event is at fault for a bucket's: either it will be better later,
// or a person has to do something.
func (s *Sink) failed(ctx context.Context, err error) sink.Answer {
	if ctx.Err() != nil {
		return sink.Deferred("interrupted", err.Error(), 0)
	}
	return classify(err)
}

func classify(err error) sink.Answer {
	detail := err.Error()
	var unresolved *net.DNSError
	switch {
	case errors.Is(err, errOpening):
		return halt("open", detail)
	case errors.Is(err, errUnreadable):
		return halt("unreadable", detail)
	case errors.As(err, &unresolved):
		return sink.Deferred("unreachable", detail, 0)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return halt("forbidden", detail)
	case errors.Is(err, errors.ErrUnsupported), errors.Is(err, syscall.EXDEV):
		return halt("unsupported", detail)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return sink.Deferred("no_space", detail, 0)
	}
	switch code := status(err); {
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return halt("forbidden", detail)
	case code == http.StatusNotFound:
		return halt("no_bucket", detail)
	case code == http.StatusConflict, code == http.StatusRequestTimeout:
		return sink.Deferred("conflict", detail, 0)
	case code == http.StatusTooManyRequests:
		return sink.Deferred("rate_limited", detail, 0)
	case code == http.StatusNotImplemented:
		return halt("unsupported", detail)
	case code >= 500:
		return sink.Deferred("server_error", detail, 0)
	case code >= 300: // wrong region, wrong signature, a token that has ended
		return halt("rejected", detail)
	}
	switch gcerrors.Code(err) {
	case gcerrors.PermissionDenied:
		return halt("forbidden", detail)
	case gcerrors.NotFound:
		return halt("no_bucket", detail)
	case gcerrors.InvalidArgument, gcerrors.Unimplemented:
		return halt("unsupported", detail)
	case gcerrors.ResourceExhausted:
		return sink.Deferred("rate_limited", detail, 0)
	case gcerrors.DeadlineExceeded: // a context's is one too
		return sink.Deferred("timeout", detail, 0)
	default:
		return sink.Deferred("unreachable", detail, 0)
	}
}

func halt(reason, detail string) sink.Answer {
	a := sink.Deferred(reason, detail, 0)
	a.Halt = true
	return a
}
