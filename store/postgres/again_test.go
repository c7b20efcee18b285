package postgres

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

func TestAgain(t *testing.T) {
	deadlock := &pgconn.PgError{Code: codeDeadlock}
	other := &pgconn.PgError{Code: "23505"}
	lost := errors.New("unexpected EOF")
	for name, c := range map[string]struct {
		answers []error
		calls   int
		want    error
	}{
		"at once":            {[]error{nil}, 1, nil},
		"after a deadlock":   {[]error{deadlock, nil}, 2, nil},
		"deadlocks for ever": {[]error{deadlock, deadlock, deadlock, nil}, tries, deadlock},
		"a broken row":       {[]error{other, nil}, 1, other},
		"an answer lost":     {[]error{lost, nil}, 1, lost},
	} {
		calls := 0
		err := again(t.Context(), func() error { calls++; return c.answers[calls-1] })
		require.Equal(t, c.want, err, name)
		require.Equal(t, c.calls, calls, name)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, error(deadlock), again(ended, func() error { return deadlock }))
}
