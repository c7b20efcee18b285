// Package offload decides which tasks of a workflow run on the private cluster
// and which are bought from a FaaS provider, so that the deadline is met for
// as little money as possible. Numbers in, numbers out: a Problem becomes a
// Plan, and Simulate says what executing a Plan would take and cost. Nothing
// here reads a clock, draws unseeded random numbers or starts a goroutine.
//
// # Semantics
//
// Instants and durations are int64 microseconds on the problem's own axis (0
// is the run's start), each duration rounded half up once. Money is
// pricing.Money. A file lies in the domain that produced it (initial files in
// the private one) and is staged at most once into every other domain that
// reads it. A task is ready when its parents have finished, its files are in
// its domain and its not-before time has passed. At every instant first all
// events of that instant happen, then links start transfers, then private
// nodes start tasks by plan order (a task that fits nowhere is passed over),
// then providers start tasks by plan order while quota is free.
package offload
