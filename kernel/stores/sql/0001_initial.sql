-- The first schema. Times are microseconds since the Unix epoch; NULL in expires and deadline means never.

CREATE TABLE migration (
    no      INTEGER PRIMARY KEY,
    name    TEXT    NOT NULL,
    at      INTEGER NOT NULL
) STRICT;

CREATE TABLE meta (
    name    TEXT NOT NULL PRIMARY KEY,
    value   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE definition (
    key         INTEGER PRIMARY KEY,
    digest      TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    content     TEXT    NOT NULL,
    registered  INTEGER NOT NULL,
    UNIQUE (name, version)
) STRICT;

-- What the store itself says of archives, from when on; an empty text leaves it to the definitions.
CREATE TABLE archive_policy (
    since       INTEGER PRIMARY KEY,
    content     TEXT    NOT NULL
) STRICT;

-- A root and all its descendants: the unit of consistency. Its version and its clock are those of its last line of history.
CREATE TABLE tree (
    root    TEXT    NOT NULL PRIMARY KEY,
    run     INTEGER NOT NULL CHECK (run >= 1),
    tasks   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What stays of a tree that was purged, so that its id is not used again: its last run and version, how its root ended, and who
-- purged it, when, why, by which command.
CREATE TABLE tombstone (
    root        TEXT    NOT NULL PRIMARY KEY,
    run         INTEGER NOT NULL,
    version     INTEGER NOT NULL,
    name        TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    actor       TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    command     TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- One workflow of one run. A sub-workflow's id is a path that begins with its parent's. What later runs keep is part of them,
-- too: until is the last run of the tree that it is part of, NULL while that is the present one.
CREATE TABLE workflow (
    key         INTEGER PRIMARY KEY,
    id          TEXT    NOT NULL,
    run         INTEGER NOT NULL,
    root        TEXT    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('RUNNING', 'PAUSED', 'COMPLETED', 'FAILED', 'TIMED_OUT', 'TERMINATED')),
    parent      TEXT    NOT NULL,
    parent_no   INTEGER NOT NULL,
    slot        INTEGER NOT NULL,
    depth       INTEGER NOT NULL,
    definition  INTEGER NOT NULL REFERENCES definition,
    started     INTEGER NOT NULL,
    changed     INTEGER NOT NULL,
    deadline    INTEGER,
    paused_by   TEXT    NOT NULL,
    paused_at   INTEGER NOT NULL,
    reason      TEXT    NOT NULL,
    until       INTEGER,
    extension   TEXT    NOT NULL,       -- names the tasks beyond its definition, each of which is a payload 'definition'
    tasks_asks_completed    INTEGER NOT NULL,
    tasks_asks_failed       INTEGER NOT NULL,
    tasks_asks_terminated   INTEGER NOT NULL,
    tasks_failed            INTEGER NOT NULL,
    tasks_timed_out         INTEGER NOT NULL,
    tasks_canceled          INTEGER NOT NULL,
    tasks_not_closed        INTEGER NOT NULL,
    tasks_closed_badly      INTEGER NOT NULL,
    tasks_not_closed_well   INTEGER NOT NULL,
    UNIQUE (id, run)
) STRICT;

CREATE INDEX workflow_by_state ON workflow (state, id);
CREATE INDEX workflow_by_deadline ON workflow (deadline) WHERE deadline IS NOT NULL AND state IN ('RUNNING', 'PAUSED');

-- One task of one workflow; no is its position in the definition. queue and due say who looks for it, and from when: workers that
-- poll the type (SCHEDULED, not_before), or the clock (empty; any other SCHEDULED one, or IN_PROGRESS, expires or wakes, whichever
-- comes first); else due is NULL.
CREATE TABLE task (
    workflow    INTEGER NOT NULL REFERENCES workflow,
    no          INTEGER NOT NULL,
    mode        TEXT    NOT NULL,
    queue       TEXT    NOT NULL,
    due         INTEGER,
    state       TEXT    NOT NULL,       -- one of the table's; no CHECK, which would double the time of a cascade: the audit looks
    attempt     INTEGER NOT NULL,
    handouts    INTEGER NOT NULL,
    not_before  INTEGER NOT NULL,
    expires     INTEGER,
    attempt_ends INTEGER,
    total_ends  INTEGER,
    wakes       INTEGER,
    signalled   INTEGER NOT NULL,
    changed     INTEGER NOT NULL,
    worker      TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    after_not_passed    INTEGER NOT NULL,
    PRIMARY KEY (workflow, no)
) STRICT, WITHOUT ROWID;

CREATE INDEX task_by_due ON task (queue, due) WHERE due IS NOT NULL;
CREATE INDEX task_by_poll_timeout ON task (expires) WHERE expires IS NOT NULL AND state = 'SCHEDULED';

-- Inputs and outputs, apart from the rows that a cascade rewrites. no = -1 is the workflow itself.
CREATE TABLE payload (
    workflow    INTEGER NOT NULL REFERENCES workflow,
    no          INTEGER NOT NULL,
    what        TEXT    NOT NULL,
    text        TEXT    NOT NULL,
    PRIMARY KEY (workflow, no, what)
) STRICT;

-- The outbox: what one topic is told of one run of one workflow. What tells of the run's end has version 0; a notice tells of a
-- change of status: with which version of the tree the workflow came to it, and what else is to be told of it, as JSON.
CREATE TABLE delivery (
    workflow    INTEGER NOT NULL REFERENCES workflow,
    topic       TEXT    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('PENDING', 'LEASED', 'DELIVERED', 'DEAD')),
    attempt     INTEGER NOT NULL,
    claims      INTEGER NOT NULL,
    due         INTEGER NOT NULL,
    expires     INTEGER,
    proof       TEXT    NOT NULL,
    error       TEXT    NOT NULL,
    changed     INTEGER NOT NULL,
    sends       INTEGER NOT NULL,
    lease       INTEGER NOT NULL,
    version     INTEGER NOT NULL,
    status      TEXT    NOT NULL,
    cause       TEXT    NOT NULL,
    PRIMARY KEY (workflow, topic, version, status)
) STRICT, WITHOUT ROWID;

CREATE INDEX delivery_by_due ON delivery (topic, due) WHERE state = 'PENDING';
CREATE INDEX delivery_by_lease ON delivery (expires) WHERE state = 'LEASED';
CREATE INDEX delivery_dead ON delivery (workflow, topic) WHERE state = 'DEAD';

-- What happened, tree by tree: seq counts the lines of one tree.
CREATE TABLE history (
    root        TEXT    NOT NULL,
    seq         INTEGER NOT NULL,
    version     INTEGER NOT NULL CHECK (version >= 1),
    run         INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    kind        TEXT    NOT NULL,
    workflow    TEXT    NOT NULL,
    subject     TEXT    NOT NULL,
    event       TEXT    NOT NULL,
    source      TEXT    NOT NULL,
    target      TEXT    NOT NULL,
    attempt     INTEGER NOT NULL,
    count       INTEGER NOT NULL,
    by          TEXT    NOT NULL,
    actor       TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    command     TEXT    NOT NULL,
    PRIMARY KEY (root, seq)
) STRICT, WITHOUT ROWID;

-- Results that came under a lease that was not the stored one: beside the history, and read by nobody who decides.
CREATE TABLE late (
    workflow    TEXT    NOT NULL,
    no          INTEGER NOT NULL,
    run         INTEGER NOT NULL,
    handouts    INTEGER NOT NULL,
    what        TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    worker      TEXT    NOT NULL,
    attempt     INTEGER NOT NULL,
    reason      TEXT    NOT NULL,
    size        INTEGER NOT NULL,
    text        TEXT,
    PRIMARY KEY (workflow, no, run, handouts, what)
) STRICT, WITHOUT ROWID;

-- What is kept of each command whose id the caller chose: what was asked and what came of it, as JSON; for a while. Both are
-- empty where nothing came of it and nothing may any more. root is empty for a poll, which is on no tree.
CREATE TABLE command (
    root        TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    request     TEXT    NOT NULL,
    outcome     TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (root, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX command_by_time ON command (at);
