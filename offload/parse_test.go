package offload

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const smallPlatform = `{
	"name": "small", "note": "remarks are allowed", "_more": {},
	"private": {"nodes": [{"name": "n", "cores": 2, "speed": 1.5, "mem_mib": 4096}]},
	"providers": {
		"z": PROVIDER,
		"a": {"configs": [{"mem_mib": 512, "vcpu": 0.5}], "speed_per_vcpu": 1, "invoke_s": 0, "cold_start_s": 0, "keep_warm_s": -1,
			"price_gib_s": 0, "price_request": 0, "granularity_s": 0.1, "max_duration_s": 60, "quota": 0, "egress_price_gib": 0,
			"store_bw_Bps": null}
	},
	"wan": {"up_Bps": 1e6, "down_Bps": 2e6, "latency_s": 0.05}
}`

const smallProvider = `{"configs": [{"mem_mib": 1024, "vcpu": 1}, {"mem_mib": 2048, "vcpu": 2}], "speed_per_vcpu": 0.9, "invoke_s": 0.0000015,
	"cold_start_s": 1, "bill_cold_start": true, "keep_warm_s": 300, "price_gib_s": 1e-5, "price_vcpu_s": 2e-5, "price_request": 2e-7,
	"granularity_s": 0.001, "min_billed_s": 0.1, "max_duration_s": 900, "quota": 10, "max_data_bytes": 1e9, "store_bw_Bps": 8e7,
	"egress_price_gib": 0.09, "price_put": 5e-6, "price_get": 4e-7}`

func smallDoc() string { return strings.Replace(smallPlatform, "PROVIDER", smallProvider, 1) }

func TestParsePlatform(t *testing.T) {
	pf, err := ParsePlatform([]byte(smallDoc()))
	require.NoError(t, err)
	require.Equal(t, []Node{{Name: "n", Cores: 2, Speed: 1.5, MemMiB: 4096}}, pf.Nodes)
	require.True(t, pf.ReturnOutputs, "by default")
	require.Equal(t, WAN{UpBps: 1e6, DownBps: 2e6, LatencyUs: 50_000}, pf.WAN)
	require.Equal(t, "z", pf.Providers[0].Name, "the order of the text, not of the alphabet: it breaks ties")
	z := &pf.Providers[0]
	require.Equal(t, []Config{{1024, 1}, {2048, 2}}, z.Configs)
	require.Equal(t, int64(2), z.InvokeUs, "half a microsecond rounds up")
	require.Equal(t, int64(100_000), z.Rates.MinimumUs)
	require.True(t, z.Rates.BillColdStart)
	require.Equal(t, 1, pf.ProviderIndex("a"))
	require.Equal(t, -1, pf.ProviderIndex("b"))
	require.Equal(t, 1, z.ConfigIndex(2048))
	require.Equal(t, -1, z.ConfigIndex(7))
	require.Negative(t, pf.Providers[1].KeepWarmUs)
}

// TestParsePlatformSaysWhatIsWrong changes one place of a platform at a time.
func TestParsePlatformSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ old, with, want string }{
		{`"cores": 2`, `"cores": 0`, "private.nodes[0].cores: is 0, want at least 1"},
		{`"cores": 2`, `"cores": 2.5`, "private.nodes[0].cores: want a whole number, got 2.5"},
		{`"cores": 2`, `"cores": "2"`, `private.nodes[0].cores: want a number, got "2"`},
		{`"cores": 2`, `"core": 2`, "private.nodes[0].cores: missing\nprivate.nodes[0].core: unknown key"},
		{`"speed": 1.5`, `"speed": 0`, "private.nodes[0].speed: is 0, want more than 0"},
		{`"quota": 10`, `"quota": -1`, "providers.z.quota: is -1, want at least 0"},
		{`"quota": 10`, `"quota": 1e99`, "providers.z.quota: want a whole number, got 1e+99"},
		{`"granularity_s": 0.001`, `"granularity_s": -1`, "providers.z.granularity_s: is -1000000, want at least 0"},
		{`"price_request": 2e-7`, `"price_request": -2`, "providers.z.price_request: is -2, want 0 to 1e6 USD"},
		{`"mem_mib": 1024`, `"mem_mib": null`, "providers.z.configs[0].mem_mib: missing"},
		{`[{"mem_mib": 512, "vcpu": 0.5}]`, `[]`, "providers.a.configs: is 0, want at least one"},
		{`[{"mem_mib": 512, "vcpu": 0.5}]`, `{}`, "providers.a.configs: want a list"},
		{`"a": {`, `"z": {`, `providers: key "z" twice`},
		{`"a": {`, `"private": {`, "providers: is private, want names other than"},
		{`"latency_s": 0.05`, `"latency_s": 0.05, "mode": "fast"`, `wan.mode: is "fast", want "shared" or "independent"`},
		{`"up_Bps": 1e6, `, ``, "wan.up_Bps: missing"},
		{`"wan":`, `"vpn":`, "wan: missing\nvpn: unknown key"},
		{`"bill_cold_start": true`, `"bill_cold_start": 1`, "providers.z.bill_cold_start: want true or false, got 1"},
		{`"name": "small"`, `"name": 3`, "name: want a string, got 3"},
		{`"_more": {}`, `"more": {}`, "more: unknown key"},
		{`"latency_s": 0.05}`, `"latency_s": 0.05}} {"x": 1`, "platform: text after the JSON object"},
	} {
		doc := smallDoc()
		require.Contains(t, doc, c.old)
		_, err := ParsePlatform([]byte(strings.Replace(doc, c.old, c.with, 1)))
		require.ErrorContains(t, err, c.want, "%s for %s", c.with, c.old)
	}
	_, err := ParsePlatform([]byte(`[1]`))
	require.ErrorContains(t, err, "platform: want a JSON object")
}

// smallProblem has a chain of two tasks on the small platform.
func smallProblem(t testing.TB) *Problem {
	t.Helper()
	p := &Problem{
		Platform: mustPlatform(t, []byte(smallDoc())),
		Files:    []File{{Name: "x", Size: 1_000_000}},
		Tasks: []Task{
			{ID: "a", Cores: 1, MemBytes: mib, RuntimeS: 10, Out: []int32{0}},
			{ID: "b", Cores: 1, MemBytes: mib, RuntimeS: 5, In: []int32{0}},
		},
	}
	if err := p.Prepare(); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDecodePlanNamesWhatDoesNotExist(t *testing.T) {
	for _, c := range []struct {
		task string
		want Violation
	}{
		{`{"target": "moon"}`, Violation{"unknown-target", "a", "moon"}},
		{`{}`, Violation{"unknown-target", "a", ""}},
		{`{"target": "z"}`, Violation{"unknown-config", "a", ""}},
		{`{"target": "z", "mem_mib": 1000}`, Violation{"unknown-config", "a", "1000"}},
		{`{"target": "z", "mem_mib": "1024"}`, Violation{"unknown-config", "a", `"1024"`}},
		{`{"target": "private", "node": 1}`, Violation{"unknown-node", "a", "1"}},
		{`{"target": "private", "not_before": 1e10}`, Violation{"unknown-time", "a", "1e+10"}},
	} {
		p := smallProblem(t)
		plan, bad, err := DecodePlan(p, []byte(`{"tasks": {"b": {"target": "z", "mem_mib": 2048.0}, "a": `+c.task+`}}`))
		require.NoError(t, err)
		require.Equal(t, []Violation{c.want}, bad)
		require.Equal(t, Placement{Target: Private, Node: -1}, plan.Placements[0], "it stays private")
		require.Equal(t, Placement{Target: 0, Config: 1, Node: -1}, plan.Placements[1])
		o, err := Simulate(p, &plan, SimOptions{Violations: bad})
		require.NoError(t, err)
		require.False(t, o.DeadlineMet)
		require.Equal(t, bad, o.Violations)
	}
	for _, text := range []string{"", "[]", `{"tasks": 3}`, `{"order": "a"}`} {
		_, _, err := DecodePlan(smallProblem(t), []byte(text))
		require.ErrorContains(t, err, "plan: ", "%q", text)
	}
}

func FuzzParsePlatform(f *testing.F) {
	f.Add([]byte(smallDoc()))
	f.Add([]byte(`{"private": {"nodes": []}, "wan": {"up_Bps": 1, "down_Bps": 1, "latency_s": 0, "mode": "independent"}, "defaults": {"cores": 2}}`))
	f.Add([]byte(`{"private": null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		pf, err := ParsePlatform(text)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		require.NoError(t, pf.Validate())
		p := &Problem{Platform: pf, Tasks: []Task{{ID: "a", Cores: 1, MemBytes: mib, RuntimeS: 1}}, DeadlineUs: 10 * second}
		for _, s := range Planners() {
			plan, err := s.Plan(*p, Budget{})
			if err == nil { // an amount may be beyond Money
				require.Len(t, plan.Placements, 1)
			}
		}
	})
}

func FuzzDecodePlan(f *testing.F) {
	f.Add([]byte(`{"order": ["b", "a", "c"], "tasks": {"a": {"target": "private", "node": 0}, "b": {"target": "z", "mem_mib": 1024, "not_before": 3}}}`))
	f.Add([]byte(`{"tasks": {"a": {"target": "a", "mem_mib": 512}, "c": {}}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p := smallProblem(t)
		plan, bad, err := DecodePlan(p, text)
		if err != nil {
			return
		}
		o, err := Simulate(p, &plan, SimOptions{Violations: bad})
		require.NoError(t, err)
		if len(bad) > 0 {
			require.False(t, o.DeadlineMet)
		}
		again, strange, err := DecodePlan(p, encode(t, NewPlanDoc(p, &plan)))
		require.NoError(t, err)
		require.Empty(t, strange, "what was written can be read")
		require.Equal(t, plan.Placements, again.Placements)
	})
}
