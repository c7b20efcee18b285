package workflow

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // the same zones on every machine, also on one that has none

	"github.com/robfig/cron/v3"
)

// cronStart is where the search for a first moment begins. Any fixed instant does: a schedule that never comes in
// the five years the parser looks ahead from a leap year never comes.
var cronStart = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// checkCron refuses what the parser does not understand, what makes it panic, and schedules that never come.
func checkCron(spec string) (err error) {
	if len(spec) > 200 {
		return errors.New("a cron expression has at most 200 characters")
	}
	if strings.Contains(spec, "TZ=") {
		return errors.New("a cron expression holds no zone here: put it under timezone")
	}
	if strings.HasPrefix(spec, "@every") || strings.HasPrefix(spec, "@reboot") {
		return fmt.Errorf("%s is not a moment of the calendar", quoteShort(spec))
	}
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("%s is not a cron expression", quoteShort(spec))
		}
	}()
	parsed, err := cron.ParseStandard(spec)
	if err != nil {
		return fmt.Errorf("%s is not a cron expression: %s", quoteShort(spec), short200(err.Error()))
	}
	if parsed.Next(cronStart).IsZero() {
		return fmt.Errorf("%s never comes: there is no such day", quoteShort(spec))
	}
	return nil
}

// loadZone finds a time zone by its IANA name. Local is refused: it differs from machine to machine.
func loadZone(name string) (*time.Location, error) {
	if name == "Local" {
		return nil, errors.New("the zone Local differs from machine to machine")
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("there is no time zone %s", quoteShort(name))
	}
	return zone, nil
}

// At is when a run that starts at start must have ended, in UTC. By is the next such time of day that is strictly
// after start. Where a clock change makes it occur twice, both count; where it removes it, the moment of the change does.
func (d *Deadline) At(start time.Time) (time.Time, error) {
	if d.Within > 0 {
		return start.Add(d.Within).UTC(), nil
	}
	zone, err := loadZone(d.Timezone)
	if err != nil {
		return time.Time{}, err
	}
	clock, err := time.Parse("15:04", d.By)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s is not a time of day", quoteShort(d.By))
	}
	local := start.In(zone)
	for day := 0; ; day++ {
		wall := time.Date(local.Year(), local.Month(), local.Day()+day, clock.Hour(), clock.Minute(), 0, 0, time.UTC)
		for _, at := range instants(wall, zone) {
			if at.After(start) {
				return at.UTC(), nil
			}
		}
	}
}

// instants are the moments, in order, at which clocks of a zone show what wall shows: one, two where the clock is set
// back, and where the clock is set forward over it the moment of that change.
func instants(wall time.Time, zone *time.Location) []time.Time {
	var found []time.Time
	for _, near := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		_, offset := wall.Add(near).In(zone).Zone()
		at := wall.Add(-time.Duration(offset) * time.Second).In(zone)
		if at.Hour() == wall.Hour() && at.Minute() == wall.Minute() && !slices.ContainsFunc(found, at.Equal) {
			found = append(found, at)
		}
	}
	if len(found) == 0 {
		_, before := wall.Add(-24 * time.Hour).In(zone).Zone()
		change, _ := wall.Add(-time.Duration(before) * time.Second).In(zone).ZoneBounds()
		found = append(found, change)
	}
	return found
}
