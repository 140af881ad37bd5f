package embedded

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxPartitions is the most a topic may have here. kfake makes as many as it is told, two billion
// too.
const maxPartitions = 1000

// bound answers, as Kafka would, the requests that kfake obeys to its harm: too many partitions,
// topic settings that Kafka does not know or cannot read (kfake takes a retention of "banana" for
// zero and drops everything), and any change to the broker's own settings (a cleaner interval of
// zero ends the process, in its next life as well, for it is kept in the data folder).
func bound(c *kfake.Cluster) {
	refuse := func(key kmsg.Key, judge func(kmsg.Request) kmsg.Response) {
		c.ControlKey(int16(key), func(req kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			resp := judge(req)
			return resp, nil, resp != nil
		})
	}
	refuse(kmsg.CreateTopics, judgeCreateTopics)
	refuse(kmsg.CreatePartitions, judgeCreatePartitions)
	refuse(kmsg.AlterConfigs, judgeAlterConfigs)
	refuse(kmsg.IncrementalAlterConfigs, judgeIncrementalAlterConfigs)
}

// verdict is an answer to one part of a request; the zero value lets it pass. A request with one bad
// part is refused whole, for kfake would go on with all of it.
type verdict struct {
	err *kerr.Error
	why string
}

// together is what the good parts of a request with a bad one are told.
var together = verdict{kerr.InvalidRequest, "another part of the request was refused, see there"}

// refusal gives the verdict of each part, or nil when all of them pass.
func refusal(verdicts []verdict) []verdict {
	if !slices.ContainsFunc(verdicts, func(v verdict) bool { return v.err != nil }) {
		return nil
	}
	for i, v := range verdicts {
		if v.err == nil {
			verdicts[i] = together
		}
	}
	return verdicts
}

// judge asks about each part of a request.
func judge[T any](parts []T, about func(T) verdict) []verdict {
	verdicts := make([]verdict, len(parts))
	for i, p := range parts {
		verdicts[i] = about(p)
	}
	return refusal(verdicts)
}

func judgeCreateTopics(kreq kmsg.Request) kmsg.Response {
	req := kreq.(*kmsg.CreateTopicsRequest)
	verdicts := judge(req.Topics, func(t kmsg.CreateTopicsRequestTopic) verdict {
		v := judgeSettings(kmsg.ConfigResourceTypeTopic, t.Configs, func(cfg kmsg.CreateTopicsRequestTopicConfig) string {
			return settingProblem(cfg.Name, cfg.Value)
		})
		if v.err != nil {
			return v
		}
		return partitionsVerdict(max(t.NumPartitions, int32(len(t.ReplicaAssignment))))
	})
	if verdicts == nil {
		return nil
	}
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	for i, t := range req.Topics {
		part := kmsg.NewCreateTopicsResponseTopic()
		part.Topic, part.ErrorCode, part.ErrorMessage = t.Topic, verdicts[i].err.Code, &verdicts[i].why
		resp.Topics = append(resp.Topics, part)
	}
	return resp
}

func judgeCreatePartitions(kreq kmsg.Request) kmsg.Response {
	req := kreq.(*kmsg.CreatePartitionsRequest)
	verdicts := judge(req.Topics, func(t kmsg.CreatePartitionsRequestTopic) verdict {
		return partitionsVerdict(t.Count)
	})
	if verdicts == nil {
		return nil
	}
	resp := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
	for i, t := range req.Topics {
		part := kmsg.NewCreatePartitionsResponseTopic()
		part.Topic, part.ErrorCode, part.ErrorMessage = t.Topic, verdicts[i].err.Code, &verdicts[i].why
		resp.Topics = append(resp.Topics, part)
	}
	return resp
}

func judgeAlterConfigs(kreq kmsg.Request) kmsg.Response {
	req := kreq.(*kmsg.AlterConfigsRequest)
	verdicts := judge(req.Resources, func(r kmsg.AlterConfigsRequestResource) verdict {
		return judgeSettings(r.ResourceType, r.Configs, func(cfg kmsg.AlterConfigsRequestResourceConfig) string {
			return settingProblem(cfg.Name, cfg.Value)
		})
	})
	if verdicts == nil {
		return nil
	}
	resp := req.ResponseKind().(*kmsg.AlterConfigsResponse)
	for i, r := range req.Resources {
		part := kmsg.NewAlterConfigsResponseResource()
		part.ResourceType, part.ResourceName = r.ResourceType, r.ResourceName
		part.ErrorCode, part.ErrorMessage = verdicts[i].err.Code, &verdicts[i].why
		resp.Resources = append(resp.Resources, part)
	}
	return resp
}

func judgeIncrementalAlterConfigs(kreq kmsg.Request) kmsg.Response {
	req := kreq.(*kmsg.IncrementalAlterConfigsRequest)
	verdicts := judge(req.Resources, func(r kmsg.IncrementalAlterConfigsRequestResource) verdict {
		return judgeSettings(r.ResourceType, r.Configs, func(cfg kmsg.IncrementalAlterConfigsRequestResourceConfig) string {
			if cfg.Op != kmsg.IncrementalAlterConfigOpSet {
				return settingProblem(cfg.Name, nil)
			}
			return settingProblem(cfg.Name, cfg.Value)
		})
	})
	if verdicts == nil {
		return nil
	}
	resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	for i, r := range req.Resources {
		part := kmsg.NewIncrementalAlterConfigsResponseResource()
		part.ResourceType, part.ResourceName = r.ResourceType, r.ResourceName
		part.ErrorCode, part.ErrorMessage = verdicts[i].err.Code, &verdicts[i].why
		resp.Resources = append(resp.Resources, part)
	}
	return resp
}

// judgeSettings is about the new settings of one resource.
func judgeSettings[T any](kind kmsg.ConfigResourceType, settings []T, problem func(T) string) verdict {
	if kind == kmsg.ConfigResourceTypeBroker || kind == kmsg.ConfigResourceTypeBrokerLogger {
		return verdict{kerr.InvalidRequest, "the embedded broker's own settings are fixed"}
	}
	if kind != kmsg.ConfigResourceTypeTopic {
		return verdict{} // groups and client metrics, which kfake checks itself
	}
	for _, s := range settings {
		if why := problem(s); why != "" {
			return verdict{kerr.InvalidConfig, why}
		}
	}
	return verdict{}
}

func partitionsVerdict(n int32) verdict {
	if n > maxPartitions {
		return verdict{kerr.InvalidPartitions, fmt.Sprintf("%d partitions: the embedded broker holds at most %d a topic", n, maxPartitions)}
	}
	return verdict{}
}

// settingProblem says what Kafka would have against a topic's setting; value is nil where it goes
// back to its default.
func settingProblem(name string, value *string) string {
	allowed, known := topicSettings[name]
	switch {
	case !known:
		return fmt.Sprintf("unknown topic config name: %s", name)
	case value == nil || allowed.has(*value):
		return ""
	}
	return fmt.Sprintf("invalid value %q for %s: want %s", *value, name, allowed)
}

// values is what a setting may be: one of the words, or a whole number from least to most. Neither
// given means any text.
type values struct {
	words       []string
	least, most int64
}

func (v values) has(s string) bool {
	if v.words != nil {
		return slices.Contains(v.words, s)
	}
	if v.least == 0 && v.most == 0 {
		return true
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return err == nil && n >= v.least && n <= v.most
}

func (v values) String() string {
	if v.words != nil {
		return fmt.Sprintf("one of %q", v.words)
	}
	return fmt.Sprintf("a whole number from %d to %d", v.least, v.most)
}

// topicSettings are the topic configs of Apache Kafka 4 and what each may be (its TopicConfig and
// LogConfig). Ratios and lists of replicas are taken as they come.
var topicSettings = map[string]values{
	"cleanup.policy":                          {words: []string{"delete", "compact", "compact,delete", "delete,compact", ""}},
	"compression.gzip.level":                  {least: -1, most: 9},
	"compression.lz4.level":                   {least: 1, most: 17},
	"compression.type":                        {words: []string{"uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"}},
	"compression.zstd.level":                  {least: -131072, most: 22},
	"delete.retention.ms":                     {least: 0, most: math.MaxInt64},
	"file.delete.delay.ms":                    {least: 0, most: math.MaxInt64},
	"flush.messages":                          {least: 1, most: math.MaxInt64},
	"flush.ms":                                {least: 0, most: math.MaxInt64},
	"follower.replication.throttled.replicas": {},
	"index.interval.bytes":                    {least: 0, most: math.MaxInt32},
	"leader.replication.throttled.replicas":   {},
	"local.retention.bytes":                   {least: -2, most: math.MaxInt64},
	"local.retention.ms":                      {least: -2, most: math.MaxInt64},
	"max.compaction.lag.ms":                   {least: 1, most: math.MaxInt64},
	"max.message.bytes":                       {least: 0, most: math.MaxInt32},
	"message.timestamp.after.max.ms":          {least: 0, most: math.MaxInt64},
	"message.timestamp.before.max.ms":         {least: 0, most: math.MaxInt64},
	"message.timestamp.type":                  {words: []string{"CreateTime", "LogAppendTime"}},
	"min.cleanable.dirty.ratio":               {},
	"min.compaction.lag.ms":                   {least: 0, most: math.MaxInt64},
	"min.insync.replicas":                     {least: 1, most: math.MaxInt32},
	"preallocate":                             {words: []string{"true", "false"}},
	"remote.copy.disable":                     {words: []string{"true", "false"}},
	"remote.log.delete.on.disable":            {words: []string{"true", "false"}},
	"remote.storage.enable":                   {words: []string{"true", "false"}},
	"retention.bytes":                         {least: -1, most: math.MaxInt64},
	"retention.ms":                            {least: -1, most: math.MaxInt64},
	"segment.bytes":                           {least: 1 << 20, most: math.MaxInt32},
	"segment.index.bytes":                     {least: 4, most: math.MaxInt32},
	"segment.jitter.ms":                       {least: 0, most: math.MaxInt64},
	"segment.ms":                              {least: 1, most: math.MaxInt64},
	"unclean.leader.election.enable":          {words: []string{"true", "false"}},
}
