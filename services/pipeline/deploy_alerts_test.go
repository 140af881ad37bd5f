package pipeline_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/daemon"
	regembedded "github.com/sluicehq/sluice/pkg/registry/embedded"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
	"github.com/sluicehq/sluice/services/ingest"
	"github.com/sluicehq/sluice/services/pipeline"

	attributesync "github.com/sluicehq/sluice/services/attribute-sync"
	brazesender "github.com/sluicehq/sluice/services/braze-sender"
	crmwriteback "github.com/sluicehq/sluice/services/crm-writeback"
	currentsfanout "github.com/sluicehq/sluice/services/currents-fanout"
)

// rule is an alert as Prometheus reads it.
type rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// rules are all alerts there are, read strictly.
func rules(t *testing.T) []rule {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "deploy/alerts/*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files of alerts: %v", len(files), err)
	}
	var all []rule
	groups := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var content struct {
			Groups []struct {
				Name  string `yaml:"name"`
				Rules []rule `yaml:"rules"`
			} `yaml:"groups"`
		}
		if err := yaml.UnmarshalWithOptions(text, &content, yaml.Strict(), yaml.DisallowUnknownField()); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, g := range content.Groups {
			if groups[g.Name] || len(g.Rules) == 0 {
				t.Errorf("%s: the group %s is there twice, or empty", file, g.Name)
			}
			groups[g.Name] = true
			all = append(all, g.Rules...)
		}
	}
	return all
}

// runbooks are the pages there are, by name.
func runbooks(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "deploy/runbooks/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pages[strings.TrimSuffix(filepath.Base(file), ".md")] = string(text)
	}
	return pages
}

// described are the metrics that the services really register, with their labels.
type described map[string][]string

var descText = regexp.MustCompile(`fqName: "([^"]+)", .*constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)

// add asks a registry for all it may ever show, also what has no value yet.
func (d described) add(t *testing.T, reg prometheus.Collector) {
	t.Helper()
	descs := make(chan *prometheus.Desc, 1000)
	go func() { reg.Describe(descs); close(descs) }()
	for desc := range descs {
		m := descText.FindStringSubmatch(desc.String())
		if m == nil {
			t.Fatalf("what is %s?", desc)
		}
		labels := d[m[1]]
		for _, pair := range append(strings.Split(m[2], ","), strings.Split(m[3], ",")...) {
			if name, _, _ := strings.Cut(pair, "="); name != "" {
				labels = append(labels, name)
			}
		}
		d[m[1]] = labels
	}
}

// every label that a series can have that Prometheus or the process adds.
var everywhere = []string{"component", "instance", "job", "le"}

// has reports whether there is a series of that name.
func (d described) has(name string) ([]string, bool) {
	for _, suffix := range []string{"", "_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(name, suffix); ok {
			if labels, known := d[base]; known {
				return labels, true
			}
		}
	}
	return nil, false
}

// everySink is a file with a sink of each kind, since each has metrics of its own.
const everySink = `sinks:
  - {name: one, kind: http, http: {url: "http://127.0.0.1:1/"}}
  - {name: two, kind: files, files: {url: "file://%s"}}
`

// metricsOf opens every service there is, without running it, and a process.
func metricsOf(t *testing.T) described {
	t.Helper()
	broker, err := embedded.Start(t.Context(), embedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { broker.Close() })
	reg, err := regembedded.Start(t.Context(), regembedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reg.Close() })
	t.Setenv("CRM_HOST", "crm.example.com")
	t.Setenv("CRM_CLIENT_ID", "id")
	t.Setenv("CRM_CLIENT_SECRET", "secret")
	sinks := filepath.Join(t.TempDir(), "sinks.yaml")
	if err := os.WriteFile(sinks, fmt.Appendf(nil, everySink, t.TempDir()), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{
		"KAFKA_BROKERS=" + strings.Join(broker.Brokers(), ","), "SCHEMA_REGISTRY_URL=" + reg.URL(), "KAFKA_PARTITIONS=1", "OPS_ADDR=127.0.0.1:0",
		"INGEST_ADDR=127.0.0.1:0", "INGEST_KEYS=shop:key", "SOURCES_FILE=../ingest/poll/examples/crm.yaml", "BRAZE_CURRENTS_TOKENS=token",
		"BRAZE_REST_ENDPOINT=http://127.0.0.1:1", "BRAZE_API_KEY=key", "STATE_DIR=" + t.TempDir(), "SINKS_FILE=" + sinks, "CURRENTS_WATCH_OFF=true",
	}
	all := described{}
	open[ingest.Config](t, all, environ, ingest.Open)
	open[attributesync.Config](t, all, environ, attributesync.Open)
	open[brazesender.Config](t, all, environ, brazesender.Open)
	open[currentsfanout.Config](t, all, environ, currentsfanout.Open)
	open[crmwriteback.Config](t, all, environ, crmwriteback.Open)
	if _, ok := all["sluice_fanout_watch_watching"]; !ok {
		t.Error("currents-fanout does not watch over Currents")
	}
	return all.addProcess(t)
}

// open opens a service as its own process would, runs it to its end at once, and adds its metrics.
func open[C any](t *testing.T, all described, environ []string, open func(context.Context, C, *daemon.Process) (daemon.Service, error)) {
	t.Helper()
	c, _, err := config.Load[C](config.Options{Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	p := &daemon.Process{Log: zerolog.Nop(), Metrics: prometheus.NewRegistry(), Health: &daemon.Health{}}
	s, err := open(t.Context(), c, p)
	if err != nil {
		t.Fatal(err)
	}
	all.add(t, p.Metrics)
	ended, end := context.WithCancel(t.Context())
	end()
	if err := s.Run(ended); err != nil {
		t.Errorf("ending at once: %v", err)
	}
}

// addProcess adds what a process shows of itself.
func (d described) addProcess(t *testing.T) described {
	t.Helper()
	c, _, err := config.Load[daemon.Config](config.Options{Environ: []string{"OPS_ADDR=127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := daemon.NewProcess(t.Context(), "test", c, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	answer, err := http.Get("http://" + p.OpsAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		if words := strings.Fields(string(line)); len(words) == 4 && words[1] == "TYPE" {
			d[words[2]] = []string{"version", "revision", "go"}
		}
	}
	return d
}

// check reads an expression as Prometheus does, and holds every name in it to what there is. It returns the
// labels that the answer can have.
func (d described) check(expr string) (labels map[string]bool, err error) {
	e, err := parser.ParseExpr(expr)
	if err != nil {
		return nil, err
	}
	labels = map[string]bool{}
	inside := map[string]bool{} // labels of the series that it is made of
	var problems []string
	selectors := 0
	parser.Inspect(e, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			selectors++
			own, known := d.has(n.Name)
			if !known {
				problems = append(problems, "no service has the metric "+n.Name)
			}
			own = append(slices.Clone(own), everywhere...)
			for _, l := range own {
				inside[l] = true
			}
			for _, m := range n.LabelMatchers {
				if m.Name != model.MetricNameLabel && !slices.Contains(own, m.Name) {
					problems = append(problems, n.Name+" has no label "+m.Name)
				}
				labels[m.Name] = true // absent() makes labels of them
			}
		case *parser.AggregateExpr:
			if !n.Without {
				for _, l := range n.Grouping {
					labels[l] = true
				}
			}
		}
		return nil
	})
	for l := range labels {
		if l != model.MetricNameLabel && !inside[l] {
			problems = append(problems, "none of its metrics has the label "+l)
		}
	}
	if selectors == 0 {
		problems = append(problems, "it asks for nothing")
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("%s", strings.Join(problems, "; "))
	}
	return labels, nil
}

var labelInText = regexp.MustCompile(`\$labels\.(\w+)`)

func TestEveryAlertAsksForWhatThereIs(t *testing.T) {
	metrics := metricsOf(t)
	seen := map[string]bool{}
	pages := runbooks(t)
	for _, r := range rules(t) {
		if seen[r.Alert] {
			t.Errorf("%s is there twice", r.Alert)
		}
		seen[r.Alert] = true
		labels, err := metrics.check(r.Expr)
		if err != nil {
			t.Errorf("%s: %v", r.Alert, err)
		}
		if _, err := model.ParseDuration(r.For); r.For != "" && err != nil {
			t.Errorf("%s: for: %v", r.Alert, err)
		}
		if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) {
			t.Errorf("%s: how severe is %q?", r.Alert, r.Labels["severity"])
		}
		for _, name := range []string{"summary", "description"} {
			if r.Annotations[name] == "" {
				t.Errorf("%s has no %s", r.Alert, name)
			}
			for _, m := range labelInText.FindAllStringSubmatch(r.Annotations[name], -1) {
				if !labels[m[1]] {
					t.Errorf("%s: its %s names the label %s, which its answer does not have", r.Alert, name, m[1])
				}
			}
		}
		if want := "https://github.com/sluicehq/sluice/blob/main/deploy/runbooks/" + r.Alert + ".md"; r.Annotations["runbook_url"] != want {
			t.Errorf("%s: its page is said to be %q, want %s", r.Alert, r.Annotations["runbook_url"], want)
		}
		if _, ok := pages[r.Alert]; !ok {
			t.Errorf("%s has no page deploy/runbooks/%s.md", r.Alert, r.Alert)
		}
	}
	for name, text := range pages {
		if !seen[name] {
			t.Errorf("deploy/runbooks/%s.md is the page of no alert", name)
		}
		checkPage(t, metrics, seen, name, text)
	}
	t.Run("dashboard", func(t *testing.T) { checkDashboard(t, metrics) })
}

var (
	metricInText   = regexp.MustCompile(`sluice_[a-z0-9_]+`)
	variableInText = regexp.MustCompile("`([A-Z][A-Z0-9]*_[A-Z0-9_]+)")
	alertInText    = regexp.MustCompile(`\b(?:Ingest|Poll|Currents|Sink|Attributes|Sender|Service)[A-Z][A-Za-z]+\b`)
)

// checkPage holds a page to its form, and what it names to what there is.
func checkPage(t *testing.T, metrics described, alerts map[string]bool, name, text string) {
	t.Helper()
	rest := text
	for _, part := range []string{"# " + name + "\n", "**If nobody acts:**", "## Look here\n", "## Do this\n"} {
		_, after, found := strings.Cut(rest, part)
		if !found {
			t.Errorf("%s.md has no %q, or not there", name, part)
		}
		rest = after
	}
	for _, metric := range metricInText.FindAllString(text, -1) {
		if _, ok := metrics.has(metric); !ok {
			t.Errorf("%s.md: no service has the metric %s", name, metric)
		}
	}
	known := map[string]bool{}
	for _, f := range config.Fields[pipeline.Config]() {
		known[f.Env] = true
	}
	for _, m := range variableInText.FindAllStringSubmatch(text, -1) {
		if !known[m[1]] {
			t.Errorf("%s.md: nobody reads the variable %s", name, m[1])
		}
	}
	for _, other := range alertInText.FindAllString(text, -1) {
		if !alerts[other] {
			t.Errorf("%s.md: there is no alert %s", name, other)
		}
	}
}

var legendLabel = regexp.MustCompile(`\{\{(\w+)\}\}`)

// checkDashboard holds every expression of the dashboard to what there is, and every panel to a place of its own.
func checkDashboard(t *testing.T, metrics described) {
	text, err := os.ReadFile(filepath.Join(root, "deploy/dashboards/sluice.json"))
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Title  string `json:"title"`
		Panels []struct {
			ID          int                      `json:"id"`
			Type        string                   `json:"type"`
			Title       string                   `json:"title"`
			Description string                   `json:"description"`
			GridPos     struct{ X, Y, W, H int } `json:"gridPos"`
			Targets     []struct {
				Expr         string `json:"expr"`
				LegendFormat string `json:"legendFormat"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	ids, taken, asked := map[int]bool{}, map[[2]int]string{}, 0
	for _, p := range board.Panels {
		if ids[p.ID] || p.Title == "" {
			t.Errorf("panel %d (%s) has the id of another, or no title", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s lies upon %s, or sticks out", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("%s says nothing, or asks for nothing", p.Title)
		}
		for _, target := range p.Targets {
			asked++
			labels, err := metrics.check(target.Expr)
			if err != nil {
				t.Errorf("%s: %s: %v", p.Title, target.Expr, err)
			}
			for _, m := range legendLabel.FindAllStringSubmatch(target.LegendFormat, -1) {
				if !labels[m[1]] {
					t.Errorf("%s: the legend names the label %s, which the answer does not have", p.Title, m[1])
				}
			}
		}
	}
	if board.Title != "Sluice" || asked < 30 {
		t.Errorf("the dashboard %q asks %d questions", board.Title, asked)
	}
}

// The check itself must find what is wrong.
func TestAnExpressionThatAsksForNothingThereIsIsFound(t *testing.T) {
	metrics := described{"sluice_x_total": {"sink"}, "sluice_x_seconds": {}}
	for expr, want := range map[string]string{
		`sum by (sink) (rate(sluice_x_total[5m])) > 0`:                             "",
		`histogram_quantile(0.9, sum by (le) (rate(sluice_x_seconds_bucket[5m])))`: "",
		`sluice_y_total > 0`:             "no service has the metric sluice_y_total",
		`sluice_x_total{sinc="a"}`:       "has no label sinc",
		`sum by (sinc) (sluice_x_total)`: "none of its metrics has the label sinc",
		`sum(sluice_x_total`:             "unclosed",
		`vector(1)`:                      "asks for nothing",
	} {
		_, err := metrics.check(expr)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", expr, err, want)
		}
	}
}
