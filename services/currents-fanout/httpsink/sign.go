package httpsink

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// secretSize is how many bytes a secret of Standard Webhooks has; 0 when it is none.
func secretSize(secret string) int {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return 0
	}
	return len(key)
}

// id names the request: the event itself in format single, and else a hash of its events' ids in order.
// The same events have the same id whenever they go together again, after a restart too.
func (s *settings) id(w *work) string {
	if s.Format == formatSingle {
		return fit(w.batch[w.items[0]].ID)
	}
	w.ids = w.ids[:0]
	for _, i := range w.items {
		w.ids = append(append(w.ids, w.batch[i].ID...), '\n')
	}
	sum := sha256.Sum256(w.ids)
	return "batch_" + hex.EncodeToString(sum[:16])
}

// longestID bounds an id that goes into a header as it is.
const longestID = 200

// fit is an id that can stand in a header, or its hash: those of webhooks are what somebody chose.
func fit(id string) string {
	if id != "" && len(id) <= longestID && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "sha256_" + hex.EncodeToString(sum[:])
}

// needsID reports whether anything of a request holds its id.
func (s *settings) needsID() bool {
	return s.IDHeader != "" || len(s.signers) > 0 || len(s.query) > 0
}

// sign adds the headers of Standard Webhooks: a signature of each secret, apart by spaces.
func (s *settings) sign(h http.Header, id string, now time.Time, body []byte) error {
	signatures := make([]string, len(s.signers))
	for i, signer := range s.signers {
		var err error
		if signatures[i], err = signer.Sign(id, now, body); err != nil {
			return fmt.Errorf("signing: %w", err)
		}
	}
	h.Set(standardwebhooks.HeaderWebhookID, id)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	h.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return nil
}
