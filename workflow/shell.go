package workflow

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A `run` is compiled, not filled in: every ${{ }} becomes a reference to an environment variable that holds the
// value, so that no value can become shell syntax, whatever it holds. The scanner below finds where in the shell's
// grammar an expression stands and writes the reference so that the value stays one word there:
//
//	echo ${{ item }}         echo "${SPILLWAY_EXPR_0}"
//	echo "a ${{ item }}"     echo "a ${SPILLWAY_EXPR_0}"
//	echo 'a ${{ item }}'     echo 'a '"${SPILLWAY_EXPR_0}"''
//
// Where shells disagree, or where a variable's content is evaluated once more (arithmetic), expressions are refused.
// A script that hands a value to eval or to another sh -c turns it into code itself, as in any shell.

// envPrefix begins the names of our own variables; a definition may not use it.
const envPrefix = "SPILLWAY_"

// script is a compiled run: shell text and the expressions behind its references.
type script struct {
	text  string
	exprs []*expression // the value of exprs[i] is in ${SPILLWAY_EXPR_i}
}

func exprVar(i int) string { return fmt.Sprintf("%sEXPR_%d", envPrefix, i) }

// mode is a place in the shell's grammar.
type mode byte

const (
	modeCommand  mode = iota // words of a command
	modeSubst                // the same, within $( )
	modeDouble               // within "
	modeSingle               // within '
	modeBacktick             // within `
	modeBrace                // within ${ }
	modeArith                // within $(( ))
	modeComment              // after #
)

// frame is one nesting of modes.
type frame struct {
	mode  mode
	depth int // open parentheses of $( and $((
}

// heredoc is a << whose body has not begun.
type heredoc struct {
	end     string
	tabs    bool // <<-: leading tabs do not count
	literal bool // quoted end: the body is not expanded
}

// shellScanner walks a script once. in holds the script with a zero byte where an expression stands; a zero byte
// cannot occur in a script otherwise.
type shellScanner struct {
	in     string
	exprs  []*expression // in order of their zero bytes
	next   int           // the next of exprs
	pos    int
	out    strings.Builder
	script script
	frames []frame
	docs   []heredoc
	unsure string // why the grammar is no longer certain
}

// compileShell turns the segments of a run into a script.
func compileShell(segments []segment) (script, error) {
	if len(segments) == 1 {
		return script{text: segments[0].literal}, nil
	}
	s := shellScanner{frames: []frame{{mode: modeCommand}}}
	var in strings.Builder
	for _, seg := range segments {
		if seg.expr != nil {
			s.exprs = append(s.exprs, seg.expr)
			in.WriteByte(0)
			continue
		}
		if strings.ContainsRune(seg.literal, 0) {
			return script{}, errors.New("run holds a zero byte")
		}
		in.WriteString(seg.literal)
	}
	s.in = in.String()
	for s.pos < len(s.in) {
		if err := s.step(); err != nil {
			return script{}, err
		}
	}
	return s.finish()
}

func (s *shellScanner) finish() (script, error) {
	if len(s.docs) > 0 {
		return script{}, fmt.Errorf("the here-document %s has no body", quoteShort(s.docs[0].end))
	}
	switch s.top().mode {
	case modeCommand, modeComment:
	default:
		return script{}, errors.New("a quote or parenthesis of run is never closed")
	}
	s.script.text = s.out.String()
	return s.script, nil
}

func (s *shellScanner) top() *frame { return &s.frames[len(s.frames)-1] }

func (s *shellScanner) push(m mode, text string) error {
	if len(s.frames) > maxDepth {
		return fmt.Errorf("run nests quotes and parentheses more than %d deep", maxDepth)
	}
	s.frames = append(s.frames, frame{mode: m, depth: strings.Count(text, "(")})
	return s.copy(len(text))
}

func (s *shellScanner) pop() error {
	s.frames = s.frames[:len(s.frames)-1]
	return s.copy(1)
}

// copy writes the next n bytes as they are.
func (s *shellScanner) copy(n int) error {
	s.out.WriteString(s.in[s.pos : s.pos+n])
	s.pos += n
	return nil
}

func (s *shellScanner) at(prefix string) bool { return strings.HasPrefix(s.in[s.pos:], prefix) }

// step handles one byte, or one token, of the script.
func (s *shellScanner) step() error {
	if s.in[s.pos] == 0 {
		return s.reference()
	}
	switch s.top().mode {
	case modeSingle:
		if s.at("'") {
			return s.pop()
		}
		return s.copy(1)
	case modeComment:
		if s.at("\n") {
			s.frames = s.frames[:len(s.frames)-1]
			return s.newline()
		}
		return s.copy(1)
	case modeCommand, modeSubst:
		return s.command()
	default:
		return s.nested()
	}
}

// command handles a place where words are split: between the words of a command.
func (s *shellScanner) command() error {
	switch {
	case s.at("\\"):
		return s.escape()
	case s.at("'"):
		return s.push(modeSingle, "'")
	case s.at("$'"):
		return errors.New("$'...' means different things to different shells; use '...' or a file")
	case s.at("(("):
		return errors.New("(( is not understood by every shell; write $(( )) or put a space between the parentheses")
	case s.at("[[ ") && s.wordStart():
		return errors.New("[[ is not understood by every shell, and evaluates numbers again; use [ ]")
	case s.at("<<<"):
		return s.copy(3)
	case s.at("<<"):
		return s.heredoc()
	case s.at("\n"):
		return s.newline()
	case s.at("#") && s.wordStart():
		return s.push(modeComment, "#")
	case s.at("(") && s.top().mode == modeSubst:
		s.top().depth++
		return s.copy(1)
	case s.at(")") && s.top().mode == modeSubst:
		if s.top().depth--; s.top().depth == 0 {
			return s.pop()
		}
		return s.copy(1)
	case s.at("case") && s.top().mode == modeSubst && s.wordStart():
		s.unsure = "after a case within $( )"
	}
	return s.opening()
}

// opening handles what opens a nesting both in words and within double quotes.
func (s *shellScanner) opening() error {
	for _, o := range []struct {
		text string
		mode mode
	}{{"$((", modeArith}, {"$(", modeSubst}, {"${", modeBrace}, {"`", modeBacktick}, {`"`, modeDouble}} {
		if s.at(o.text) {
			return s.push(o.mode, o.text)
		}
	}
	if s.at("$\x00") {
		return errors.New("a $ right before ${{ would change the meaning of the value; remove it or put a space between")
	}
	return s.copy(1)
}

// nested handles the inside of ", `, ${ } and $(( )).
func (s *shellScanner) nested() error {
	top := s.top()
	switch {
	case s.at("\\"):
		return s.escape()
	case top.mode == modeBacktick && s.at("`"), top.mode == modeDouble && s.at(`"`), top.mode == modeBrace && s.at("}"):
		return s.pop()
	case top.mode == modeBacktick:
		return s.copy(1)
	case top.mode == modeBrace && s.at(`"`) && s.within(modeDouble):
		s.unsure = `after a double quote within "${ }"`
		return s.copy(1)
	case top.mode != modeDouble && s.at("'"):
		s.unsure = "after a single quote within ${ } or $(( ))"
		return s.copy(1)
	case top.mode == modeArith && s.at("("):
		top.depth++
		return s.copy(1)
	case top.mode == modeArith && s.at(")"):
		if top.depth--; top.depth == 0 {
			return s.pop()
		}
		return s.copy(1)
	}
	return s.opening()
}

// within says whether a nesting of a mode is open.
func (s *shellScanner) within(m mode) bool {
	return slices.ContainsFunc(s.frames, func(f frame) bool { return f.mode == m })
}

// escape copies a backslash with what it escapes.
func (s *shellScanner) escape() error {
	if s.pos+1 == len(s.in) {
		return s.copy(1)
	}
	if s.in[s.pos+1] == 0 {
		return errors.New(`a backslash right before ${{ would quote a part of the reference; remove it, values need no quoting`)
	}
	return s.copy(2)
}

// wordStart says whether a word may begin here.
func (s *shellScanner) wordStart() bool {
	return s.pos == 0 || strings.IndexByte(" \t\n;|&()<>", s.in[s.pos-1]) >= 0
}

// reference writes the expression at hand as a reference that stays one word.
func (s *shellScanner) reference() error {
	e := s.exprs[s.next]
	s.next++
	s.pos++
	if s.unsure != "" {
		return fmt.Errorf("an expression cannot stand %s: shells read it differently; put it in env and use the variable", s.unsure)
	}
	ref := "${" + exprVar(s.variable(e)) + "}"
	switch s.top().mode {
	case modeCommand, modeSubst:
		ref = `"` + ref + `"`
	case modeSingle:
		ref = `'"` + ref + `"'`
	case modeDouble, modeComment:
	case modeBacktick:
		return errors.New("an expression cannot stand within ` `; use $( )")
	case modeBrace:
		return errors.New("an expression cannot stand within ${ }; put it in env and use the variable")
	case modeArith:
		return errors.New("an expression cannot stand within $(( )), where its value would be evaluated again; compute it within ${{ }}")
	}
	s.out.WriteString(ref)
	return nil
}

// variable numbers an expression; equal ones share a variable.
func (s *shellScanner) variable(e *expression) int {
	if i := slices.Index(s.script.exprs, e); i >= 0 {
		return i
	}
	s.script.exprs = append(s.script.exprs, e)
	return len(s.script.exprs) - 1
}

// heredoc reads << and the word that will end its body.
func (s *shellScanner) heredoc() error {
	start, i := s.pos, s.pos+2
	doc := heredoc{}
	if i < len(s.in) && s.in[i] == '-' {
		doc.tabs = true
		i++
	}
	for i < len(s.in) && (s.in[i] == ' ' || s.in[i] == '\t') {
		i++
	}
	var end strings.Builder
	for ; i < len(s.in) && strings.IndexByte(" \t\n;|&()<>", s.in[i]) < 0; i++ {
		switch c := s.in[i]; c {
		case '\'', '"', '\\':
			doc.literal = true
		case 0, '$', '`':
			return errors.New("the end word of a here-document must be plain text")
		default:
			end.WriteByte(c)
		}
	}
	if doc.end = end.String(); doc.end == "" {
		return errors.New("a here-document has no end word")
	}
	s.docs = append(s.docs, doc)
	return s.copy(i - start)
}

// newline copies a line end and the bodies of the here-documents that begin after it.
func (s *shellScanner) newline() error {
	if err := s.copy(1); err != nil {
		return err
	}
	for len(s.docs) > 0 && s.pos < len(s.in) {
		doc := s.docs[0]
		if err := s.body(doc); err != nil {
			return err
		}
		s.docs = s.docs[1:]
	}
	return nil
}

// body copies the body of a here-document with its end line; references in it need no quotes.
func (s *shellScanner) body(doc heredoc) error {
	body := s.in[s.pos:]
	for at := 0; at < len(body); {
		line, _, more := strings.Cut(body[at:], "\n")
		if compared := line; doc.tabs {
			line = strings.TrimLeft(compared, "\t")
			at += len(compared) - len(line)
		}
		if line == doc.end {
			return s.expand(body[:at], doc, len(line))
		}
		at += len(line)
		if !more {
			break
		}
		at++
	}
	return fmt.Errorf("the here-document %s never ends", quoteShort(doc.end))
}

// expand copies a body of a here-document, and the n bytes of its end.
func (s *shellScanner) expand(body string, doc heredoc, n int) error {
	if !doc.literal && strings.Contains(body, "\\\n") {
		s.unsure = "in or after a here-document with a backslash at a line's end"
	}
	if !strings.ContainsRune(body, 0) {
		return s.copy(len(body) + n)
	}
	if doc.literal {
		return fmt.Errorf("the here-document %s is quoted, so that nothing in it is replaced; remove the quotes or the expression", quoteShort(doc.end))
	}
	for _, hard := range []string{"`", "$(", "${", "$\x00", "\\\x00"} {
		if strings.Contains(body, hard) {
			return fmt.Errorf("the here-document %s mixes expressions with %s; put the expression in env and use the variable", quoteShort(doc.end), strings.ReplaceAll(hard, "\x00", "${{"))
		}
	}
	for end := s.pos + len(body); s.pos < end; {
		if s.in[s.pos] != 0 {
			_ = s.copy(1)
			continue
		}
		s.frames = append(s.frames, frame{mode: modeDouble})
		err := s.reference()
		s.frames = s.frames[:len(s.frames)-1]
		if err != nil {
			return err
		}
	}
	return s.copy(n)
}
