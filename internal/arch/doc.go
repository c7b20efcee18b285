// Package arch holds the test that keeps the architecture true: it reads every import and every banned reference of
// the module and fails with file and line. The table of rooms in rooms_test.go is the architecture in data.
package arch
