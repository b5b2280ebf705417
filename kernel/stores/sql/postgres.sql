-- What PostgreSQL says otherwise: a statement here takes the place of the one of the same name.

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

-- name: insert_task
INSERT INTO task (workflow, no, mode, queue, due, state, attempt, handouts, not_before, expires, attempt_ends, total_ends,
       wakes, signalled, changed, worker, reason, after_not_passed)
SELECT * FROM unnest(?::bigint[], ?::bigint[], ?::text[], ?::text[], ?::bigint[], ?::text[], ?::bigint[], ?::bigint[],
       ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[], ?::text[], ?::text[],
       ?::bigint[])

-- name: put_rows
SELECT put_rows(?::jsonb, ?::jsonb, ?::jsonb)

-- name: put_archive_policy
INSERT INTO archive_policy (since, content)
SELECT greatest(:since, (SELECT max(changed) + 1 FROM workflow), (SELECT max(since) FROM archive_policy)), :content
    ON CONFLICT (since) DO UPDATE SET content = excluded.content

-- ---- cascades

-- name: cascade_task_shift
WITH scope (key, paused_at) AS (
    SELECT key, paused_at FROM workflow WHERE id = :id AND run = :run AND state = 'PAUSED' AND paused_by = :origin
    UNION ALL
    SELECT key, paused_at FROM workflow
     WHERE id > :id || '/' AND id < :id || '0' AND run = :run AND state = 'PAUSED' AND paused_by = :origin)
UPDATE task SET state = :target, changed = :now,
       not_before = not_before + :now - greatest(paused_at, changed), expires = expires + :now - greatest(paused_at, changed),
       attempt_ends = attempt_ends + :now - greatest(paused_at, changed),
       total_ends = total_ends + :now - greatest(paused_at, changed), due = due + :now - greatest(paused_at, changed)
  FROM scope
 WHERE scope.key = task.workflow AND state IN (SELECT value FROM json_each(:sources))

-- name: cascade_workflow_deliveries
INSERT INTO delivery (workflow, topic, state, attempt, claims, due, expires, proof, error, changed, sends, lease, version, status,
       cause)
SELECT w.key, told ->> 2, 'PENDING', 0, 0, (told ->> 3)::bigint, NULL, '', '', :now, :sends, :lease, (told ->> 4)::integer,
       told ->> 5, told ->> 7
  FROM workflow w JOIN jsonb_array_elements(:told::jsonb) told
       ON (told ->> 0)::bigint = w.definition AND told ->> 6 IN ('', w.state)
 WHERE w.id > :id || '/' AND w.id < :id || '0' AND w.run = :run AND (NOT :near OR w.parent = :id)
       AND w.state IN (SELECT value FROM json_each(:sources)) AND (:event <> 'RESUME' OR w.paused_by = :origin)

-- name: cascade_workflow_delivery_history
INSERT INTO history (root, seq, version, run, at, kind, workflow, subject, event, source, target, attempt, count, by, actor,
       reason, command)
SELECT :root, :line + row_number() OVER (ORDER BY w.id, (told ->> 1) COLLATE "C"), :version, :run, :now, 'delivery', w.id,
       told ->> 1, 'CREATE', 'ABSENT', 'PENDING', 0, 1, 'CREATE', :actor, '', :command
  FROM workflow w JOIN jsonb_array_elements(:told::jsonb) told
       ON (told ->> 0)::bigint = w.definition AND told ->> 6 IN ('', w.state)
 WHERE w.id > :id || '/' AND w.id < :id || '0' AND w.run = :run AND (NOT :near OR w.parent = :id)
       AND w.state IN (SELECT value FROM json_each(:sources)) AND (:event <> 'RESUME' OR w.paused_by = :origin)

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

-- name: audit_INV-03_missing
WITH told (definition, topic, state, since, until, own) AS MATERIALIZED (
    SELECT (e ->> 0)::bigint, e ->> 1, e ->> 2, (e ->> 3)::bigint, (e ->> 4)::bigint, (e ->> 5)::boolean
      FROM jsonb_array_elements(:told::jsonb) e)
SELECT w.id, w.run, NULL, 'no delivery for topic ' || t.topic
  FROM workflow w JOIN told t ON t.definition = w.definition AND t.state = w.state
       AND w.changed >= t.since AND w.changed < t.until
  LEFT JOIN delivery d ON d.workflow = w.key AND d.topic = t.topic
 WHERE d.topic IS NULL AND (NOT t.own OR w.parent = '' OR (w.state <> 'TERMINATED' AND EXISTS (
       SELECT 1 FROM workflow p JOIN task k ON k.workflow = p.key
        WHERE p.id = w.parent AND p.run = w.run AND k.no = w.parent_no AND k.attempt = w.slot)))

-- name: audit_INV-03_unasked
WITH told (definition, topic, state, since, until, own) AS MATERIALIZED (
    SELECT (e ->> 0)::bigint, e ->> 1, e ->> 2, (e ->> 3)::bigint, (e ->> 4)::bigint, (e ->> 5)::boolean
      FROM jsonb_array_elements(:told::jsonb) e)
SELECT w.id, w.run, NULL, 'a delivery for topic ' || d.topic || ' although it is ' || w.state || ', of which that is not told'
  FROM workflow w JOIN delivery d ON d.workflow = w.key AND d.version = 0
  LEFT JOIN told t ON t.definition = w.definition AND t.topic = d.topic AND t.state = w.state
       AND w.changed >= t.since AND w.changed < t.until
 WHERE t.topic IS NULL OR (t.own AND w.parent <> '' AND w.state <> 'TERMINATED' AND EXISTS (
       SELECT 1 FROM workflow p JOIN task k ON k.workflow = p.key
        WHERE p.id = w.parent AND p.run = w.run AND k.no = w.parent_no AND k.attempt <> w.slot))

-- name: audit_INV-03_no_notice
WITH subscribed (definition, status) AS MATERIALIZED (
    SELECT (e ->> 0)::bigint, e ->> 1 FROM jsonb_array_elements(:subscribed::jsonb) e)
SELECT w.id, w.run, NULL, 'no notice that it came to ' || h.target || ' with version ' || h.version
  FROM history h JOIN workflow w ON w.id = h.workflow AND w.run = h.run
  JOIN subscribed s ON s.definition = w.definition AND s.status = h.target
  LEFT JOIN delivery d ON d.workflow = w.key AND d.topic = 'notify' AND d.version = h.version AND d.status = h.target
 WHERE h.kind = 'workflow' AND h.source <> h.target AND d.topic IS NULL

-- name: audit_INV-03_false_notice
WITH subscribed (definition, status) AS MATERIALIZED (
    SELECT (e ->> 0)::bigint, e ->> 1 FROM jsonb_array_elements(:subscribed::jsonb) e),
came (workflow, run, version, status) AS MATERIALIZED (
    SELECT workflow, run, version, target FROM history WHERE kind = 'workflow' AND source <> target)
SELECT w.id, w.run, NULL, 'a notice of ' || d.status || ' with version ' || d.version || ', of which that is not told'
  FROM delivery d JOIN workflow w ON w.key = d.workflow
  LEFT JOIN subscribed s ON s.definition = w.definition AND s.status = d.status
  LEFT JOIN came c ON c.workflow = w.id AND c.run = w.run AND c.version = d.version AND c.status = d.status
 WHERE d.version > 0 AND (d.topic <> 'notify' OR s.status IS NULL OR c.status IS NULL)
