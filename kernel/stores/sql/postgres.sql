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

-- Tasks in trees that nobody else holds; now we do.
-- name: hold_pollable
SELECT r.root
  FROM task t JOIN workflow w ON w.key = t.workflow JOIN tree r ON r.root = w.root
 WHERE t.queue = :type AND w.state = 'RUNNING'
       AND t.due <= :horizon AND (t.due <= :now OR t.due <= (
           SELECT h.at FROM history h WHERE h.root = w.root ORDER BY h.seq DESC LIMIT 1))
 ORDER BY t.due, t.workflow, t.no LIMIT :limit FOR UPDATE OF r SKIP LOCKED

-- name: pollable_held
SELECT w.id, t.no
  FROM task t JOIN workflow w ON w.key = t.workflow
 WHERE t.queue = :type AND w.state = 'RUNNING' AND w.root = ANY (:roots)
       AND t.due <= :horizon AND (t.due <= :now OR t.due <= (
           SELECT h.at FROM history h WHERE h.root = w.root ORDER BY h.seq DESC LIMIT 1))
 ORDER BY t.due, t.workflow, t.no LIMIT :limit

-- ---- rows

-- name: tree
SELECT t.root, t.run, h.version, h.at, t.tasks, h.seq
  FROM tree t LEFT JOIN LATERAL (
       SELECT version, at, seq FROM history WHERE root = t.root ORDER BY seq DESC LIMIT 1) h ON true
 WHERE t.root = ?

-- name: subject
SELECT t.root, t.run, h.version, h.at, t.tasks, h.seq, w.key, w.definition, w.id, w.run, w.state, w.parent, w.parent_no, w.slot,
       w.depth, w.started, w.changed, w.deadline, w.paused_by, w.paused_at, w.reason, w.extension, w.tasks_asks_completed,
       w.tasks_asks_failed, w.tasks_asks_terminated, w.tasks_failed, w.tasks_timed_out, w.tasks_canceled, w.tasks_not_closed,
       w.tasks_closed_badly, w.tasks_not_closed_well, k.no, k.state, k.attempt, k.handouts, k.not_before, k.expires,
       k.attempt_ends, k.total_ends, k.wakes, k.signalled, k.changed, k.worker, k.reason, k.after_not_passed
  FROM tree t JOIN workflow w ON w.id = ? AND w.run = t.run JOIN task k ON k.workflow = w.key AND k.no = ?
       LEFT JOIN LATERAL (SELECT version, at, seq FROM history WHERE root = t.root ORDER BY seq DESC LIMIT 1) h ON true
 WHERE t.root = ?

-- The same, when the row of the task is locked, too: a heartbeat locks nothing else.
-- name: subject_held
SELECT t.root, t.run, h.version, h.at, t.tasks, h.seq, w.key, w.definition, w.id, w.run, w.state, w.parent, w.parent_no, w.slot,
       w.depth, w.started, w.changed, w.deadline, w.paused_by, w.paused_at, w.reason, w.extension, w.tasks_asks_completed,
       w.tasks_asks_failed, w.tasks_asks_terminated, w.tasks_failed, w.tasks_timed_out, w.tasks_canceled, w.tasks_not_closed,
       w.tasks_closed_badly, w.tasks_not_closed_well, k.no, k.state, k.attempt, k.handouts, k.not_before, k.expires,
       k.attempt_ends, k.total_ends, k.wakes, k.signalled, k.changed, k.worker, k.reason, k.after_not_passed
  FROM tree t JOIN workflow w ON w.id = ? AND w.run = t.run JOIN task k ON k.workflow = w.key AND k.no = ?
       LEFT JOIN LATERAL (SELECT version, at, seq FROM history WHERE root = t.root ORDER BY seq DESC LIMIT 1) h ON true
 WHERE t.root = ? FOR UPDATE OF k

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

-- name: put_workflow
SELECT put_workflow(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: put_task
SELECT put_task(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- ---- the audit

-- name: audit_STORE_task_of_nobody
SELECT 'workflow number ' || t.workflow, 0, NULL, 'a task of a workflow that does not exist'
  FROM task t WHERE NOT EXISTS (SELECT 1 FROM workflow w WHERE w.key = t.workflow)

-- name: audit_STORE_delivery_of_nobody
SELECT 'workflow number ' || d.workflow, 0, NULL, 'a delivery of a workflow that does not exist'
  FROM delivery d WHERE NOT EXISTS (SELECT 1 FROM workflow w WHERE w.key = d.workflow)

-- name: audit_STORE_payload_of_nobody
SELECT 'workflow number ' || p.workflow, 0, NULL, 'a payload of a workflow that does not exist'
  FROM payload p WHERE NOT EXISTS (SELECT 1 FROM workflow w WHERE w.key = p.workflow)

-- name: audit_STORE_definition_missing
SELECT w.id, w.run, NULL, 'its definition is gone'
  FROM workflow w WHERE NOT EXISTS (SELECT 1 FROM definition d WHERE d.key = w.definition)

-- name: audit_STORE_tasks_missing
WITH size (definition, tasks) AS MATERIALIZED (
    SELECT key, json_array_length(content::json -> 'tasks') FROM definition)
SELECT w.id, w.run, NULL, count(t.no) || ' of the ' || s.tasks || ' tasks of its definition are there'
  FROM workflow w JOIN size s ON s.definition = w.definition LEFT JOIN task t ON t.workflow = w.key AND t.no < s.tasks
 GROUP BY w.key, s.tasks HAVING count(t.no) <> s.tasks
