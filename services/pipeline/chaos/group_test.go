package chaos

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// group looks at the senders' consumer group from outside.
type group struct {
	client *kgo.Client
	admin  *kadm.Client
	name   string
	topic  string
}

func openGroup(brokers []string, name, topic string) (*group, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ClientID("chaos"), kgo.MetadataMinAge(100*time.Millisecond),
		kgo.RetryTimeout(10*time.Second))
	if err != nil {
		return nil, fmt.Errorf("creating the client that looks at the group: %w", err)
	}
	return &group{client, kadm.NewClient(client), name, topic}, nil
}

func (g *group) close() { g.client.Close() }

// bury takes a member that was killed out of the group. Its coordinator would do so by itself when the
// session is over, 45 s later: the run would spend its time waiting for that, and see nothing else.
func (g *group) bury(ctx context.Context, clientID string) error {
	described, err := g.admin.DescribeGroups(ctx, g.name)
	if err == nil {
		err = described[g.name].Err
	}
	if err != nil {
		return fmt.Errorf("describing the group: %w", err)
	}
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = g.name
	for _, m := range described[g.name].Members {
		if m.ClientID == clientID {
			leaver := kmsg.NewLeaveGroupRequestMember()
			leaver.MemberID = m.MemberID
			req.Members = append(req.Members, leaver)
		}
	}
	if len(req.Members) == 0 {
		return nil
	}
	resp, err := req.RequestWith(ctx, g.client)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("burying %s: %w", clientID, err)
	}
	return nil
}

// progress is how many records the topic has, and how many of them lie behind the group's commits.
func (g *group) progress(ctx context.Context) (records, committed int64, err error) {
	ends, err := g.admin.ListEndOffsets(ctx, g.topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return 0, 0, fmt.Errorf("listing last offsets: %w", err)
	}
	commits, err := g.admin.FetchOffsets(ctx, g.name)
	if err != nil {
		return 0, 0, fmt.Errorf("fetching commits: %w", err)
	}
	ends.Each(func(o kadm.ListedOffset) {
		records += o.Offset // from 0: nothing is deleted here
		if c, ok := commits.Lookup(g.topic, o.Partition); ok && c.Err == nil {
			committed += max(c.At, 0)
		}
	})
	return records, committed, nil
}
