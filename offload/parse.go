package offload

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
)

// ParsePlatform reads the JSON PLATFORM of the reference evaluator, and beside
// it the optional provider keys price_put, price_get (USD an object) and
// min_billed_s. It refuses unknown keys except those that begin with "_",
// "comment", "note" or "source". All errors are reported at once, each with its
// path.
func ParsePlatform(doc []byte) (Platform, error) {
	r := &reader{}
	top := r.object("", doc)
	pf := Platform{Name: top.text("name", ""), ReturnOutputs: top.boolean("return_outputs", true)}
	private := top.child("private")
	pf.CoreHour = private.number("price_core_hour", 0)
	for k, raw := range private.list("nodes") {
		pf.Nodes = append(pf.Nodes, readNode(r.object(fmt.Sprintf("private.nodes[%d]", k), raw)))
	}
	private.done()
	if raw, ok := top.take("providers"); ok {
		providers := r.object("providers", raw)
		for _, m := range providers.members {
			pf.Providers = append(pf.Providers, readProvider(m.key, r.object("providers."+m.key, m.raw)))
		}
	}
	pf.WAN = readWAN(top.child("wan"))
	if raw, ok := top.take("defaults"); ok {
		d := r.object("defaults", raw)
		pf.Defaults = Defaults{MemMiB: d.number("mem_mib", 0), Cores: d.number("cores", 0)}
		d.done()
	}
	top.done()
	if len(r.errs) == 0 {
		r.errs = append(r.errs, pf.validate()...)
	}
	return pf, errors.Join(r.errs...)
}

func readNode(o *object) Node {
	n := Node{Name: o.text("name", ""), Cores: o.integer("cores"), Speed: o.required("speed"), MemMiB: o.required("mem_mib")}
	o.done()
	return n
}

func readProvider(name string, o *object) Provider {
	q := Provider{
		Name: name, SpeedPerVCPU: o.required("speed_per_vcpu"),
		InvokeUs: micros(o.required("invoke_s")), ColdStartUs: micros(o.required("cold_start_s")),
		KeepWarmUs: micros(o.required("keep_warm_s")), MaxDurUs: micros(o.required("max_duration_s")),
		Quota: o.integer("quota"), MaxDataBytes: o.number("max_data_bytes", 0), StoreBps: o.number("store_bw_Bps", 0),
	}
	q.Rates.BillColdStart = o.boolean("bill_cold_start", false)
	q.Rates.PerGiBSecond, q.Rates.PerVCPUSecond = o.required("price_gib_s"), o.number("price_vcpu_s", 0)
	q.Rates.PerRequest, q.Rates.PerEgressGiB = o.required("price_request"), o.required("egress_price_gib")
	q.Rates.PerPut, q.Rates.PerGet = o.number("price_put", 0), o.number("price_get", 0)
	q.Rates.GranularityUs, q.Rates.MinimumUs = micros(o.required("granularity_s")), micros(o.number("min_billed_s", 0))
	for k, raw := range o.list("configs") {
		c := o.r.object(fmt.Sprintf("%s.configs[%d]", o.path, k), raw)
		q.Configs = append(q.Configs, Config{MemMiB: c.integer("mem_mib"), VCPU: c.required("vcpu")})
		c.done()
	}
	o.done()
	return q
}

func readWAN(o *object) WAN {
	w := WAN{
		UpBps: o.required("up_Bps"), DownBps: o.required("down_Bps"), CrossBps: o.number("x_Bps", 0),
		LatencyUs: micros(o.required("latency_s")),
	}
	switch mode := o.text("mode", "shared"); mode {
	case "shared":
	case "independent":
		w.Independent = true
	default:
		o.fail("mode", fmt.Sprintf("is %q, want \"shared\" or \"independent\"", mode))
	}
	o.done()
	return w
}

// reader collects errors while objects are taken apart in the order of the text.
type reader struct{ errs []error }

type member struct {
	key string
	raw json.RawMessage
}

type object struct {
	r       *reader
	path    string
	members []member
	bad     bool // not an object: say so once
}

func (r *reader) object(path string, raw []byte) *object {
	o := &object{r: r, path: path}
	if err := o.read(raw); err != nil {
		o.bad = true
		if path == "" {
			path = "platform"
		}
		r.errs = append(r.errs, fmt.Errorf("%s: %w", path, err))
	}
	return o
}

func (o *object) read(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil {
		return err
	} else if t != json.Delim('{') {
		return fmt.Errorf("want a JSON object, got %.20q", raw)
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		m := member{key: t.(string)}
		if err := d.Decode(&m.raw); err != nil {
			return fmt.Errorf("%s: %w", m.key, err)
		}
		if seen[m.key] {
			return fmt.Errorf("key %q twice", m.key)
		}
		seen[m.key] = true
		o.members = append(o.members, m)
	}
	if _, err := d.Token(); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("text after the JSON object")
	}
	return nil
}

func (o *object) fail(key, what string) {
	if o.bad {
		return
	}
	path := key
	if o.path != "" {
		path = o.path + "." + key
	}
	o.r.errs = append(o.r.errs, fmt.Errorf("%s: %s", path, what))
}

// take removes a member; null counts as absent.
func (o *object) take(key string) (json.RawMessage, bool) {
	for k, m := range o.members {
		if m.key == key {
			o.members = append(o.members[:k:k], o.members[k+1:]...)
			return m.raw, string(m.raw) != "null"
		}
	}
	return nil, false
}

// done refuses what nobody took.
func (o *object) done() {
	for _, m := range o.members {
		if !remark(m.key) {
			o.fail(m.key, "unknown key")
		}
	}
}

func remark(key string) bool {
	for _, prefix := range []string{"_", "comment", "note", "source"} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

func (o *object) child(key string) *object {
	raw, ok := o.take(key)
	if !ok {
		o.fail(key, "missing")
		return &object{r: o.r, path: key, bad: true}
	}
	return o.r.object(key, raw)
}

func (o *object) list(key string) (items []json.RawMessage) {
	raw, ok := o.take(key)
	if !ok {
		o.fail(key, "missing")
		return nil
	}
	if json.Unmarshal(raw, &items) != nil {
		o.fail(key, "want a list")
	}
	return items
}

// number is an optional number.
func (o *object) number(key string, absent float64) float64 {
	raw, ok := o.take(key)
	if !ok {
		return absent
	}
	var x float64
	if json.Unmarshal(raw, &x) != nil {
		o.fail(key, fmt.Sprintf("want a number, got %.20s", raw))
	}
	return x
}

func (o *object) required(key string) float64 {
	x := o.number(key, math.NaN())
	if math.IsNaN(x) {
		o.fail(key, "missing")
		return 0
	}
	return x
}

func (o *object) integer(key string) int {
	x := o.required(key)
	if x != math.Trunc(x) || math.Abs(x) > 1<<31 {
		o.fail(key, fmt.Sprintf("want a whole number, got %g", x))
		return 0
	}
	return int(x)
}

func (o *object) text(key, absent string) string {
	raw, ok := o.take(key)
	if !ok {
		return absent
	}
	if json.Unmarshal(raw, &absent) != nil {
		o.fail(key, fmt.Sprintf("want a string, got %.20s", raw))
	}
	return absent
}

func (o *object) boolean(key string, absent bool) bool {
	raw, ok := o.take(key)
	if !ok {
		return absent
	}
	if json.Unmarshal(raw, &absent) != nil {
		o.fail(key, fmt.Sprintf("want true or false, got %.20s", raw))
	}
	return absent
}
