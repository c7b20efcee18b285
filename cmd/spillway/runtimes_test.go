//go:build linux || darwin

package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseRuntimes(t *testing.T) {
	for text, want := range map[string]map[string]float64{
		`{"a": 1.5, "b": 0}`:                  {"a": 1.5, "b": 0},
		`{"runtimes": {"a": 2}, "tasks": {}}`: {"a": 2},
		`{"runtimes": 7}`:                     {"runtimes": 7}, // a task of that name
		`{}`:                                  {},
	} {
		got, err := parseRuntimes([]byte(text))
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for text, want := range map[string]string{
		``:                         "want an object of seconds by task id: unexpected end of JSON input",
		`[1]`:                      "want an object of seconds by task id",
		`{"a": "1"}`:               "want an object of seconds by task id",
		`{"b": -1, "a": -1}`:       "run time -1 of task a: want 0 to 100000000 s",
		`{"runtimes": {"a": 1e9}}`: "run time 1e+09 of task a: want 0 to 100000000 s",
	} {
		_, err := parseRuntimes([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
}

func FuzzParseRuntimes(f *testing.F) {
	f.Add([]byte(`{"a": 1}`))
	f.Add([]byte(`{"runtimes": {"a": 1e300}}`))
	f.Add([]byte(`{"runtimes": null, "a": 1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		times, err := parseRuntimes(text)
		if err != nil {
			require.Nil(t, times)
			return
		}
		for id, s := range times {
			require.True(t, s >= 0 && s <= maxRuntime, "%s: %g", id, s)
		}
	})
}
