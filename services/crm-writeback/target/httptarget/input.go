package httptarget

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/jsontree"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// valueOf is a row as programs see it.
func valueOf(r *target.Row) (map[string]any, error) {
	var fields any = map[string]any{}
	if len(r.Fields) > 0 {
		var err error
		if fields, err = jsontree.Read(r.Fields, jsontree.Options{}); err != nil {
			return nil, fmt.Errorf("reading fields: %w", err)
		}
	}
	return map[string]any{
		"id": r.ID, "object": r.Object, "key_field": r.KeyField, "key": r.Key, "mode": r.Mode,
		"fields": fields, "user": userOf(r.User), "edited_at": r.EditedAt.UTC().Format(time.RFC3339Nano),
	}, nil
}

func userOf(u event.User) map[string]any {
	user := map[string]any{}
	for name, value := range map[string]string{"external_id": u.ExternalID, "braze_id": u.BrazeID, "email": u.Email, "phone": u.Phone} {
		if value != "" {
			user[name] = value
		}
	}
	if u.AliasName != "" {
		user["alias"] = map[string]any{"label": u.AliasLabel, "name": u.AliasName}
	}
	return user
}

// inputOf is what the programs of a call see.
func (s *settings) inputOf(rows []*target.Row, id string) (map[string]any, error) {
	if !s.batch {
		return valueOf(rows[0])
	}
	values := make([]any, len(rows))
	for i, r := range rows {
		v, err := valueOf(r)
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	first := rows[0]
	return map[string]any{"id": id, "object": first.Object, "key_field": first.KeyField, "mode": first.Mode, "rows": values}, nil
}

// idOf is the idempotency key of a call: the row's id, or of a batch a hash of the ids in order, so that the same rows
// have the same whenever they go together again, after a restart too.
func (s *settings) idOf(rows []*target.Row) string {
	if !s.batch {
		return fit(rows[0].ID)
	}
	h := sha256.New()
	for _, r := range rows {
		_, _ = h.Write(append([]byte(r.ID), '\n'))
	}
	return "batch_" + hex.EncodeToString(h.Sum(nil)[:16])
}

// longestID bounds an id that goes into a header as it is.
const longestID = 200

// fit is an id that can stand in a header, or its hash.
func fit(id string) string {
	if id != "" && len(id) <= longestID && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "sha256_" + hex.EncodeToString(sum[:])
}
