package estimate

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spillway/spillway/offload"
	"github.com/spillway/spillway/pricing"
	"github.com/spillway/spillway/workflow"
)

const pipeline = `
apiVersion: spillway/v1
name: pipeline
tasks:
  list:
    run: "true"
    estimate: {runtime: 8s}
    outputs: [{path: names.json, name: names, value: json}]
  work:
    foreach: "${{ tasks.list.outputs.names }}"
    needs: [list]
    run: "true"
    resources: {cpu: 2, memory: 3GiB}
    estimate: {runtime: 40s, output: 30MiB, count: 3}
    outputs: [{path: a.bin}, {path: b.bin}, {path: c.bin}]
  join:
    inputs: [{from: work}]
    run: "true"
    data: private
    outputs: [{path: all.bin}]
  away:
    needs: [join]
    run: "true"
    placement: {allow: ["sandbox:*"]}
  near:
    run: "true"
    placement: {allow: [private, "aws:*"]}
`

func graph(t testing.TB, text string) *workflow.Graph {
	t.Helper()
	spec, err := workflow.Parse("w.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	params, err := workflow.Bind(spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	g, err := workflow.Expand(spec, params)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func model() *Model {
	return &Model{Platform: offload.Platform{
		Nodes: []offload.Node{{Cores: 3, Speed: 1, MemMiB: 4096}, {Cores: 1, Speed: 2, MemMiB: 4096}},
		Providers: []offload.Provider{
			{
				Name: "sandbox:local", SpeedPerVCPU: 0.5, Quota: 8, MaxDurUs: 900e6, InvokeUs: 20_000, ColdStartUs: 300_000,
				Configs: []offload.Config{{MemMiB: 1024, VCPU: 0.5}, {MemMiB: 2048, VCPU: 1}, {MemMiB: 4096, VCPU: 2}},
				Rates:   pricing.Rates{PerGiBSecond: 1e-5},
			},
			{
				Name: "aws:eu-west-1", SpeedPerVCPU: 1, Quota: 8, MaxDurUs: 900e6,
				Configs: []offload.Config{{MemMiB: 2048, VCPU: 1}},
			},
		},
		WAN: offload.WAN{UpBps: 1e6, DownBps: 1e6, LatencyUs: 20_000},
	}}
}

func problem(t testing.TB, m *Model, g *workflow.Graph) (*offload.Problem, []Basis) {
	t.Helper()
	p, bases, err := m.Problem(g, 1_000_000_000)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Prepare(); err != nil {
		t.Fatal(err)
	}
	return p, bases
}

func at(t testing.TB, g *workflow.Graph, id string) int {
	t.Helper()
	i := slices.IndexFunc(g.Instances, func(in workflow.Instance) bool { return in.ID == id })
	if i < 0 {
		t.Fatalf("no instance %s", id)
	}
	return i
}

func samples(task, site string, mem int, seconds ...float64) (out []Sample) {
	for _, s := range seconds {
		out = append(out, Sample{Task: task, Site: site, MemoryMiB: mem, Command: time.Duration(s * float64(time.Second)), OutputSize: int64(s * 1000)})
	}
	return out
}

func TestWithoutHistoryTheAuthorIsBelievedElseTheAssumptionIsSaid(t *testing.T) {
	g := graph(t, pipeline)
	p, bases := problem(t, model(), g)
	work := at(t, g, "work[2]")
	if got := p.Tasks[work]; got.RuntimeS != 40 || got.Cores != 2 || got.MemBytes != 3<<30 || got.RuntimeOn != nil {
		t.Errorf("work[2]: %+v", got)
	}
	if got := bases[work].String(); got != "40 s: estimate.runtime; its elements are not known yet" {
		t.Error(got)
	}
	if got := bases[at(t, g, "near")].String(); got != "10 s: assumed: no estimate.runtime and no earlier run" {
		t.Error(got)
	}
	for f := range p.Files {
		want := map[string]int64{"names.json": 0, "all.bin": priorBytes}[g.Files[f].Path]
		if g.Files[f].Path[1:] == ".bin" {
			want = 10 << 20
		}
		if g.Files[f].Path == "names.json" {
			want = priorBytes // a value alone, and the author says nothing
		}
		if p.Files[f].Size != want {
			t.Errorf("%s has %d bytes, want %d", p.Files[f].Name, p.Files[f].Size, want)
		}
	}
	if want := int64(70_000_000); p.MarginUs != want {
		t.Errorf("margin %d, want %d", p.MarginUs, want)
	}
}

func TestHistoryReplacesTheHint(t *testing.T) {
	g := graph(t, pipeline)
	m := model()
	m.History = samples("work", "private", 0, 10, 20, 30, 40)
	p, bases := problem(t, m, g)
	work := at(t, g, "work[0]")
	if got := p.Tasks[work].RuntimeS; got != 30*1.25 { // nodes have a mean speed of 1.25
		t.Errorf("run time %g", got)
	}
	if got := bases[work].why(); got != "the 75 % quantile of 4 earlier runs at private" {
		t.Error(got)
	}
	if got := p.Files[g.Instances[work].Out[1]].Size; got != 10_000 {
		t.Errorf("output of %d bytes, want a third of the 75 %% quantile", got)
	}
	if bases[work].Output != History || !bases[work].Measured() {
		t.Errorf("basis %+v", bases[work])
	}
}

func TestMeasuredOfferingsConvertToTheOthers(t *testing.T) {
	g := graph(t, pipeline)
	m := model()
	m.History = append(samples("work", "sandbox:local", 2048, 100, 100, 100), samples("work", "gone:site", 512, 1, 1, 1)...)
	p, bases := problem(t, m, g)
	work := at(t, g, "work[0]")
	if got := p.Tasks[work].RuntimeS; got != 25 { // 1 vCPU of 2 at half speed
		t.Errorf("on reference cores %g s", got)
	}
	if bases[work].Samples != 3 {
		t.Errorf("samples of a site that is gone count: %+v", bases[work])
	}
	want := []offload.OfferingRuntime{{Config: 0, Seconds: 200}, {Config: 1, Seconds: 100}, {Config: 2, Seconds: 50}}
	if !slices.Equal(p.Tasks[work].RuntimeOn, want) {
		t.Errorf("%+v", p.Tasks[work].RuntimeOn)
	}
}

func TestFewSamplesOnlyCorrectTheHint(t *testing.T) {
	g := graph(t, pipeline)
	m := model()
	m.Platform.Nodes = m.Platform.Nodes[:1]
	m.History = append(samples("work", "private", 0, 80), samples("near", "private", 0, 3, 5)...)
	p, bases := problem(t, m, g)
	work, near := at(t, g, "work[0]"), at(t, g, "near")
	if got := p.Tasks[work].RuntimeS; got <= 40 || got >= 60 {
		t.Errorf("one sample of 80 s moves 40 s to %g s", got)
	}
	if got := bases[work].why(); got != "estimate.runtime, corrected by 1 earlier run" {
		t.Error(got)
	}
	if got := bases[near].String(); got != "5 s: the longest of 2 earlier runs" || bases[near].Measured() {
		t.Error(got)
	}
}

func TestMarginFallsWithWhatHistoryKnows(t *testing.T) {
	g := graph(t, pipeline)
	m := model()
	for _, task := range []string{"list", "work", "join", "away", "near"} {
		m.History = append(m.History, samples(task, "private", 0, 9, 10, 11)...)
	}
	if p, _ := problem(t, m, g); p.MarginUs != 50_000_000 {
		t.Errorf("margin %d with history of every task", p.MarginUs)
	}
	for fraction, want := range map[float64]int64{-1: 0, 0.25: 250_000_000} {
		m.MarginFraction = fraction
		if p, _ := problem(t, m, g); p.MarginUs != want {
			t.Errorf("margin %d at fraction %g, want %d", p.MarginUs, fraction, want)
		}
	}
}

func TestTrustDecidesWhereTasksMayRun(t *testing.T) {
	g := graph(t, pipeline)
	if err := g.Resolve(1, []any{"x"}); err != nil {
		t.Fatal(err)
	}
	m := model()
	m.Takes = []workflow.Label{workflow.LabelPublic}
	p, _ := problem(t, m, g)
	join, near := at(t, g, "join"), at(t, g, "near")
	if !p.Tasks[join].PrivateOnly || p.Tasks[join].PublicOnly {
		t.Errorf("private data leaves: %+v", p.Tasks[join])
	}
	if got := p.Tasks[near].Deny; !slices.Equal(got, []bool{true, false}) {
		t.Errorf("near: deny %v", got)
	}
	if why := p.Tasks[near].WhyNot; len(why) != 3 || why[0] != "" || why[1] == "" || why[2] != "" {
		t.Errorf("near: why not %q", why)
	}
	want := []string{
		"sandbox:local: it takes public data at most: join has data: private (line 19)",
		"aws:eu-west-1: it takes internal data at most: join has data: private (line 19)",
	}
	if got := m.Exclusions(g, join); !slices.Equal(got, want) {
		t.Errorf("exclusions of join:\n%s", strings.Join(got, "\n"))
	}
	away := at(t, g, "away")
	if a := p.Tasks[away]; !a.PublicOnly || a.PrivateOnly || !slices.Equal(a.Deny, []bool{true, true}) {
		t.Errorf("away may run nowhere now: %+v", a)
	}
	got := m.Exclusions(g, at(t, g, "work[0]"))
	if !slices.Contains(got, "aws:eu-west-1: it needs 3072 MiB, the largest offering has 2048 MiB") {
		t.Errorf("exclusions of work[0]:\n%s", strings.Join(got, "\n"))
	}
	if m.Exclusions(g, at(t, g, "work[2]")) != nil {
		t.Error("a retired instance has exclusions")
	}
}

func TestSecretsStayHomeUnlessPlaced(t *testing.T) {
	g := graph(t, `
apiVersion: spillway/v1
name: secrets
tasks:
  a: {run: "true", env: {TOKEN: "${{ secrets.token }}"}}
`)
	m := model()
	p, _ := problem(t, m, g)
	if !p.Tasks[0].PrivateOnly {
		t.Error("a task with secrets leaves home unasked")
	}
	if got := m.Exclusions(g, 0); len(got) != 2 || !strings.Contains(got[0], "secrets") {
		t.Error(got)
	}
}

func TestRetiredInstancesKeepTheIndexesAndCostNothing(t *testing.T) {
	g := graph(t, pipeline)
	if err := g.Resolve(1, []any{"only"}); err != nil {
		t.Fatal(err)
	}
	p, bases := problem(t, model(), g)
	for i := range g.Instances {
		if p.Tasks[i].ID != g.Instances[i].ID {
			t.Fatalf("task %d is %s in the problem and %s in the graph", i, p.Tasks[i].ID, g.Instances[i].ID)
		}
	}
	gone := p.Tasks[at(t, g, "work[2]")]
	if gone.RuntimeS != 0 || gone.MemBytes != 0 || len(gone.In)+len(gone.Out)+len(gone.Parents) != 0 {
		t.Errorf("retired: %+v", gone)
	}
	if b := bases[at(t, g, "work[2]")]; b.Source != Retired || b.Seconds != 0 {
		t.Errorf("basis of a retired instance: %+v", b)
	}
	private, _ := offload.Lookup("private")
	m := model()
	m.Platform.CoreHour = 1
	q, _ := problem(t, m, g)
	q.Tasks[at(t, g, "away")].PublicOnly = false
	plan, err := private(*q, offload.Budget{})
	if err != nil || plan.Predicted.MakespanUs == offload.Never {
		t.Fatalf("%v, %+v", err, plan.Predicted)
	}
	if got := plan.Predicted.Tasks[at(t, g, "work[2]")]; got.StartUs != got.FinishUs || got.Cost != 0 {
		t.Errorf("a retired instance takes time or money: %+v", got)
	}
}

func TestTimeScaleDividesTimesAndBytesButNotBandwidthOrPrices(t *testing.T) {
	g := graph(t, pipeline)
	m := model()
	m.TimeScale = 8
	m.History = samples("join", "private", 0, 16, 16, 16)
	before := m.Platform.Providers[0]
	p, _ := problem(t, m, g)
	q := p.Platform.Providers[0]
	if q.InvokeUs != 2500 || q.ColdStartUs != 37_500 || p.Platform.WAN.LatencyUs != 2500 {
		t.Errorf("latencies %d %d %d", q.InvokeUs, q.ColdStartUs, p.Platform.WAN.LatencyUs)
	}
	if p.Platform.WAN.UpBps != 1e6 || q.Rates != before.Rates || q.MaxDurUs != before.MaxDurUs {
		t.Error("bandwidth, prices or limits changed")
	}
	if m.Platform.Providers[0].InvokeUs != before.InvokeUs {
		t.Error("the model's own platform changed")
	}
	if got := p.Tasks[at(t, g, "work[0]")].RuntimeS; got != 5 {
		t.Errorf("hint of 40 s became %g s", got)
	}
	if got := p.Tasks[at(t, g, "join")].RuntimeS; got != 20 {
		t.Errorf("16 measured seconds became %g s: history is at scale already", got)
	}
	if got := p.Files[g.Instances[at(t, g, "work[0]")].Out[0]].Size; got != 10<<20/8 {
		t.Errorf("10 MiB became %d bytes", got)
	}
}

func TestNonsenseIsRefused(t *testing.T) {
	g := graph(t, pipeline)
	for name, m := range map[string]*Model{
		"quantile": {Quantile: 1}, "margin": {MarginFraction: 1}, "time scale": {TimeScale: -2},
		"labels": {Takes: make([]workflow.Label, 1)},
	} {
		if _, _, err := m.Problem(g, 1); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := model().Problem(g, -1); err == nil {
		t.Error("a deadline before the start is accepted")
	}
}

// However many samples of whatever length there are, an estimate lies between
// the hint and the samples, and a higher quantile is never shorter.
func TestEstimatesStayWithinWhatIsKnown(t *testing.T) {
	g := graph(t, pipeline)
	near := at(t, g, "near")
	work := at(t, g, "work[0]")
	rapid.Check(t, func(t *rapid.T) {
		seconds := rapid.SliceOfN(rapid.Float64Range(0.01, 1e4), 1, 40).Draw(t, "seconds")
		low, high := slices.Min(seconds), slices.Max(seconds)
		m := model()
		m.Platform.Nodes = m.Platform.Nodes[:1]
		m.History = append(samples("near", "private", 0, seconds...), samples("work", "private", 0, seconds...)...)
		last := 0.0
		for _, q := range []float64{0.1, 0.5, 0.75, 0.99} {
			m.Quantile = q
			p, bases, err := m.Problem(g, 0)
			if err != nil {
				t.Fatal(err)
			}
			const slip = 1e-8 // a duration holds nanoseconds
			if got := p.Tasks[near].RuntimeS; got < low-slip || got > high+slip || got < last {
				t.Fatalf("quantile %g is %g of [%g, %g], after %g", q, got, low, high, last)
			}
			if got := p.Tasks[work].RuntimeS; got < min(low, 40)-slip || got > max(high, 40)+slip {
				t.Fatalf("%g s is outside of hint and samples", got)
			}
			if bases[work].Measured() != (len(seconds) >= enough) {
				t.Fatalf("%d samples: %v", len(seconds), bases[work])
			}
			last = p.Tasks[near].RuntimeS
		}
	})
}

func TestThreeRunsAtHomeOutweighAnyElsewhere(t *testing.T) {
	g := graph(t, pipeline)
	m := model()
	m.Platform.Nodes = m.Platform.Nodes[:1]
	m.History = append(samples("near", "private", 0, 10, 10, 10), samples("near", "sandbox:local", 2048, 900, 900, 900, 900)...)
	p, bases := problem(t, m, g)
	near := at(t, g, "near")
	if got := p.Tasks[near].RuntimeS; got != 10 || bases[near].Site != "private" {
		t.Errorf("%g s, %v", got, bases[near])
	}
}

func TestHintsFollowThePaceOfMeasuredTasks(t *testing.T) {
	g := graph(t, strings.Replace(pipeline, "  join:", "  twin:\n    run: x\n    estimate: {runtime: 10s}\n  join:", 1))
	m := model()
	m.Platform.Nodes = m.Platform.Nodes[:1]
	m.History = samples("work", "private", 0, 20, 20, 20) // the author said 40 s
	p, bases := problem(t, m, g)
	twin := at(t, g, "twin")
	if got := p.Tasks[twin].RuntimeS; math.Abs(got-5) > 1e-9 {
		t.Errorf("a hint of 10 s is planned with %g s where another task takes half of its own", got)
	}
	if got := bases[twin].why(); got != "estimate.runtime times 0.5, as other tasks took" {
		t.Error(got)
	}
	m.History = samples("work", "private", 0, 1e6, 1e6, 1e6)
	if p, _ := problem(t, m, g); math.Abs(p.Tasks[twin].RuntimeS-10*maxPace) > 1e-9 {
		t.Errorf("an author that is wrong beyond measure is believed wrong everywhere: %g s", p.Tasks[twin].RuntimeS)
	}
}
