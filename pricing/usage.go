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
	Requests    int64   // invocations
	HandlerUs   int64   // time inside the handler of each, I/O included
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

// The rows of a bill, in order; quantities and prices run beside them.
var rows = [...]struct {
	category Category
	unit     string
}{
	{Compute, "GiB-s"}, {Compute, "vCPU-s"}, {Request, "request"},
	{Egress, "GiB"}, {Storage, "PUT"}, {Storage, "GET"}, {Private, "core-h"},
}

type perRow [len(rows)]float64

func (r *Rates) quantities(u Usage) perRow {
	billed := 0.0
	if u.Requests != 0 {
		billed = float64(u.Requests) * float64(r.BilledUs(u.HandlerUs, u.ColdStartUs)) / second
	}
	return perRow{
		float64(billed * (float64(u.MemMiB) / 1024)), float64(billed * u.VCPU), float64(u.Requests),
		float64(u.EgressBytes) / GiB, float64(u.Puts), float64(u.Gets),
		float64(u.PrivateCoreUs) / second / 3600,
	}
}

func (r *Rates) prices() perRow {
	return perRow{r.PerGiBSecond, r.PerVCPUSecond, r.PerRequest, r.PerEgressGiB, r.PerPut, r.PerGet, r.PerCoreHour}
}

// Price turns use into line items, leaving out those without quantity or
// price. The error wraps ErrOverflow.
func (r *Rates) Price(u Usage) ([]LineItem, error) {
	var items []LineItem
	prices := r.prices()
	for k, quantity := range r.quantities(u) {
		if quantity == 0 || prices[k] == 0 {
			continue
		}
		amount, err := MulRate(quantity, prices[k])
		if err != nil {
			return nil, fmt.Errorf("%g %s: %w", quantity, rows[k].unit, err)
		}
		unit, err := FromUSD(prices[k])
		if err != nil {
			return nil, fmt.Errorf("price of a %s: %w", rows[k].unit, err)
		}
		item := LineItem{Category: rows[k].category, Quantity: quantity, Unit: rows[k].unit, UnitPrice: unit, Amount: amount}
		if item.Category == Compute && u.ColdStartUs > 0 && r.BillColdStart {
			item.Note = "with cold start"
		}
		items = append(items, item)
	}
	return items, nil
}

// Total is the sum of Price's amounts without building the items: the form for
// simulators that bill millions of placements. The error wraps ErrOverflow.
func (r *Rates) Total(u Usage) (Money, error) {
	var sum Money
	prices := r.prices()
	for k, quantity := range r.quantities(u) {
		if quantity == 0 || prices[k] == 0 {
			continue
		}
		amount, err := MulRate(quantity, prices[k])
		if err != nil {
			return 0, fmt.Errorf("%g %s: %w", quantity, rows[k].unit, err)
		}
		if sum, err = sum.Add(amount); err != nil {
			return 0, err
		}
	}
	return sum, nil
}
