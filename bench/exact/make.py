#!/usr/bin/env python3
"""Makes offload/testdata/exact/cases.json: small instances with proven optima.

    python3 bench/exact/make.py DIRECTORY_OF_REFEVAL offload/testdata/exact/cases.json [SECONDS_PER_CASE]

Run by hand where the reference evaluator and COIN-OR CBC (`cbc` on the PATH)
are at hand; no test needs either. Each case is written as the evaluator's
mixed-integer program, solved, read back and executed by the evaluator. Kept are
only cases proved optimal with gap 0 whose plan, when executed, is in time and
costs what the solver says, and cases proved to have no plan (optimum_usd null).

A plan has `not_before` times (the solver's starts) only where the order of the
starts alone does not reach the optimum, that is, where a core must wait idle.
"""
import copy
import json
import os
import subprocess
import sys
import tempfile

FACTORS = (1.02, 1.08, 1.15, 1.25, 1.4, 1.6, 2.0)
PER_INSTANCE = 2
BOUGHT = 2     # tasks that the optimum must buy, so that there is something to decide
IMPOSSIBLE = 12  # cases without a plan that the time windows prove already
TOLERANCE = 1e-7


def draws():
    """The (tasks, seed, book, node speeds, core-hour price) of every instance, spread over what the program can model."""
    speeds = ([1.0], [1.0, 1.0], [1.0], [1.0, 1.6], [1.0, 1.0, 1.0], [0.8, 1.0])
    for k in range(120):
        yield 6 + (k % 9 if len(speeds[(k // 3) % len(speeds)]) == 1 else 4 + k % 7), 700 + k, ('aws', 'gcp', 'both')[(k // 9) % 3], speeds[(k // 3) % len(speeds)], 0.02 if k % 11 == 7 else 0.0


def platform(R, book, speeds, price):
    doc = copy.deepcopy(R.base_platform(book, 1, 'independent'))
    doc['private'] = dict(price_core_hour=price, nodes=[
        dict(name='n%d' % k, cores=1, speed=s, mem_mib=4096) for k, s in enumerate(speeds)])
    for q in doc['providers'].values():
        q['keep_warm_s'], q['quota'] = -1, 1000
    return doc


def solve(lp, seconds, folder):
    """The solver's verdict ("optimal", "infeasible" or None) and the path of its solution."""
    model, out = os.path.join(folder, 'm.lp'), os.path.join(folder, 's.txt')
    with open(model, 'w') as fh:
        fh.write(lp)
    if os.path.exists(out):
        os.remove(out)
    try:
        subprocess.run(['cbc', model, 'ratio', '0', 'allow', '0', 'increment', '1e-9', 'sec', str(seconds), 'solve', 'solu', out],
                       stdout=subprocess.DEVNULL, timeout=seconds + 30)
    except subprocess.TimeoutExpired:
        return None, out
    if not os.path.exists(out):
        return None, out
    with open(out) as fh:
        head = fh.readline()
    if head.startswith('Optimal'):
        return 'optimal', out
    return ('infeasible' if head.startswith('Infeasible') or head.startswith('Integer infeasible') else None), out


def starts(path):
    """The solver's start time of every task, and the core it is on."""
    start, core = {}, {}
    with open(path) as fh:
        for line in fh.readlines()[1:]:
            a = line.replace('**', ' ').split()
            if len(a) < 3:
                continue
            name = a[1].split('_')
            if name[0] == 's':
                start[int(name[1])] = float(a[2])
            elif name[0] == 'y' and float(a[2]) > 0.5:
                core[int(name[1])] = int(name[2])
    return start, core


def reach(R, I, P, deadline, path):
    """The plainest plan that reaches the solver's optimum when executed: by order, on its node, then with waiting."""
    head, plan = R.milp_read(I, P, path)
    objective = float(head.split()[-1]) / 1000
    start, core = starts(path)
    bound = plan.copy()
    bound.node = [core.get(i) if plan.dom[i] == R.PRIV else None for i in range(I.n)]
    waiting = bound.copy()
    waiting.nb = [max(0, R.us(start.get(i, 0.0)) - 2) for i in range(I.n)]
    for waits, p in ((False, plan), (False, bound), (True, waiting)):
        r = R.simulate(I, P, p, deadline)
        if r['deadline_met'] and abs(r['cost'] - objective) <= TOLERANCE * max(objective, 1e-6):
            return r['cost'], R.plan_to_doc(I, P, p), waits
    print('   not reached by execution:', I.name, deadline, r['makespan_s'], r['cost'], objective, flush=True)
    return None


def slim(doc):
    """Children are the inverse of parents: the fixture leaves them out."""
    for t in doc['workflow']['specification']['tasks']:
        t['children'] = []
    return doc


def main():
    sys.path.insert(0, sys.argv[1])
    sys.dont_write_bytecode = True
    import refeval as R
    seconds = int(sys.argv[3]) if len(sys.argv) > 3 else 60
    out = dict(instances={}, platforms={}, cases=[])
    with tempfile.TemporaryDirectory() as folder:
        for n, seed, book, speeds, price in draws():
            raw = slim(R.gen(n, seed))
            I, pdoc = R.Instance(raw, raw['name']), platform(R, book, speeds, price)
            P = R.Platform(pdoc)
            name = '%s-%s%s' % (book, '-'.join('%g' % s for s in speeds), '-priced' if price else '')
            kept = 0
            for factor in FACTORS:
                deadline = round(R.critical_path(I, P) * factor, 3)
                lp = R.milp(I, P, deadline)
                verdict, path = solve(lp, seconds, folder) if lp else ('infeasible', None)
                if verdict is None or verdict == 'infeasible' and lp is None and factor != FACTORS[0]:
                    continue
                case = dict(instance=raw['name'], platform=name, factor=factor, deadline_s=deadline, optimum_usd=None)
                if verdict == 'optimal':
                    found = reach(R, I, P, deadline, path)
                    if found is None or sum(t['target'] != 'private' for t in found[1]['tasks'].values()) < BOUGHT:
                        continue
                    case.update(optimum_usd=found[0], plan=found[1], waits=found[2])
                elif lp is None and sum(c['optimum_usd'] is None for c in out['cases']) >= IMPOSSIBLE:
                    continue
                lb, _ = R.lower_bound(R.Ctx(I, P), deadline)
                case['reference_bound_usd'] = None if lb == R.INF else lb
                out['instances'][raw['name']], out['platforms'][name] = raw, pdoc
                out['cases'].append(case)
                print(raw['name'], name, factor, verdict, case['optimum_usd'], case['reference_bound_usd'], case.get('waits'), flush=True)
                with open(sys.argv[2], 'w') as fh:
                    json.dump(out, fh, separators=(',', ':'), sort_keys=True)
                    fh.write('\n')
                kept += verdict == 'optimal'
                if kept == PER_INSTANCE:
                    break


if __name__ == '__main__':
    main()
