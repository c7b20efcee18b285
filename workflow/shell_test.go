package workflow

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// hostile values would do harm, or change the output, wherever they became syntax.
var hostile = []string{
	`"; rm -rf /; $(touch pwned)`, "`touch pwned`", "'; touch pwned; '", "x; touch pwned", "| touch pwned", "&& touch pwned",
	"$HOME", "${PATH}", "$((1+1))", "$", "a[$(touch pwned)]", "*", "?", "[a-z]*", "~", "~root", "{a,b}", "!x", "%s%n", "-n", "--", "-e",
	"", " ", "a b  c", "\t", "a\nb", "\n", "\n\n", "END", "END\ntouch pwned\nEND\n", "'", `"`, `\`, `\\`, `\n`, `a'b"c` + "`" + `d$e\f`, "#",
	"# x", "é☃\U0001F600", "\x01\x7f\x1b[31m", "\xff\xfe", ";;", ")", "}", "}}", "${{ params.v }}", "esac", "<<END", "> pwned",
}

// places are commands with the value V, and what they print.
var places = map[string]struct{ run, want string }{
	"a word":                             {"printf %s ${{ params.v }}", "V"},
	"a word in a word":                   {"printf %s a${{ params.v }}b", "aVb"},
	"two in a word":                      {"printf %s ${{ params.v }}${{ params.v }}", "VV"},
	"double quotes":                      {`printf %s "a ${{ params.v }} b"`, "a V b"},
	"single quotes":                      {`printf %s 'a ${{ params.v }} b'`, "a V b"},
	"nothing but single quotes":          {`printf %s '${{ params.v }}'`, "V"},
	"escaped quotes":                     {`printf %s "\"${{ params.v }}\\"`, `"V\`},
	"a substitution":                     {`x=$(printf %s. ${{ params.v }}); printf %s "${x%.}"`, "V"},
	"a quoted substitution":              {`printf %s "$(printf %s "a ${{ params.v }} b")"`, "a V b"},
	"a subshell in a substitution":       {`printf %s "$( (printf %s. ${{ params.v }}) )"`, "V."},
	"an assignment":                      {`x=${{ params.v }}; printf %s "$x"`, "V"},
	"an exported assignment":             {`export x=${{ params.v }}; sh -c 'printf %s "$x"'`, "V"},
	"an argument of a function":          {`f() { printf %s "$1"; }; f ${{ params.v }}`, "V"},
	"a loop":                             {`for i in ${{ params.v }} x; do printf '%s|' "$i"; done`, "V|x|"},
	"a case":                             {`case ${{ params.v }} in ${{ params.v }}) printf yes;; *) printf no;; esac`, "yes"},
	"a test":                             {`[ x${{ params.v }} = "x$V" ] && printf yes`, "yes"},
	"a here-document":                    {"cat <<END\n${{ params.v }}\nEND\nprintf end", "V\nend"},
	"a line that begins as the end":      {"cat <<END\nENDx ${{ params.v }}\nEND", "ENDx V\n"},
	"after a subshell in a substitution": {`printf %s "$( (true); printf %s. ${{ params.v }})"`, "V."},
	"a here-document with tabs":          {"cat <<-END\n\tx${{ params.v }}\n\tEND", "xV\n"},
	"two here-documents":                 {"cat <<A - <<'B'\na\nA\nB\nprintf %s ${{ params.v }}", "V"},
	"after a comment":                    {"# don't ${{ params.v }}\nprintf %s ${{ params.v }}", "V"},
	"no comment":                         {"printf %s a#'b'${{ params.v }}", "a#bV"},
	"a group and a pipe":                 {"{ printf %s ${{ params.v }}; } | (cat)", "V"},
	"a continued line":                   {"printf \\\n%s \\\n${{ params.v }}", "V"},
	"beside arithmetic":                  {`printf '%s %s' "$(( (1 + 2) * 2 ))" ${{ params.v }}`, "6 V"},
	"beside a default":                   {`printf '%s %s' "${nothing:-a}" ${{ params.v }}`, "a V"},
	"beside backquotes":                  {"printf '%s %s' `echo a` ${{ params.v }}", "a V"},
	"a concatenation":                    {`printf %s ${{ "<" + params.v + ">" }}`, "<V>"},
}

func shells(t *testing.T) [][]string {
	t.Helper()
	var found [][]string
	for _, s := range [][]string{{"sh"}, {"dash"}, {"bash"}, {"bash", "--posix"}, {"busybox", "sh"}, {"ksh"}, {"zsh", "--emulate", "sh"}} {
		if path, err := exec.LookPath(s[0]); err == nil {
			found = append(found, append([]string{path}, s[1:]...))
		}
	}
	require.NotEmpty(t, found)
	return found
}

// shellCommand is the command of a run with a value, as an attempt gets it.
func shellCommand(t require.TestingT, run, value string) Command {
	spec, err := Parse("w.yaml", []byte("apiVersion: spillway/v1\nname: w\nparams: {v: {type: string}}\ntasks:\n"+
		"  a:\n    env: {V: '${{ params.v }}'}\n    run: |-\n      "+strings.ReplaceAll(run, "\n", "\n      ")+"\n"))
	require.NoError(t, err)
	params, err := Bind(spec, map[string]any{"v": value})
	require.NoError(t, err)
	g, err := Expand(spec, params)
	require.NoError(t, err)
	c, err := g.Command(0, told{})
	require.NoError(t, err)
	return c
}

// execute runs a command in a folder of its own and requires that nothing is left in it.
func execute(t require.TestingT, dir string, argv []string, env map[string]string) string {
	cmd := exec.CommandContext(context.Background(), argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%q %q: %s", argv, env, out)
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Empty(t, left, "%q %q", argv, env)
	return string(out)
}

// TestNoInjection: whatever a value holds, it arrives as it is, as one word, in every shell of this machine.
func TestNoInjection(t *testing.T) {
	dir := t.TempDir()
	all := shells(t)
	for name, place := range places {
		t.Run(name, func(t *testing.T) {
			for k, value := range hostile {
				c := shellCommand(t, place.run, value)
				want := strings.ReplaceAll(place.want, "V", value)
				shell := all[k%len(all)]
				if name == "a word" {
					for _, shell := range all {
						require.Equal(t, want, execute(t, dir, append(shell, "-c", c.Shell), c.Env))
					}
				}
				require.Equal(t, want, execute(t, dir, append(shell, "-c", c.Shell), c.Env), "%s %q", shell, value)
			}
		})
	}
}

// TestNoInjectionProperty: the same for any value that an environment variable can hold.
func TestNoInjectionProperty(t *testing.T) {
	dir := t.TempDir()
	names := make([]string, 0, len(places))
	for name := range places {
		names = append(names, name)
	}
	rapid.Check(t, func(t *rapid.T) {
		value := strings.ReplaceAll(rapid.String().Draw(t, "value"), "\x00", "")
		place := places[rapid.SampledFrom(names).Draw(t, "place")]
		if !utf8.ValidString(value) {
			t.Skip()
		}
		c := shellCommand(t, place.run, value)
		require.Equal(t, strings.ReplaceAll(place.want, "V", value), execute(t, dir, []string{"sh", "-c", c.Shell}, c.Env))
	})
}

// TestArgs: a program and its arguments run without a shell.
func TestArgs(t *testing.T) {
	for _, value := range hostile {
		g := mustExpand(t, "apiVersion: spillway/v1\nname: w\nparams: {v: {type: string}}\ntasks:\n"+
			"  a: {args: [printf, '%s|%s', '${{ params.v }}', 'x${{ params.v }}y']}\n", map[string]any{"v": value})
		c, err := g.Command(0, told{})
		require.NoError(t, err)
		require.Empty(t, c.Shell)
		require.Equal(t, value+"|x"+value+"y", execute(t, t.TempDir(), c.Args, c.Env))
	}
}

// TestShellText: what the shell reads holds references, never values; equal expressions share one.
func TestShellText(t *testing.T) {
	for run, want := range map[string]string{
		"echo hello":   "echo hello",
		"echo $x '$y'": "echo $x '$y'",
		"echo ${{ params.v }} ${{ 1 }} ${{ params.v }}": `echo "${SPILLWAY_EXPR_0}" "${SPILLWAY_EXPR_1}" "${SPILLWAY_EXPR_0}"`,
		`echo "${{ params.v }}" '${{ params.v }}'`:      `echo "${SPILLWAY_EXPR_0}" ''"${SPILLWAY_EXPR_0}"''`,
		"cat <<E\n${{ params.v }}\nE":                   "cat <<E\n${SPILLWAY_EXPR_0}\nE",
		"ls [[:alpha:]]* ${{ params.v }}":               `ls [[:alpha:]]* "${SPILLWAY_EXPR_0}"`,
	} {
		require.Equal(t, want, shellCommand(t, run, "value").Shell)
	}
}

// TestShellRefusals: where shells disagree, or evaluate a value once more, there is no expression.
func TestShellRefusals(t *testing.T) {
	e := "${{ params.v }}"
	for run, want := range map[string]string{
		"echo $'a' " + e:                                     "$'...' means different things",
		"(( 1 )); echo " + e:                                 "(( is not understood",
		"[[ a == " + e + " ]]":                               "[[ is not understood",
		"echo $" + e:                                         "a $ right before",
		`echo "$` + e + `"`:                                  "a $ right before",
		`echo \` + e:                                         "a backslash right before",
		"echo `" + e + "`":                                   "within ` `",
		"echo ${x:-" + e + "}":                               "within ${ }",
		`echo "${x:-` + e + `}"`:                             "within ${ }",
		"echo $(( 1 + " + e + " ))":                          "within $(( ))",
		"echo $(( $(echo " + e + ") ))":                      "",
		"echo ${x#'a'} " + e:                                 "shells read it differently",
		`echo "${x#"a"}" ` + e:                               "shells read it differently",
		"x=$(case a in a) echo;; esac) " + e:                 "shells read it differently",
		"cat <<'END'\n" + e + "\nEND":                        "is quoted",
		"cat <<END\n$(echo " + e + ")\nEND":                  "mixes expressions with $(",
		"cat <<END\n`echo " + e + "`\nEND":                   "mixes expressions with `",
		"cat <<END\n\\" + e + "\nEND":                        "mixes expressions with \\${{",
		"cat <<END\na\\\nEND\nEND\necho " + e:                "backslash at a line's end",
		"cat <<END\n" + e + "\n":                             "never ends",
		"cat <<END " + e:                                     "has no body",
		"cat << " + e:                                        "plain text",
		"cat <<" + "\n" + e:                                  "no end word",
		"echo '" + e:                                         "never closed",
		`echo "` + e:                                         "never closed",
		"echo $(" + e:                                        "never closed",
		strings.Repeat("$( ", maxDepth+1) + e:                "deep",
		strings.Repeat(`"$(`, maxDepth) + e + "))))))))))))": "deep",
	} {
		_, err := Parse("w.yaml", []byte("apiVersion: spillway/v1\nname: w\nparams: {v: {type: string}}\ntasks:\n"+
			"  a:\n    run: |-\n      "+strings.ReplaceAll(run, "\n", "\n      ")+"\n"))
		if want == "" {
			require.NoError(t, err, run)
			continue
		}
		require.Error(t, err, run)
		require.Contains(t, err.Error(), want, run)
	}
}
