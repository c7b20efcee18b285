package workflow

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestDeadlineAt(t *testing.T) {
	for _, c := range []struct{ by, zone, start, want string }{
		{"06:00", "UTC", "2026-11-25T05:59:59Z", "2026-11-25T06:00:00Z"},
		{"06:00", "UTC", "2026-11-25T06:00:00Z", "2026-11-26T06:00:00Z"},
		{"06:00", "", "2026-12-31T07:00:00Z", "2027-01-01T06:00:00Z"},
		{"06:00", "Europe/Lisbon", "2026-07-01T05:30:00Z", "2026-07-02T05:00:00Z"},
		{"06:00", "Asia/Tokyo", "2026-11-25T20:00:00Z", "2026-11-25T21:00:00Z"},
		{"06:00", "America/New_York", "2026-11-25T10:30:00Z", "2026-11-25T11:00:00Z"},
		{"00:00", "Asia/Kolkata", "2026-11-25T18:00:00Z", "2026-11-25T18:30:00Z"},
		// Clocks go forward: 01:30 in Lisbon and 02:30 in New York do not exist, the moment of the change counts.
		{"01:30", "Europe/Lisbon", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"},
		{"02:30", "America/New_York", "2026-03-07T12:00:00Z", "2026-03-08T07:00:00Z"},
		{"02:30", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", "2026-10-03T15:30:00Z"},
		// Clocks go back: the time occurs twice, both count.
		{"01:30", "Europe/Lisbon", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"},
		{"01:30", "Europe/Lisbon", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"},
		{"01:30", "Europe/Lisbon", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"},
		{"01:30", "America/New_York", "2026-10-31T12:00:00Z", "2026-11-01T05:30:00Z"},
		{"01:30", "America/New_York", "2026-11-01T05:45:00Z", "2026-11-01T06:30:00Z"},
	} {
		start, err := time.Parse(time.RFC3339, c.start)
		require.NoError(t, err)
		at, err := (&Deadline{By: c.by, Timezone: c.zone}).At(start)
		require.NoError(t, err)
		require.Equal(t, c.want, at.Format(time.RFC3339), "%s %s after %s", c.by, c.zone, c.start)
		require.Equal(t, time.UTC, at.Location())
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at, err := (&Deadline{Within: 90 * time.Minute}).At(start)
	require.NoError(t, err)
	require.Equal(t, start.Add(90*time.Minute), at)
	for _, d := range []Deadline{{By: "25:00"}, {By: "6"}, {}, {By: "06:00", Timezone: "Nowhere"}, {By: "06:00", Timezone: "../etc/passwd"}} {
		_, err := d.At(start)
		require.Error(t, err, d)
	}
}

// TestDeadlineAtProperty: a deadline is after the start, within a day and a clock change, and reads as written unless
// that time was skipped.
func TestDeadlineAtProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom([]string{"UTC", "Europe/Lisbon", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns"}).Draw(t, "zone")
		start := time.Unix(rapid.Int64Range(0, 4_000_000_000).Draw(t, "start"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
		hour, minute := rapid.IntRange(0, 23).Draw(t, "hour"), rapid.IntRange(0, 59).Draw(t, "minute")
		by := time.Date(2000, 1, 1, hour, minute, 0, 0, time.UTC).Format("15:04")
		at, err := (&Deadline{By: by, Timezone: zone}).At(start)
		require.NoError(t, err)
		require.True(t, at.After(start))
		require.LessOrEqual(t, at.Sub(start), 26*time.Hour)
		loaded, err := time.LoadLocation(zone)
		require.NoError(t, err)
		if local := at.In(loaded); local.Format("15:04") != by {
			change, _ := at.In(loaded).ZoneBounds()
			require.True(t, change.Equal(at), "%s is not %s", local, by)
		}
	})
}

func TestCheckCron(t *testing.T) {
	for _, good := range []string{"0 2 * * *", "*/15 0-6,12 1 JAN-MAR MON", "@hourly", "@daily", "@weekly", "@monthly", "@yearly", "0 0 29 2 *", "0 0 ? * 0"} {
		require.NoError(t, checkCron(good), good)
	}
	for _, bad := range []string{
		"", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 7", "*/0 * * * *", "5-1 * * * *",
		"0 0 31 2,4 *", "0 0 30 2 *", "@every 1s", "@reboot", "@fortnightly", "CRON_TZ=UTC 0 0 * * *", "TZ=", "a b c d e", "1 1 1 1 1\x00", "99999999999999999999 * * * *",
	} {
		require.Error(t, checkCron(bad), bad)
	}
}
