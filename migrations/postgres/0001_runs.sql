-- Instants are microseconds since 1970 UTC, NULL for "not yet"; spans are nanoseconds; money is pico-USD;
-- JSON is text, byte for byte as written. Rows of a run carry its number, not its id, which keeps their keys short.

CREATE TABLE specs (
    digest text NOT NULL PRIMARY KEY, -- SHA-256 of source, hex
    source bytea NOT NULL
);

CREATE TABLE runs (
    run             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              text COLLATE "C" NOT NULL UNIQUE, -- sorts by time of submission
    spec            text NOT NULL REFERENCES specs (digest),
    filename        text NOT NULL,
    project         text NOT NULL,
    workflow        text NOT NULL,
    state           text NOT NULL,
    reason          text NOT NULL,
    submitted_at    bigint,
    started_at      bigint,
    finished_at     bigint,
    deadline_at     bigint,
    deadline_in     bigint NOT NULL, -- after the start; 0: as the definition says
    deadline_raw    text NOT NULL,
    planner         text NOT NULL,
    seed            bigint NOT NULL,
    time_scale      double precision NOT NULL,
    params          text,
    options         text,
    budget_max      bigint NOT NULL,
    planned_finish  bigint,
    planned_cost    bigint NOT NULL,
    private_finish  bigint,
    lower_bound     bigint NOT NULL,
    deadline_passed boolean NOT NULL,
    budget_refused  boolean NOT NULL,
    resolved        text NOT NULL -- ids of tasks whose foreach was resolved, in that order
);
CREATE INDEX runs_of_workflow ON runs (workflow, id);
CREATE INDEX runs_of_project ON runs (project, id);
CREATE INDEX runs_in_state ON runs (state, id);

-- What the store itself keeps of a run: what fences writers, and what people wish.
CREATE TABLE heads (
    run              bigint PRIMARY KEY REFERENCES runs (run),
    revision         bigint NOT NULL DEFAULT 0, -- counts commits
    epoch            bigint NOT NULL DEFAULT 0, -- counts leases
    lease_owner      text NOT NULL DEFAULT '',
    lease_until      bigint,
    cancel_requested boolean NOT NULL DEFAULT false,
    budget_wish      bigint NOT NULL DEFAULT 0 -- 0: as submitted
);

CREATE TABLE tasks (
    run            bigint NOT NULL REFERENCES runs (run),
    idx            bigint NOT NULL,
    id             text NOT NULL,
    task           text NOT NULL, -- id in the definition
    state          text NOT NULL,
    attempts       bigint NOT NULL,
    site           text NOT NULL,
    memory_mib     bigint NOT NULL,
    plan_order     bigint NOT NULL,
    planned_start  bigint,
    planned_finish bigint,
    ready_at       bigint,
    started_at     bigint,
    finished_at    bigint,
    not_before     bigint,
    reason         text,
    message        text NOT NULL,
    PRIMARY KEY (run, idx)
);

CREATE TABLE attempts (
    run           bigint NOT NULL REFERENCES runs (run),
    id            text COLLATE "C" NOT NULL,
    task_idx      bigint NOT NULL,
    number        bigint NOT NULL,
    state         text NOT NULL,
    site          text NOT NULL,
    memory_mib    bigint NOT NULL,
    node          bigint NOT NULL, -- -1 at sites without nodes
    cores         bigint NOT NULL,
    timeout_ns    bigint NOT NULL,
    dispatched_at bigint,
    started_at    bigint,
    finished_at   bigint,
    exit_code     bigint NOT NULL,
    class         text NOT NULL,
    message       text NOT NULL,
    cold          boolean NOT NULL,
    billed_ns     bigint NOT NULL,
    request_id    text NOT NULL,
    peak_memory   bigint NOT NULL,
    command_ns    bigint NOT NULL,
    output_bytes  bigint NOT NULL,
    reserved      bigint NOT NULL,
    cost          bigint NOT NULL,
    estimated     boolean NOT NULL,
    log_tail      text NOT NULL,
    PRIMARY KEY (run, id)
);
-- What holds capacity of a site, across runs.
CREATE INDEX attempts_live ON attempts (site, node) WHERE state IN ('dispatched', 'running', 'unknown');

CREATE TABLE files (
    run        bigint NOT NULL REFERENCES runs (run),
    idx        bigint NOT NULL,
    object_key text NOT NULL,
    sha256     text NOT NULL,
    size       bigint NOT NULL,
    site       text NOT NULL,
    attempt    text NOT NULL,
    value      text,
    PRIMARY KEY (run, idx)
);

CREATE TABLE transfers (
    run         bigint NOT NULL REFERENCES runs (run),
    file_idx    bigint NOT NULL,
    to_site     text COLLATE "C" NOT NULL,
    from_site   text NOT NULL,
    state       text NOT NULL,
    tries       bigint NOT NULL,
    bytes       bigint NOT NULL,
    started_at  bigint,
    finished_at bigint,
    cost        bigint NOT NULL,
    message     text NOT NULL,
    PRIMARY KEY (run, file_idx, to_site)
);

CREATE TABLE items (
    run        bigint NOT NULL REFERENCES runs (run),
    seq        bigint NOT NULL,
    at         bigint,
    task_idx   bigint NOT NULL,
    attempt    text NOT NULL,
    file_idx   bigint NOT NULL,
    site       text NOT NULL,
    category   text NOT NULL,
    quantity   double precision NOT NULL,
    unit       text NOT NULL,
    unit_price bigint NOT NULL,
    amount     bigint NOT NULL,
    estimated  boolean NOT NULL,
    note       text NOT NULL,
    PRIMARY KEY (run, seq)
);

CREATE TABLE events (
    run      bigint NOT NULL REFERENCES runs (run),
    seq      bigint NOT NULL,
    at       bigint,
    kind     text NOT NULL,
    task_idx bigint NOT NULL,
    attempt  text NOT NULL,
    data     text,
    PRIMARY KEY (run, seq)
);

CREATE TABLE outbox (
    run       bigint NOT NULL REFERENCES runs (run),
    id        bigint NOT NULL,
    kind      text NOT NULL,
    attempt   text NOT NULL,
    file_idx  bigint NOT NULL,
    from_site text NOT NULL,
    to_site   text NOT NULL,
    PRIMARY KEY (run, id)
);

-- Counts a commit, unless the run is no longer as the writer read it: then it raises, which undoes the
-- whole transaction without asking the writer, who sends all its statements at once.
CREATE FUNCTION advance_run(run_id text, read_revision bigint, read_epoch bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    advanced bigint;
BEGIN
    UPDATE heads h SET revision = h.revision + 1 FROM runs r
    WHERE r.id = run_id AND h.run = r.run AND h.revision = read_revision AND h.epoch = read_epoch
    RETURNING h.revision INTO advanced;
    IF advanced IS NOT NULL THEN
        RETURN advanced;
    END IF;
    IF EXISTS (SELECT FROM runs WHERE id = run_id) THEN
        RAISE EXCEPTION 'run % is not at revision %, epoch %', run_id, read_revision, read_epoch USING ERRCODE = 'SW001';
    END IF;
    RAISE EXCEPTION 'no run %', run_id USING ERRCODE = 'SW002';
END $$;
