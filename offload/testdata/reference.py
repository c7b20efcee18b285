"""Answers JSON lines on stdin with the reference evaluator's results.

    python3 reference.py DIRECTORY_OF_REFEVAL
"""
import json
import math
import random
import sys

sys.path.insert(0, sys.argv[1])
import refeval as R


def simulate(I, P, q):
    pl, bad = R.plan_from_doc(I, P, q['plan'])
    noise, seed = q.get('noise', 0), q.get('seed', 0)
    r = R.simulate(I, P, pl, q.get('deadline'), noise, seed, bad, True)
    if noise > 0:
        rg = random.Random(seed)
        r['multipliers'] = [math.exp(rg.gauss(0, noise) - noise * noise / 2) for _ in range(I.n)]
    return r


def bound(I, P, q):
    lb, why = R.lower_bound(R.Ctx(I, P), q['deadline'])
    return dict(lower_bound=lb, **why)


def plan(I, P, q):
    pl = R.PLANNERS[q['planner']](R.Ctx(I, P), q['deadline'])
    r = R.simulate(I, P, pl, q['deadline'])
    r['plan'] = R.plan_to_doc(I, P, pl)
    return r


def platform(I, P, q):
    doc, cp, mk = R.ref_platform(I, q['book'], q.get('wan', 'shared'))
    return dict(platform=doc, critical_path=cp)


OPS = dict(simulate=simulate, bound=bound, plan=plan, platform=platform)
for line in sys.stdin:
    q = json.loads(line)
    try:
        P = R.Platform(q['platform']) if q.get('platform') else None
        I = R.Instance(q['instance'], '', q['platform'].get('defaults') if P else None)
        out = OPS[q['op']](I, P, q)
        out = {k: (None if isinstance(v, float) and math.isinf(v) else v) for k, v in out.items() if not k.startswith('_')}
    except Exception as e:
        out = dict(error='%s: %s' % (type(e).__name__, e))
    sys.stdout.write(json.dumps(out) + '\n')
    sys.stdout.flush()
