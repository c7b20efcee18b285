package offload

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "ask the reference evaluator for the golden cases anew")

const goldenFile = "testdata/golden.json"

// golden is a generated case with the reference evaluator's answer, so that the
// agreement is tested where neither it nor python3 is at hand.
type golden struct {
	Instance    json.RawMessage `json:"instance"`
	Platform    json.RawMessage `json:"platform"`
	Plan        json.RawMessage `json:"plan"`
	DeadlineS   float64         `json:"deadline_s"`
	Multipliers []float64       `json:"multipliers,omitempty"`
	Answer      json.RawMessage `json:"answer"`
}

func TestSimulateAgreesWithGoldenCases(t *testing.T) {
	if *update {
		updateGolden(t)
	}
	text, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	var cases []golden
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for k, c := range cases {
		p := readTrace(t, c.Instance).problem(t, mustPlatform(t, c.Platform))
		p.DeadlineUs = micros(c.DeadlineS)
		plan, bad, err := DecodePlan(p, c.Plan)
		if err != nil {
			t.Fatal(err)
		}
		o, err := Simulate(p, &plan, SimOptions{Multipliers: c.Multipliers, Trace: true, Violations: bad})
		if err != nil {
			t.Fatal(err)
		}
		var want answer
		if err := json.Unmarshal(c.Answer, &want); err != nil {
			t.Fatal(err)
		}
		if diffs := compare(p, &o, &want); len(diffs) > 0 {
			t.Errorf("case %d: %q", k, diffs)
		}
		for _, v := range o.Violations {
			seen[v.Kind] = true
		}
		seen["cold"] = seen["cold"] || o.ColdStarts > 0
		seen["warm"] = seen["warm"] || o.Offloaded > o.ColdStarts && o.MakespanUs != Never
		seen["quota wait"] = seen["quota wait"] || o.QuotaWaitUs > 0
		seen["across"] = seen["across"] || o.CrossBytes > 0
		seen["noise"] = seen["noise"] || c.Multipliers != nil
	}
	for _, what := range []string{"cold", "warm", "quota wait", "across", "noise", "memory", "duration", "data", "capacity", "never-ran"} {
		if !seen[what] {
			t.Errorf("no golden case covers %s", what)
		}
	}
}

func updateGolden(t *testing.T) {
	ref := startReference(t)
	var cases []golden
	for seed := range 40 {
		g := newGenerator(uint64(50_000 + seed))
		tr, pf := g.trace(3+g.IntN(8)), g.platform()
		c := golden{Instance: encode(t, tr), Platform: encode(t, pf), Plan: encode(t, g.plan(tr, pf)), DeadlineS: float64(1 + g.IntN(100))}
		q := doc{"op": "simulate", "instance": c.Instance, "platform": c.Platform, "plan": c.Plan, "deadline": c.DeadlineS, "seed": seed, "noise": pick(g, 0, 0, 0.2)}
		a, line := ref.askRaw(t, q)
		c.Multipliers, c.Answer = a.Multipliers, line
		cases = append(cases, c)
	}
	var out bytes.Buffer
	for k, c := range cases {
		out.WriteString(map[bool]string{true: "[", false: ",\n"}[k == 0])
		out.Write(encode(t, c))
	}
	out.WriteString("]\n")
	if err := os.WriteFile(goldenFile, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
