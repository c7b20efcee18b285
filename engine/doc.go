// Package engine runs workflows. Its core is Decide: a function of a run's State, one Event and the time,
// which changes the State in place and returns Commands. Decide has no I/O, clock or random source, so that
// whatever happens to a run can be replayed.
//
// Around it the Runner is the shell. For each batch of events its duties are, in this order:
//
//  1. hand every event to Decide, with the time it was received;
//  2. plan again where Decide asked for it, and hand it the plan;
//  3. commit the State's changes, the events and the outbox in one transaction under the run's revision and
//     the lease's epoch; when the store answers ErrStale, drop the State and load it again;
//  4. only then carry out the Commands.
//
// A crash between 3 and 4 loses nothing: the outbox holds every command that was decided and not yet
// settled, and recovery asks the manifest of each attempt before anything is run again.
package engine
