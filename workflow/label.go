package workflow

import (
	"fmt"
	"strings"
)

// Label says who may see data. Labels are ordered: public < internal < private.
type Label int8

// The labels. The zero value means that nothing was said; it counts as internal.
const (
	LabelUnset Label = iota
	LabelPublic
	LabelInternal
	LabelPrivate
)

var labelNames = [...]string{"unset", "public", "internal", "private"}

func (l Label) String() string {
	if l < 0 || int(l) >= len(labelNames) {
		return fmt.Sprintf("Label(%d)", int8(l))
	}
	return labelNames[l]
}

// ParseLabel reads public, internal or private.
func ParseLabel(text string) (Label, error) {
	for l, name := range labelNames {
		if name == text && l != 0 {
			return Label(l), nil
		}
	}
	return LabelUnset, fmt.Errorf("%q is not a label: public, internal or private", text)
}

// orInternal is the label that counts where nothing was said.
func (l Label) orInternal() Label {
	if l == LabelUnset {
		return LabelInternal
	}
	return l
}

// SitePrivate is the name of the private cluster's site.
const SitePrivate = "private"

// Allows says whether the placement permits a site, as in "private", "aws:eu-west-1" or "sandbox:local". A placement
// without patterns permits every site; a star in a pattern stands for any run of characters.
func (p Placement) Allows(site string) bool {
	if len(p.Allow) == 0 {
		return true
	}
	for _, pattern := range p.Allow {
		if matchSite(pattern, site) {
			return true
		}
	}
	return false
}

// matchSite matches greedily from the left: each piece between stars is found at its first place after the last one,
// which is enough when a star may stand for anything.
func matchSite(pattern, site string) bool {
	pieces := strings.Split(pattern, "*")
	first, last := pieces[0], pieces[len(pieces)-1]
	if len(pieces) == 1 {
		return pattern == site
	}
	if len(site) < len(first)+len(last) || !strings.HasPrefix(site, first) || !strings.HasSuffix(site, last) {
		return false
	}
	site = site[len(first) : len(site)-len(last)]
	for _, piece := range pieces[1 : len(pieces)-1] {
		at := strings.Index(site, piece)
		if at < 0 {
			return false
		}
		site = site[at+len(piece):]
	}
	return true
}
