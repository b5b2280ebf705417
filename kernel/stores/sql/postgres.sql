-- What PostgreSQL says otherwise: a statement here takes the place of the one of the same name.

-- ---- the transaction. A writer locks and then reads what is there; a reader sees one state of everything.

-- name: begin_writing
BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE

-- name: begin_reading
BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY

-- name: commit
COMMIT

-- Who listens hears of each type of which there are tasks now.
-- name: ring
SELECT pg_notify(current_schema(), type) FROM unnest(?::text[]) AS type

-- ---- locks

-- name: enter
SELECT enter()

-- name: hold
SELECT hold(?)

-- name: hold_alone
SELECT pg_advisory_xact_lock(hashtextextended(current_schema(), 0))

-- name: hold_definitions
LOCK TABLE definition IN SHARE ROW EXCLUSIVE MODE

-- name: hold_task
SELECT 1 FROM task t JOIN workflow w ON w.key = t.workflow
 WHERE w.id = ? AND w.until IS NULL AND t.no = ? FOR UPDATE OF t

-- name: hold_delivery
SELECT 1 FROM delivery d JOIN workflow w ON w.key = d.workflow
 WHERE w.id = ? AND w.run = ? AND d.topic = ? AND d.version = ? AND d.status = ? FOR UPDATE OF d

-- Tasks that could be handed out, in trees that we hold then, with all that a decision on them reads.
-- name: hand_out
SELECT * FROM hand_out(:type, :now, :horizon, :limit)

-- What a decision without a look asks for: lock, compare, write. Each list is of rows, as the server writes such a list.
-- name: apply
SELECT apply(?, ?::held[], ?::tree[], ?::workflow[], ?::task[], ?::workflow_change[], ?::task_change[], ?::payload[],
       ?::delivery[], ?::history[])

-- ---- rows

-- name: tree
SELECT t.root, t.run, h.version, h.at, t.tasks, h.seq, h.command
  FROM tree t LEFT JOIN LATERAL (
       SELECT version, at, seq, command FROM history WHERE root = t.root ORDER BY seq DESC LIMIT 1) h ON true
 WHERE t.root = ?

-- name: subject
SELECT * FROM subject WHERE id = ? AND no = ? AND root = ?

-- The tasks behind a task in its definition: those that its end starts are most often among them.
-- name: next_tasks
SELECT k.workflow, k.no, k.state, k.attempt, k.handouts, k.not_before, k.expires, k.attempt_ends, k.total_ends, k.wakes, k.signalled,
       k.changed, k.worker, k.reason, k.after_not_passed
  FROM workflow w JOIN task k ON k.workflow = w.key
 WHERE w.id = ? AND w.until IS NULL AND k.no BETWEEN ? AND ?

-- name: some_tasks
SELECT no, state, attempt, handouts, not_before, expires, attempt_ends, total_ends, wakes, signalled, changed,
       worker, reason, after_not_passed
  FROM task WHERE workflow = ? AND no = ANY (?)

-- name: payloads
SELECT no, what, text FROM payload WHERE workflow = ? AND no BETWEEN ? AND ?

-- name: new_keys
SELECT nextval('workflow_key_seq') FROM generate_series(1, ?)

-- name: insert_workflow
INSERT INTO workflow (key, id, run, root, state, parent, parent_no, slot, depth, definition, started, changed, deadline,
       paused_by, paused_at, reason, extension, tasks_asks_completed, tasks_asks_failed, tasks_asks_terminated, tasks_failed,
       tasks_timed_out, tasks_canceled, tasks_not_closed, tasks_closed_badly, tasks_not_closed_well)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: insert_tasks
INSERT INTO task (workflow, no, mode, queue, due, state, attempt, handouts, not_before, expires, attempt_ends, total_ends,
       wakes, signalled, changed, worker, reason, after_not_passed)
SELECT * FROM unnest(?::bigint[], ?::bigint[], ?::text[], ?::text[], ?::bigint[], ?::text[], ?::bigint[], ?::bigint[],
       ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::text[], ?::text[],
       ?::bigint[])

-- name: insert_lines
INSERT INTO history (root, seq, version, run, at, kind, workflow, subject, event, source, target, attempt, count, by, actor,
       reason, command)
SELECT * FROM unnest(?::text[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::text[], ?::text[], ?::text[], ?::text[],
       ?::text[], ?::text[], ?::bigint[], ?::bigint[], ?::text[], ?::text[], ?::text[], ?::text[])

-- name: insert_definition
INSERT INTO definition (key, digest, name, version, content, registered)
SELECT ('x' || left(digest, 15))::bit(60)::bigint, digest, name, version, content, registered
  FROM (VALUES (?::text, ?::text, ?::bigint, ?::text, ?::bigint)) AS given (digest, name, version, content, registered)

-- ---- one row, which is there, or the decision was on another one

-- name: insert_tree
SELECT new_tree(?, ?, ?)

-- name: update_tree
WITH done AS (UPDATE tree SET run = ?, tasks = ? WHERE root = ? RETURNING 1) SELECT CASE WHEN count(*) <> 1 THEN other_row() END FROM done

-- name: update_workflow
WITH done AS (
    UPDATE workflow SET state = ?, deadline = ?, changed = ?, paused_by = ?, paused_at = ?, reason = ?, extension = ?,
           tasks_asks_completed = ?, tasks_asks_failed = ?, tasks_asks_terminated = ?, tasks_failed = ?, tasks_timed_out = ?,
           tasks_canceled = ?, tasks_not_closed = ?, tasks_closed_badly = ?, tasks_not_closed_well = ?
     WHERE key = ? RETURNING 1)
SELECT CASE WHEN count(*) <> 1 THEN other_row() END FROM done

-- Of a task its state and hand-outs are compared and, unless who presents the lease may end it, its time; nothing of a new copy,
-- which was not read.
-- name: update_task
WITH done AS (
    UPDATE task SET queue = ?, due = ?, state = ?, attempt = ?, handouts = ?, not_before = ?, expires = ?, attempt_ends = ?,
           total_ends = ?, wakes = ?, signalled = ?, changed = ?, worker = ?, reason = ?, after_not_passed = ?
     WHERE workflow = ? AND no = ? AND state = coalesce(?, state) AND handouts = coalesce(?, handouts)
       AND (?::boolean OR expires IS NOT DISTINCT FROM ?)
    RETURNING 1)
SELECT CASE WHEN count(*) <> 1 THEN other_row() END FROM done

-- name: update_delivery
WITH done AS (
    UPDATE delivery SET state = ?, attempt = ?, claims = ?, due = ?, expires = ?, proof = ?, error = ?, changed = ?
     WHERE workflow = ? AND topic = ? AND version = ? AND status = ? RETURNING 1)
SELECT CASE WHEN count(*) <> 1 THEN other_row() END FROM done

-- ---- the audit

-- name: scan
SET LOCAL enable_seqscan = on

-- name: audit_STORE_tasks_missing
WITH size (definition, tasks) AS MATERIALIZED (
    SELECT key, json_array_length(content::json -> 'tasks') FROM definition)
SELECT w.id, w.run, NULL, count(t.no) || ' of the ' || s.tasks || ' tasks of its definition are there'
  FROM workflow w JOIN size s ON s.definition = w.definition LEFT JOIN task t ON t.workflow = w.key AND t.no < s.tasks
 GROUP BY w.key, s.tasks HAVING count(t.no) <> s.tasks
