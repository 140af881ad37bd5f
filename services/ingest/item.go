package ingest

import "github.com/sluicehq/sluice/pkg/event"

// topicFor is the topic that the item's record belongs to.
func (s *Service) topicFor(it *item) *topic {
	switch {
	case it.profile != nil:
		return &s.profiles
	case it.commerce != nil:
		return &s.commerce
	case it.support != nil:
		return &s.cases
	case it.engagement != nil:
		return &s.engagements
	case it.action != nil:
		return &s.actions
	case it.content != nil:
		return &s.contents
	case it.change != nil:
		return &s.changes
	}
	return &s.events
}

// common are the places of what every kind of item has.
func (it *item) common() (id, source *string, user *event.User) {
	switch p, c, k, e, a := it.profile, it.commerce, it.support, it.engagement, it.action; {
	case p != nil:
		return &p.ID, &p.Source, &p.User
	case c != nil:
		return &c.ID, &c.Source, &c.User
	case k != nil:
		return &k.ID, &k.Source, &k.User
	case e != nil:
		return &e.ID, &it.event.Source, &e.User // the record has no place for it
	case a != nil:
		return &a.ID, &a.Source, &a.User
	case it.content != nil:
		return &it.content.ID, &it.content.Source, &it.event.User // about nobody
	case it.change != nil:
		return &it.change.ID, &it.change.Source, &it.change.User
	}
	return &it.event.ID, &it.event.Source, &it.event.User
}

// id is the item's idempotency key.
func (it *item) id() string {
	id, _, _ := it.common()
	return *id
}

func (it *item) setID(text string) {
	id, _, _ := it.common()
	*id = text
}

// source is where the item says whom it is from; empty until then. Events never say it themselves.
func (it *item) source() *string {
	_, source, _ := it.common()
	return source
}

// user is whom the item concerns.
func (it *item) user() *event.User {
	_, _, user := it.common()
	return user
}

// appendKey appends the Kafka key of the item's record: the user's, or one of the item's own where it may be
// about nobody.
func (it *item) appendKey(dst []byte) []byte {
	before := len(dst)
	if dst = it.user().AppendKey(dst); len(dst) > before {
		return dst
	}
	switch {
	case it.engagement != nil:
		return append(dst, it.engagement.Key()...)
	case it.action != nil:
		return append(dst, it.action.Key()...)
	case it.content != nil:
		return append(dst, it.content.Key()...)
	case it.change != nil:
		return append(dst, it.change.Key()...)
	}
	return dst
}
