// Package gen makes synthetic workflows for benchmarks: the shapes of published
// scientific workflows, with run times and file sizes drawn from log-normal
// distributions around the means of recorded executions, as WfFormat 1.5
// instances that every tool of that format reads. Equal family, size and seed
// give equal instances.
package gen
