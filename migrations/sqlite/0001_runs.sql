-- Instants are microseconds since 1970 UTC, NULL for "not yet"; spans are nanoseconds; money is pico-USD;
-- JSON is text, byte for byte as written. Rows of a run carry its number, not its id, which keeps their keys short.

CREATE TABLE specs (
    digest TEXT NOT NULL PRIMARY KEY, -- SHA-256 of source, hex
    source BLOB NOT NULL
);

CREATE TABLE runs (
    run             INTEGER PRIMARY KEY,
    id              TEXT NOT NULL UNIQUE, -- sorts by time of submission
    spec            TEXT NOT NULL REFERENCES specs (digest),
    filename        TEXT NOT NULL,
    project         TEXT NOT NULL,
    workflow        TEXT NOT NULL,
    state           TEXT NOT NULL,
    reason          TEXT NOT NULL,
    submitted_at    INTEGER,
    started_at      INTEGER,
    finished_at     INTEGER,
    deadline_at     INTEGER,
    deadline_in     INTEGER NOT NULL, -- after the start; 0: as the definition says
    deadline_raw    TEXT NOT NULL,
    planner         TEXT NOT NULL,
    seed            INTEGER NOT NULL,
    time_scale      REAL NOT NULL,
    params          TEXT,
    options         TEXT,
    budget_max      INTEGER NOT NULL,
    planned_finish  INTEGER,
    planned_cost    INTEGER NOT NULL,
    private_finish  INTEGER,
    lower_bound     INTEGER NOT NULL,
    deadline_passed INTEGER NOT NULL,
    budget_refused  INTEGER NOT NULL,
    resolved        TEXT NOT NULL -- ids of tasks whose foreach was resolved, in that order
);
CREATE INDEX runs_of_workflow ON runs (workflow, id);
CREATE INDEX runs_of_project ON runs (project, id);
CREATE INDEX runs_in_state ON runs (state, id);

-- What the store itself keeps of a run: what fences writers, and what people wish.
CREATE TABLE heads (
    run              INTEGER PRIMARY KEY REFERENCES runs (run),
    revision         INTEGER NOT NULL DEFAULT 0, -- counts commits
    epoch            INTEGER NOT NULL DEFAULT 0, -- counts leases
    lease_owner      TEXT NOT NULL DEFAULT '',
    lease_until      INTEGER,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    budget_wish      INTEGER NOT NULL DEFAULT 0 -- 0: as submitted
);

CREATE TABLE tasks (
    run            INTEGER NOT NULL REFERENCES runs (run),
    idx            INTEGER NOT NULL,
    id             TEXT NOT NULL,
    task           TEXT NOT NULL, -- id in the definition
    state          TEXT NOT NULL,
    attempts       INTEGER NOT NULL,
    site           TEXT NOT NULL,
    memory_mib     INTEGER NOT NULL,
    plan_order     INTEGER NOT NULL,
    planned_start  INTEGER,
    planned_finish INTEGER,
    ready_at       INTEGER,
    started_at     INTEGER,
    finished_at    INTEGER,
    not_before     INTEGER,
    reason         TEXT,
    message        TEXT NOT NULL,
    PRIMARY KEY (run, idx)
) WITHOUT ROWID;

CREATE TABLE attempts (
    run           INTEGER NOT NULL REFERENCES runs (run),
    id            TEXT NOT NULL,
    task_idx      INTEGER NOT NULL,
    number        INTEGER NOT NULL,
    state         TEXT NOT NULL,
    site          TEXT NOT NULL,
    memory_mib    INTEGER NOT NULL,
    node          INTEGER NOT NULL, -- -1 at sites without nodes
    cores         INTEGER NOT NULL,
    timeout_ns    INTEGER NOT NULL,
    dispatched_at INTEGER,
    started_at    INTEGER,
    finished_at   INTEGER,
    exit_code     INTEGER NOT NULL,
    class         TEXT NOT NULL,
    message       TEXT NOT NULL,
    cold          INTEGER NOT NULL,
    billed_ns     INTEGER NOT NULL,
    request_id    TEXT NOT NULL,
    peak_memory   INTEGER NOT NULL,
    command_ns    INTEGER NOT NULL,
    output_bytes  INTEGER NOT NULL,
    reserved      INTEGER NOT NULL,
    cost          INTEGER NOT NULL,
    estimated     INTEGER NOT NULL,
    log_tail      TEXT NOT NULL,
    PRIMARY KEY (run, id)
) WITHOUT ROWID;
-- What holds capacity of a site, across runs.
CREATE INDEX attempts_live ON attempts (site, node) WHERE state IN ('dispatched', 'running', 'unknown');

CREATE TABLE files (
    run        INTEGER NOT NULL REFERENCES runs (run),
    idx        INTEGER NOT NULL,
    object_key TEXT NOT NULL,
    sha256     TEXT NOT NULL,
    size       INTEGER NOT NULL,
    site       TEXT NOT NULL,
    attempt    TEXT NOT NULL,
    value      TEXT,
    PRIMARY KEY (run, idx)
) WITHOUT ROWID;

CREATE TABLE transfers (
    run         INTEGER NOT NULL REFERENCES runs (run),
    file_idx    INTEGER NOT NULL,
    to_site     TEXT NOT NULL,
    from_site   TEXT NOT NULL,
    state       TEXT NOT NULL,
    tries       INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,
    started_at  INTEGER,
    finished_at INTEGER,
    cost        INTEGER NOT NULL,
    message     TEXT NOT NULL,
    PRIMARY KEY (run, file_idx, to_site)
) WITHOUT ROWID;

CREATE TABLE items (
    run        INTEGER NOT NULL REFERENCES runs (run),
    seq        INTEGER NOT NULL,
    at         INTEGER,
    task_idx   INTEGER NOT NULL,
    attempt    TEXT NOT NULL,
    file_idx   INTEGER NOT NULL,
    site       TEXT NOT NULL,
    category   TEXT NOT NULL,
    quantity   REAL NOT NULL,
    unit       TEXT NOT NULL,
    unit_price INTEGER NOT NULL,
    amount     INTEGER NOT NULL,
    estimated  INTEGER NOT NULL,
    note       TEXT NOT NULL,
    PRIMARY KEY (run, seq)
) WITHOUT ROWID;

CREATE TABLE events (
    run      INTEGER NOT NULL REFERENCES runs (run),
    seq      INTEGER NOT NULL,
    at       INTEGER,
    kind     TEXT NOT NULL,
    task_idx INTEGER NOT NULL,
    attempt  TEXT NOT NULL,
    data     TEXT,
    PRIMARY KEY (run, seq)
) WITHOUT ROWID;

CREATE TABLE outbox (
    run       INTEGER NOT NULL REFERENCES runs (run),
    id        INTEGER NOT NULL,
    kind      TEXT NOT NULL,
    attempt   TEXT NOT NULL,
    file_idx  INTEGER NOT NULL,
    from_site TEXT NOT NULL,
    to_site   TEXT NOT NULL,
    PRIMARY KEY (run, id)
) WITHOUT ROWID;
