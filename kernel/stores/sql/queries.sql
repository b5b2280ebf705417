-- The rows of the SQLite store, one by one. A statement follows its name; parameters are always bound.

-- name: tree
SELECT t.root, t.run, h.version, h.at, t.tasks, h.seq
  FROM tree t LEFT JOIN history h ON h.root = t.root
 WHERE t.root = ? ORDER BY h.seq DESC LIMIT 1

-- name: subject
SELECT t.root, t.run, h.version, h.at, t.tasks, h.seq, w.key, w.definition, w.id, w.run, w.state, w.parent, w.parent_no, w.slot,
       w.depth, w.started, w.changed, w.deadline, w.paused_by, w.paused_at, w.reason, w.extension, w.tasks_asks_completed,
       w.tasks_asks_failed, w.tasks_asks_terminated, w.tasks_failed, w.tasks_timed_out, w.tasks_canceled, w.tasks_not_closed,
       w.tasks_closed_badly, w.tasks_not_closed_well, k.no, k.state, k.attempt, k.handouts, k.not_before, k.expires,
       k.attempt_ends, k.total_ends, k.wakes, k.signalled, k.changed, k.worker, k.reason, k.after_not_passed
  FROM tree t CROSS JOIN workflow w ON w.id = ? AND w.run = t.run CROSS JOIN task k ON k.workflow = w.key AND k.no = ?
       LEFT JOIN history h ON h.root = t.root
 WHERE t.root = ? ORDER BY h.seq DESC LIMIT 1

-- name: insert_tree
INSERT INTO tree (root, run, tasks) VALUES (?, ?, ?)

-- name: update_tree
UPDATE tree SET run = ?, tasks = ? WHERE root = ?

-- name: workflow
SELECT key, definition, id, run, state, parent, parent_no, slot, depth, started, changed, deadline, paused_by, paused_at,
       reason, extension, tasks_asks_completed, tasks_asks_failed, tasks_asks_terminated, tasks_failed, tasks_timed_out,
       tasks_canceled, tasks_not_closed, tasks_closed_badly, tasks_not_closed_well
  FROM workflow WHERE id = :id AND run <= :run AND coalesce(until, :run) >= :run

-- name: below
SELECT key, definition, id, run, state, parent, parent_no, slot, depth, started, changed, deadline, paused_by, paused_at,
       reason, extension, tasks_asks_completed, tasks_asks_failed, tasks_asks_terminated, tasks_failed, tasks_timed_out,
       tasks_canceled, tasks_not_closed, tasks_closed_badly, tasks_not_closed_well
  FROM workflow
 WHERE (id = :id OR (id > :id || '/' AND id < :id || '0')) AND run <= :run AND coalesce(until, :run) >= :run ORDER BY id

-- name: paused_by
SELECT key, definition, id, run, state, parent, parent_no, slot, depth, started, changed, deadline, paused_by, paused_at,
       reason, extension, tasks_asks_completed, tasks_asks_failed, tasks_asks_terminated, tasks_failed, tasks_timed_out,
       tasks_canceled, tasks_not_closed, tasks_closed_badly, tasks_not_closed_well
  FROM workflow WHERE id > :id || '/' AND id < :id || '0' AND run = :run AND state = 'PAUSED' AND paused_by = :id

-- name: under
WITH first (id) AS (
    SELECT id FROM workflow
     WHERE id > :id || '/' AND id < :id || '0' AND parent = :id AND until IS NULL
           AND parent_no IN (SELECT value FROM json_each(:nos))),
found (key) AS (
    SELECT w.key FROM first f CROSS JOIN workflow w ON w.id = f.id WHERE w.until IS NULL
    UNION ALL SELECT w.key FROM first f CROSS JOIN workflow w ON w.id > f.id || '/' AND w.id < f.id || '0' WHERE w.until IS NULL)
SELECT w.key, w.definition, w.id, w.run, w.state, w.parent, w.parent_no, w.slot, w.depth, w.started, w.changed, w.deadline,
       w.paused_by, w.paused_at, w.reason, w.extension, w.tasks_asks_completed, w.tasks_asks_failed, w.tasks_asks_terminated,
       w.tasks_failed, w.tasks_timed_out, w.tasks_canceled, w.tasks_not_closed, w.tasks_closed_badly,
       w.tasks_not_closed_well
  FROM found CROSS JOIN workflow w ON w.key = found.key ORDER BY w.id

-- name: find
SELECT w.key, w.definition, w.id, w.run, w.state, w.parent, w.parent_no, w.slot, w.depth, w.started, w.changed, w.deadline,
       w.paused_by, w.paused_at, w.reason, w.extension, w.tasks_asks_completed, w.tasks_asks_failed, w.tasks_asks_terminated,
       w.tasks_failed, w.tasks_timed_out, w.tasks_canceled, w.tasks_not_closed, w.tasks_closed_badly, w.tasks_not_closed_well
  FROM workflow w JOIN definition d ON d.key = w.definition
 WHERE w.until IS NULL AND w.id > :after AND (CAST(:name AS TEXT) IS NULL OR d.name = :name) ORDER BY w.id LIMIT :limit

-- name: find_in_state
SELECT w.key, w.definition, w.id, w.run, w.state, w.parent, w.parent_no, w.slot, w.depth, w.started, w.changed, w.deadline,
       w.paused_by, w.paused_at, w.reason, w.extension, w.tasks_asks_completed, w.tasks_asks_failed, w.tasks_asks_terminated,
       w.tasks_failed, w.tasks_timed_out, w.tasks_canceled, w.tasks_not_closed, w.tasks_closed_badly, w.tasks_not_closed_well
  FROM workflow w JOIN definition d ON d.key = w.definition
 WHERE w.until IS NULL AND w.state = :state AND w.id > :after AND (CAST(:name AS TEXT) IS NULL OR d.name = :name) ORDER BY w.id LIMIT :limit

-- name: workflows_in_state
SELECT key, definition, id, run, state, parent, parent_no, slot, depth, started, changed, deadline, paused_by, paused_at,
       reason, extension, tasks_asks_completed, tasks_asks_failed, tasks_asks_terminated, tasks_failed, tasks_timed_out,
       tasks_canceled, tasks_not_closed, tasks_closed_badly, tasks_not_closed_well
  FROM workflow WHERE state = ? AND id > ? ORDER BY id LIMIT ?

-- name: insert_workflow
INSERT INTO workflow (id, run, root, state, parent, parent_no, slot, depth, definition, started, changed, deadline, paused_by,
       paused_at, reason, extension, tasks_asks_completed, tasks_asks_failed, tasks_asks_terminated, tasks_failed,
       tasks_timed_out, tasks_canceled, tasks_not_closed, tasks_closed_badly, tasks_not_closed_well)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
RETURNING key

-- name: update_workflow
UPDATE workflow SET state = ?, deadline = ?, changed = ?, paused_by = ?, paused_at = ?, reason = ?, extension = ?,
       tasks_asks_completed = ?, tasks_asks_failed = ?, tasks_asks_terminated = ?, tasks_failed = ?, tasks_timed_out = ?,
       tasks_canceled = ?, tasks_not_closed = ?, tasks_closed_badly = ?, tasks_not_closed_well = ?
 WHERE key = ?

-- name: update_workflow_in_place
UPDATE workflow SET changed = ?, paused_by = ?, paused_at = ?, reason = ?, extension = ?, tasks_asks_completed = ?,
       tasks_asks_failed = ?, tasks_asks_terminated = ?, tasks_failed = ?, tasks_timed_out = ?, tasks_canceled = ?,
       tasks_not_closed = ?, tasks_closed_badly = ?, tasks_not_closed_well = ?
 WHERE key = ?

-- name: task
SELECT no, state, attempt, handouts, not_before, expires, attempt_ends, total_ends, wakes, signalled, changed,
       worker, reason, after_not_passed
  FROM task WHERE workflow = ? AND no = ?

-- name: tasks
SELECT no, state, attempt, handouts, not_before, expires, attempt_ends, total_ends, wakes, signalled, changed,
       worker, reason, after_not_passed
  FROM task WHERE workflow = ? AND no > ? ORDER BY no LIMIT ?

-- name: ready
SELECT no, state, attempt, handouts, not_before, expires, attempt_ends, total_ends, wakes, signalled, changed,
       worker, reason, after_not_passed
  FROM task
 WHERE workflow = ? AND ((state = 'PENDING' AND after_not_passed = 0) OR (state = 'SCHEDULED' AND mode <> 'WORKER')
       OR (state = 'IN_PROGRESS' AND signalled = 1))

-- name: insert_task
INSERT INTO task (workflow, no, mode, queue, due, state, attempt, handouts, not_before, expires, attempt_ends, total_ends,
       wakes, signalled, changed, worker, reason, after_not_passed)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: update_task
UPDATE task SET queue = ?, due = ?, state = ?, attempt = ?, handouts = ?, not_before = ?, expires = ?, attempt_ends = ?,
       total_ends = ?, wakes = ?, signalled = ?, changed = ?, worker = ?, reason = ?, after_not_passed = ?
 WHERE workflow = ? AND no = ?

-- name: payload
SELECT text FROM payload WHERE workflow = ? AND no = ? AND what = ?

-- name: spawned
SELECT w.extension, p.no, p.text FROM workflow w
  LEFT JOIN payload p ON p.workflow = w.key AND p.no >= ? AND p.what = 'definition' WHERE w.key = ? ORDER BY p.no

-- name: put_payload
INSERT INTO payload (workflow, no, what, text) VALUES (?, ?, ?, ?)
    ON CONFLICT (workflow, no, what) DO UPDATE SET text = excluded.text

-- name: drop_payload
DELETE FROM payload WHERE workflow = ? AND no = ? AND what = ?

-- name: insert_history
INSERT INTO history (root, seq, version, run, at, kind, workflow, subject, event, source, target, attempt, count, by, actor, reason,
       command)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: history
SELECT seq, version, run, at, kind, workflow, subject, event, source, target, attempt, count, by, actor, reason, command
  FROM history
 WHERE root = :root AND seq > :after AND (CAST(:workflow AS TEXT) IS NULL OR workflow = :workflow) AND (CAST(:run AS BIGINT) IS NULL OR run = :run)
 ORDER BY seq LIMIT :limit

-- name: lines_of
SELECT seq, version, run, at, kind, workflow, subject, event, source, target, attempt, count, by, actor, reason, command
  FROM history WHERE root = ? AND command = ? ORDER BY seq

-- name: recorded
SELECT request, outcome, at FROM command WHERE root = ? AND id = ?

-- name: record
INSERT INTO command (root, id, request, outcome, at) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (root, id) DO UPDATE SET request = excluded.request, outcome = excluded.outcome, at = excluded.at

-- name: has_records
SELECT 1 FROM command WHERE at <= ? LIMIT 1

-- name: forget
DELETE FROM command WHERE (root, id) IN (SELECT root, id FROM command WHERE at <= ? ORDER BY at, root, id LIMIT ?)

-- name: definition_by_key
SELECT digest, content FROM definition WHERE key = ?

-- name: definition_of_version
SELECT key, digest FROM definition WHERE name = ? AND version = ?

-- name: latest_definition
SELECT key, digest FROM definition WHERE name = ? ORDER BY version DESC LIMIT 1

-- name: insert_definition
INSERT INTO definition (digest, name, version, content, registered) VALUES (?, ?, ?, ?, ?)

-- name: definitions
SELECT key FROM definition

-- name: archive_policies
SELECT since, content FROM archive_policy ORDER BY since

-- name: put_archive_policy
INSERT INTO archive_policy (since, content)
SELECT max(:since, coalesce((SELECT max(changed) + 1 FROM workflow), 0), coalesce((SELECT max(since) FROM archive_policy), 0)), :content
    ON CONFLICT (since) DO UPDATE SET content = excluded.content

-- name: names
SELECT name, version FROM definition ORDER BY name, version

-- name: store_id
SELECT value FROM meta WHERE name = 'store'

-- name: sizes
SELECT (SELECT count(*) FROM workflow), (SELECT count(*) FROM task), (SELECT count(*) FROM delivery)
