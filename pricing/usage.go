package pricing

import "fmt"

// GiB is the number of bytes that egress prices count in.
const GiB = 1 << 30

const second = 1_000_000 // microseconds

// Category groups line items in reports.
type Category string

// The categories of a bill.
const (
	Compute Category = "compute"
	Request Category = "request"
	Egress  Category = "egress"
	Storage Category = "storage"
	Private Category = "private"
)

// Rates are the prices of one offering's provider. Prices are USD a unit.
type Rates struct {
	PerGiBSecond  float64 // memory for one billed second
	PerVCPUSecond float64 // vCPU for one billed second
	PerRequest    float64
	PerEgressGiB  float64 // bytes that leave the provider
	PerPut        float64 // one object written to the provider's store
	PerGet        float64 // one object read from it
	PerCoreHour   float64 // one private core held for an hour

	GranularityUs int64 // billed durations round up to a multiple; 0 counts as 1
	MinimumUs     int64 // least billed duration of an invocation
	BillColdStart bool  // whether initialisation counts as billed duration
}

// Usage is what one task, attempt or transfer consumed. Zero fields cost nothing.
type Usage struct {
	Requests    int64   // invocations; each is charged the duration below
	HandlerUs   int64   // time inside the handler, I/O included
	ColdStartUs int64   // initialisation before it; 0 for a warm start
	MemMiB      int     // memory size of the offering
	VCPU        float64 // vCPU of the offering

	EgressBytes   int64
	Puts, Gets    int64
	PrivateCoreUs int64 // cores held times microseconds
}

// LineItem is one row of a bill.
type LineItem struct {
	Category  Category
	Quantity  float64
	Unit      string // "GiB-s", "vCPU-s", "request", "GiB", "PUT", "GET", "core-h"
	UnitPrice Money  // rounded for display; Amount comes from the unrounded price
	Amount    Money  // rounded once
	Note      string
}

// BilledUs is the billed duration of one invocation.
func (r *Rates) BilledUs(handlerUs, coldStartUs int64) int64 {
	d := handlerUs
	if r.BillColdStart {
		d += coldStartUs
	}
	d = max(d, r.MinimumUs)
	g := max(r.GranularityUs, 1)
	return (d + g - 1) / g * g
}

// Price turns use into line items, leaving out those without quantity or
// price. The error wraps ErrOverflow.
func (r *Rates) Price(u Usage) ([]LineItem, error) {
	var items []LineItem
	for _, c := range r.charges(u) {
		if c.quantity == 0 || c.price == 0 {
			continue
		}
		amount, err := MulRate(c.quantity, c.price)
		if err != nil {
			return nil, fmt.Errorf("%s of %g %s: %w", c.category, c.quantity, c.unit, err)
		}
		unit, err := FromUSD(c.price)
		if err != nil {
			return nil, fmt.Errorf("price of a %s: %w", c.unit, err)
		}
		items = append(items, LineItem{c.category, c.quantity, c.unit, unit, amount, c.note})
	}
	return items, nil
}

// Total is the sum of Price's amounts without building the items: the form for
// simulators that bill millions of placements. The error wraps ErrOverflow.
func (r *Rates) Total(u Usage) (Money, error) {
	var sum Money
	for _, c := range r.charges(u) {
		if c.quantity == 0 || c.price == 0 {
			continue
		}
		amount, err := MulRate(c.quantity, c.price)
		if err != nil {
			return 0, err
		}
		if sum, err = sum.Add(amount); err != nil {
			return 0, err
		}
	}
	return sum, nil
}

type charge struct {
	category Category
	quantity float64
	unit     string
	price    float64
	note     string
}

// charges lists every quantity a bill can hold with its price.
func (r *Rates) charges(u Usage) [7]charge {
	billed := float64(u.Requests) * float64(r.BilledUs(u.HandlerUs, u.ColdStartUs)) / second
	note := ""
	if u.ColdStartUs > 0 && r.BillColdStart {
		note = "with cold start"
	}
	return [7]charge{
		{Compute, float64(billed * (float64(u.MemMiB) / 1024)), "GiB-s", r.PerGiBSecond, note},
		{Compute, float64(billed * u.VCPU), "vCPU-s", r.PerVCPUSecond, note},
		{Request, float64(u.Requests), "request", r.PerRequest, ""},
		{Egress, float64(u.EgressBytes) / GiB, "GiB", r.PerEgressGiB, ""},
		{Storage, float64(u.Puts), "PUT", r.PerPut, ""},
		{Storage, float64(u.Gets), "GET", r.PerGet, ""},
		{Private, float64(u.PrivateCoreUs) / second / 3600, "core-h", r.PerCoreHour, ""},
	}
}
