package workflow

type expressions struct{}
type trace struct{}
type fileKey struct{}
type flowLabel struct{}
