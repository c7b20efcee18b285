// Package examples holds workflows that do real work on data found on any machine with Go, and the tests that run
// them and compare what they make with an independent computation.
package examples
