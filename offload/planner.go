package offload

// Budget limits a planner's effort. The caller owns clocks: Stop may look at
// one. Equal problems and budgets that never stop early give equal plans.
type Budget struct {
	Decodes  int         // simulations it may run; 0: the planner's default
	Stop     func() bool // asked between simulations; nil: never
	Parallel int         // simulations at once; 0: 1
}

// Planner decides every placement of a problem.
type Planner func(Problem, Budget) (Plan, error)
