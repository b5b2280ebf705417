-- Moving many rows with a fixed number of statements.

-- ---- re-opening: what is set aside stays behind, what is kept is copied

-- name: leave
UPDATE workflow SET until = :until WHERE key IN (SELECT value FROM json_each(:keys))

-- name: keep_tasks
INSERT INTO task (workflow, no, mode, queue, due, state, attempt, handouts, not_before, expires, attempt_ends, total_ends,
       wakes, signalled, changed, worker, reason, after_not_passed)
SELECT :new, no, mode, queue, due, state, attempt, handouts, not_before, expires, attempt_ends, total_ends, wakes, signalled,
       changed, worker, reason, after_not_passed
  FROM task WHERE workflow = :old AND no NOT IN (SELECT value FROM json_each(:left))

-- name: keep_payloads
INSERT INTO payload (workflow, no, what, text)
SELECT :new, no, what, text FROM payload
 WHERE workflow = :old AND (no NOT IN (SELECT value FROM json_each(:left))
       OR (what = 'definition' AND no IN (SELECT value FROM json_each(:again))))

-- name: aside_workflow_history
INSERT INTO history (root, seq, version, run, at, kind, workflow, subject, event, source, target, attempt, count, by, actor,
       reason, command)
SELECT :root, :line + row_number() OVER (ORDER BY id), :version, :run, :now, 'workflow', id, '', 'SET_ASIDE', state, 'ABSENT', 0, 1,
       :by, :actor, '', :command
  FROM workflow WHERE key IN (SELECT value FROM json_each(:keys))

-- name: aside_task_history
INSERT INTO history (root, seq, version, run, at, kind, workflow, subject, event, source, target, attempt, count, by, actor,
       reason, command)
SELECT :root, :line + row_number() OVER (ORDER BY w.id, t.state), :version, :run, :now, 'task', w.id, '', 'SET_ASIDE', t.state,
       'ABSENT', 0, count(*), :by, :actor, '', :command
  FROM workflow w CROSS JOIN task t ON t.workflow = w.key
 WHERE w.key IN (SELECT value FROM json_each(:keys))
 GROUP BY w.id, t.state

-- ---- cascades: a fixed number of statements, whatever the number of rows. A workflow's own tasks are reached by its key, for
-- ---- which SQLite needs one pass only; everything below by the path of its id (:near: only one level down).

-- name: cascade_task_own
UPDATE task SET state = ?, changed = ?, reason = '', due = NULL WHERE workflow = ? AND state = ?

-- name: cascade_task_history
INSERT INTO history (root, seq, version, run, at, kind, workflow, subject, event, source, target, attempt, count, by, actor,
       reason, command)
SELECT :root, :line + row_number() OVER (ORDER BY w.id, t.state), :version, :run, :now, 'task', w.id, '', :event, t.state,
       :target, 0, count(*), :by, :actor, :reason, :command
  FROM workflow w CROSS JOIN task t ON t.workflow = w.key
 WHERE w.id > :id || '/' AND w.id < :id || '0' AND w.run = :run AND (NOT :near OR w.parent = :id)
       AND t.state IN (SELECT value FROM json_each(:sources))
 GROUP BY w.id, t.state

-- name: cascade_task
UPDATE task SET state = :target, changed = :now, reason = '', due = NULL
 WHERE workflow IN (SELECT key FROM workflow WHERE id > :id || '/' AND id < :id || '0' AND run = :run
                           AND (NOT :near OR parent = :id))
       AND state IN (SELECT value FROM json_each(:sources))

-- name: cascade_task_shift
WITH scope (key, paused_at) AS (
    SELECT key, paused_at FROM workflow WHERE id = :id AND run = :run AND state = 'PAUSED' AND paused_by = :origin
    UNION ALL
    SELECT key, paused_at FROM workflow
     WHERE id > :id || '/' AND id < :id || '0' AND run = :run AND state = 'PAUSED' AND paused_by = :origin)
UPDATE task SET state = :target, changed = :now,
       not_before = not_before + :now - max(paused_at, changed), expires = expires + :now - max(paused_at, changed),
       attempt_ends = attempt_ends + :now - max(paused_at, changed), total_ends = total_ends + :now - max(paused_at, changed),
       due = due + :now - max(paused_at, changed)
  FROM scope
 WHERE scope.key = task.workflow AND state IN (SELECT value FROM json_each(:sources))

-- name: cascade_workflow_history
INSERT INTO history (root, seq, version, run, at, kind, workflow, subject, event, source, target, attempt, count, by, actor,
       reason, command)
SELECT :root, :line + row_number() OVER (ORDER BY id), :version, :run, :now, 'workflow', id, '', :event, state, :target, 0, 1,
       :by, :actor, :reason, :command
  FROM workflow
 WHERE id > :id || '/' AND id < :id || '0' AND run = :run AND (NOT :near OR parent = :id)
       AND state IN (SELECT value FROM json_each(:sources)) AND (:event <> 'RESUME' OR paused_by = :origin)

-- name: cascade_workflow
UPDATE workflow SET state = :target, changed = :now, reason = :reason
 WHERE id > :id || '/' AND id < :id || '0' AND run = :run AND (NOT :near OR parent = :id)
       AND state IN (SELECT value FROM json_each(:sources))

-- name: cascade_workflow_pause
UPDATE workflow SET state = :target, changed = :now, paused_by = :origin, paused_at = :now,
       reason = :reason
 WHERE id > :id || '/' AND id < :id || '0' AND run = :run AND (NOT :near OR parent = :id)
       AND state IN (SELECT value FROM json_each(:sources))

-- name: cascade_workflow_resume
UPDATE workflow SET state = :target, changed = :now, paused_by = '', paused_at = 0,
       reason = :reason
 WHERE id > :id || '/' AND id < :id || '0' AND run = :run AND (NOT :near OR parent = :id)
       AND state IN (SELECT value FROM json_each(:sources)) AND paused_by = :origin
