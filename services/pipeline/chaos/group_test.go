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
	brokers []string
	name    string
	topic   string
}

// asking lends out a client that has no memory of who coordinated what before.
func (g *group) asking(ctx context.Context, doing string, ask func(context.Context, *kgo.Client) error) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(g.brokers...), kgo.ClientID("chaos"))
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	defer client.Close()
	ctx, cancel := within(ctx, 10*time.Second, "an answer")
	defer cancel()
	if err := ask(ctx, client); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// bury takes a member that was killed out of the group. Its coordinator would do so by itself when the
// session is over, 45 s later: the run would spend its time waiting for that, and see nothing else.
func (g *group) bury(ctx context.Context, clientID string) error {
	return g.asking(ctx, "burying "+clientID, func(ctx context.Context, client *kgo.Client) error {
		described, err := kadm.NewClient(client).DescribeGroups(ctx, g.name)
		if err == nil {
			err = described[g.name].Err
		}
		if err != nil {
			return err
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
		resp, err := req.RequestWith(ctx, client)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.ErrorCode)
	})
}

// progress is how many records the topic has, and how many of them lie behind the group's commits.
func (g *group) progress(ctx context.Context) (records, committed int64, err error) {
	err = g.asking(ctx, "asking for the group's progress", func(ctx context.Context, client *kgo.Client) error {
		admin := kadm.NewClient(client)
		ends, err := admin.ListEndOffsets(ctx, g.topic)
		if err == nil {
			err = ends.Error()
		}
		if err != nil {
			return err
		}
		commits, err := admin.FetchOffsets(ctx, g.name)
		if err != nil {
			return err
		}
		ends.Each(func(o kadm.ListedOffset) {
			records += o.Offset // from 0: nothing is deleted here
			if c, ok := commits.Lookup(g.topic, o.Partition); ok && c.Err == nil {
				committed += max(c.At, 0)
			}
		})
		return nil
	})
	return records, committed, err
}
