//go:build linux || darwin

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/spillway/spillway/engine"
	"github.com/spillway/spillway/store/postgres"
	"github.com/spillway/spillway/store/sqlite"
)

// app is one call of the program. Data goes to out, messages to errs.
type app struct {
	in        io.Reader
	out, errs io.Writer
	getenv    func(string) string

	stateDir string
	database string // URL of a Postgres; empty: the embedded store
	noColor  bool
	started  bool // the command line was understood
}

// run executes one command line and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !a.started && exitCode(err) == exitFailure {
		err = &exitError{exitUsage, err}
	}
	if err != nil {
		a.explainFailure(err, cmd.CommandPath())
	}
	return exitCode(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "spillway",
		Short: "Run workflows on your own machines, and buy from the cloud what the deadline needs",
		Long: "Spillway runs workflows on a private cluster and offloads to functions what\n" +
			"their deadline needs, for as little money as possible.\n\n" +
			"Every flag can be given as an environment variable: --state-dir is\n" +
			"SPILLWAY_STATE_DIR. A flag on the command line wins.\n\n" +
			"Exit codes: 0 ok, 1 error, 2 usage, 3 validation failed, 4 run failed,\n" +
			"5 cancelled, 6 deadline missed, 7 budget refused, 8 no plan can meet the\n" +
			"deadline.",
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return a.begin(cmd) },
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.errs)
	root.PersistentFlags().StringVar(&a.stateDir, "state-dir", "", "where runs are kept (default $XDG_DATA_HOME/spillway or ~/.local/share/spillway)")
	root.PersistentFlags().StringVar(&a.database, "database-url", "", "keep runs in this Postgres; SPILLWAY_DATABASE_URL_FILE names a file that holds it (default: a file in the state directory)")
	root.PersistentFlags().BoolVar(&a.noColor, "no-color", false, "never use colour; NO_COLOR=1 does the same")
	root.AddGroup(
		&cobra.Group{ID: "plan", Title: "Before a run:"},
		&cobra.Group{ID: "run", Title: "Runs:"},
	)
	a.addCommands(root)
	return root
}

// addCommands is the list of all commands, in the groups of the help text.
func (a *app) addCommands(root *cobra.Command) {
	group := func(id string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = id
			root.AddCommand(c)
		}
	}
	group("plan", a.validateCommand(), a.planCommand(), a.simulateCommand(), a.paretoCommand(), a.benchCommand(), a.genCommand(), a.schemaCommand())
	group("run", a.runsCommand(), a.reportCommand(), a.tasksCommand(), a.logsCommand(), a.explainCommand(), a.cancelCommand(),
		a.runCommand(), a.resumeCommand(), a.rerunCommand())
	root.AddCommand(a.sandboxCommand())
	root.AddCommand(a.versionCommand())
	root.InitDefaultCompletionCmd()
	completion, _, _ := root.Find([]string{"completion"})
	completion.RunE = func(*cobra.Command, []string) error {
		return usageErrorf("which shell? bash, fish, powershell or zsh")
	}
}

// begin completes the flags of a command from the environment. From then on an
// error is the command's own and no mistake of usage.
func (a *app) begin(cmd *cobra.Command) error {
	var err error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		name := envName(f.Name)
		if value := a.getenv(name); err == nil && !f.Changed && value != "" && f.Name != "help" {
			if e := cmd.Flags().Set(f.Name, value); e != nil {
				err = usageErrorf("%s: %w", name, e)
			}
		}
	})
	if err != nil {
		return err
	}
	if err := cmd.ValidateRequiredFlags(); err != nil {
		return err
	}
	a.started = true
	return nil
}

// envName is the environment variable that stands in for a flag.
func envName(flag string) string {
	return "SPILLWAY_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// state is the directory that holds the embedded store, made if need be. It is absolute: the sandbox runs elsewhere.
func (a *app) state() (string, error) {
	dir, err := a.stateDirectory()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("state directory: %w", err)
	}
	return dir, nil
}

func (a *app) stateDirectory() (string, error) {
	if a.stateDir != "" {
		return filepath.Abs(a.stateDir)
	}
	base := a.getenv("XDG_DATA_HOME")
	if !filepath.IsAbs(base) { // the XDG rules ignore relative paths
		home := a.getenv("HOME")
		if home == "" {
			return "", usageErrorf("no place to keep runs: give --state-dir, or set HOME")
		}
		base = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(base, "spillway"), nil
}

// storeFile is the file of the embedded store.
const storeFile = "spillway.db"

// hasStore says whether there is a store to read, without making one.
func (a *app) hasStore() bool {
	if a.database != "" || a.getenv("SPILLWAY_DATABASE_URL_FILE") != "" {
		return true
	}
	dir, err := a.stateDirectory()
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(dir, storeFile))
	return err == nil
}

// openStore opens the embedded store, or the Postgres that was named.
func (a *app) openStore(ctx context.Context) (engine.Store, error) {
	if path := a.getenv("SPILLWAY_DATABASE_URL_FILE"); a.database == "" && path != "" {
		_, text, err := a.readFile(path, 64<<10)
		if err != nil {
			return nil, err
		}
		a.database = strings.TrimSpace(string(text))
	}
	if a.database != "" {
		return postgres.Open(ctx, a.database)
	}
	dir, err := a.state()
	if err != nil {
		return nil, err
	}
	return sqlite.Open(ctx, filepath.Join(dir, storeFile))
}

// withStore opens the embedded store for the time of do.
func (a *app) withStore(ctx context.Context, do func(engine.Store) error) (err error) {
	store, err := a.openStore(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if e := store.Close(); err == nil {
			err = e
		}
	}()
	return do(store)
}

// notef writes one message to stderr.
func (a *app) notef(format string, args ...any) {
	fmt.Fprintf(a.errs, format+"\n", args...)
}

// printJSON writes one value to stdout.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	return enc.Encode(v)
}

// terminal says whether stdout is one.
func (a *app) terminal() bool {
	f, ok := a.out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// coloured says whether stdout is a terminal and colour is wanted
// (https://no-color.org).
func (a *app) coloured() bool {
	return !a.noColor && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb" && a.terminal()
}

// The colours that paint knows.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
)

// paint colours a text where colour is wanted.
func (a *app) paint(colour, text string) string {
	if colour == "" || !a.coloured() {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}
