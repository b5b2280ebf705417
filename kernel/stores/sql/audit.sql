-- The audit: every row that breaks an invariant, set by set.

-- The trees that have a row or a history, a page at a time.
-- name: roots
WITH RECURSIVE told (root, place) AS (
    SELECT min(root), 1 FROM history WHERE root > :after
    UNION ALL
    SELECT (SELECT min(h.root) FROM history h WHERE h.root > t.root), t.place + 1 FROM told t
     WHERE t.root IS NOT NULL AND t.place < :limit)
SELECT b.root FROM (
    SELECT a.root FROM (SELECT root FROM tree WHERE root > :after ORDER BY root LIMIT :limit) a
    UNION SELECT t.root FROM told t WHERE t.root IS NOT NULL) b
 ORDER BY b.root LIMIT :limit

-- name: audit_STORE_workflow_state
SELECT w.id, w.run, NULL, 'unknown state ' || w.state
  FROM workflow w WHERE w.state NOT IN ('RUNNING', 'PAUSED', 'COMPLETED', 'FAILED', 'TIMED_OUT', 'TERMINATED')

-- name: audit_STORE_task_state
SELECT w.id, w.run, t.no, 'unknown state ' || t.state
  FROM task t JOIN workflow w ON w.key = t.workflow
 WHERE t.state NOT IN ('PENDING', 'SCHEDULED', 'IN_PROGRESS', 'COMPLETED', 'COMPLETED_WITH_ERRORS', 'SKIPPED', 'FAILED',
       'FAILED_WITH_TERMINAL_ERROR', 'TIMED_OUT', 'CANCELED')

-- name: audit_STORE_task_due
SELECT w.id, w.run, t.no, t.state || ', but not found where work is looked for'
  FROM task t JOIN workflow w ON w.key = t.workflow
 WHERE t.due IS DISTINCT FROM CASE t.state WHEN 'SCHEDULED' THEN t.not_before
       WHEN 'IN_PROGRESS' THEN CASE WHEN t.wakes < t.expires THEN t.wakes ELSE coalesce(t.expires, t.wakes) END END
    OR (t.due IS NOT NULL AND t.mode <> 'WORKER' AND t.queue <> '')
    OR (t.due IS NOT NULL AND t.mode = 'WORKER' AND (t.queue = '') <> (t.state = 'IN_PROGRESS'))

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
    SELECT key, json_array_length(content, '$.tasks') FROM definition WHERE json_valid(content))
SELECT w.id, w.run, NULL, count(t.no) || ' of the ' || s.tasks || ' tasks of its definition are there'
  FROM workflow w JOIN size s ON s.definition = w.definition LEFT JOIN task t ON t.workflow = w.key AND t.no < s.tasks
 GROUP BY w.key, s.tasks HAVING count(t.no) <> s.tasks

-- name: audit_STORE_tree_tasks
WITH there (root, tasks) AS MATERIALIZED (
    SELECT w.root, count(*) FROM workflow w JOIN task t ON t.workflow = w.key WHERE w.until IS NULL GROUP BY w.root)
SELECT r.root, r.run, NULL, 'its tree has ' || coalesce(t.tasks, 0) || ' tasks, and counts ' || r.tasks
  FROM tree r LEFT JOIN there t ON t.root = r.root
 WHERE r.tasks <> coalesce(t.tasks, 0)

-- name: audit_STORE_tree_gone
SELECT w.id, w.run, NULL, 'its tree is gone'
  FROM workflow w LEFT JOIN tree r ON r.root = w.root
 WHERE r.root IS NULL

-- name: audit_STORE_delivery_state
SELECT w.id, w.run, NULL, 'unknown state ' || d.state || ' of the delivery for topic ' || d.topic
  FROM delivery d JOIN workflow w ON w.key = d.workflow WHERE d.state NOT IN ('PENDING', 'LEASED', 'DELIVERED', 'DEAD')

-- name: audit_INV-01_open_task
SELECT w.id, w.run, t.no, t.state || ' under ' || w.state
  FROM task t JOIN workflow w ON w.key = t.workflow
 WHERE t.state IN ('PENDING', 'SCHEDULED', 'IN_PROGRESS') AND w.state NOT IN ('RUNNING', 'PAUSED')

-- name: audit_INV-01_live_descendant
SELECT p.id, p.run, NULL, 'its sub-workflow ' || w.id || ' is ' || w.state
  FROM workflow w JOIN workflow p ON p.id = w.parent
       AND CASE WHEN w.until IS NULL THEN p.until IS NULL ELSE p.run <= w.until AND coalesce(p.until, w.until) >= w.until END
 WHERE w.parent <> '' AND w.state IN ('RUNNING', 'PAUSED') AND p.state NOT IN ('RUNNING', 'PAUSED')

-- :told is who is to be told of what: [definition, topic, state, from when, until when, only of ends on its own account].
-- Whose account the end of a TERMINATED sub-workflow was, only its commit tells.

-- name: audit_INV-03_missing
WITH told (definition, topic, state, since, until, own) AS MATERIALIZED (
    SELECT CAST(value ->> 0 AS BIGINT), value ->> 1, value ->> 2, CAST(value ->> 3 AS BIGINT), CAST(value ->> 4 AS BIGINT),
           CAST(value ->> 5 AS BIGINT) FROM json_each(:told))
SELECT w.id, w.run, NULL, 'no delivery for topic ' || t.topic
  FROM workflow w JOIN told t ON t.definition = w.definition AND t.state = w.state
       AND w.changed >= t.since AND w.changed < t.until
  LEFT JOIN delivery d ON d.workflow = w.key AND d.topic = t.topic
 WHERE d.topic IS NULL AND (t.own = 0 OR w.parent = '' OR (w.state <> 'TERMINATED' AND EXISTS (
       SELECT 1 FROM workflow p JOIN task k ON k.workflow = p.key
        WHERE p.id = w.parent AND p.run = w.run AND k.no = w.parent_no AND k.attempt = w.slot)))

-- name: audit_INV-03_unasked
WITH told (definition, topic, state, since, until, own) AS MATERIALIZED (
    SELECT CAST(value ->> 0 AS BIGINT), value ->> 1, value ->> 2, CAST(value ->> 3 AS BIGINT), CAST(value ->> 4 AS BIGINT),
           CAST(value ->> 5 AS BIGINT) FROM json_each(:told))
SELECT w.id, w.run, NULL, 'a delivery for topic ' || d.topic || ' although it is ' || w.state || ', of which that is not told'
  FROM workflow w JOIN delivery d ON d.workflow = w.key AND d.version = 0
  LEFT JOIN told t ON t.definition = w.definition AND t.topic = d.topic AND t.state = w.state
       AND w.changed >= t.since AND w.changed < t.until
 WHERE t.topic IS NULL OR (t.own = 1 AND w.parent <> '' AND w.state <> 'TERMINATED' AND EXISTS (
       SELECT 1 FROM workflow p JOIN task k ON k.workflow = p.key
        WHERE p.id = w.parent AND p.run = w.run AND k.no = w.parent_no AND k.attempt <> w.slot))

-- :subscribed is [definition, status]. Each line of history that brings a workflow to a status tells with which version it came.

-- name: audit_INV-03_no_notice
WITH subscribed (definition, status) AS MATERIALIZED (
    SELECT CAST(value ->> 0 AS BIGINT), value ->> 1 FROM json_each(:subscribed))
SELECT w.id, w.run, NULL, 'no notice that it came to ' || h.target || ' with version ' || h.version
  FROM history h JOIN workflow w ON w.id = h.workflow AND w.run = h.run
  JOIN subscribed s ON s.definition = w.definition AND s.status = h.target
  LEFT JOIN delivery d ON d.workflow = w.key AND d.topic = 'notify' AND d.version = h.version AND d.status = h.target
 WHERE :subscribed <> '[]' AND h.kind = 'workflow' AND h.source <> h.target AND d.topic IS NULL

-- name: audit_INV-03_false_notice
WITH subscribed (definition, status) AS MATERIALIZED (
    SELECT CAST(value ->> 0 AS BIGINT), value ->> 1 FROM json_each(:subscribed)),
came (workflow, run, version, status) AS MATERIALIZED (
    SELECT workflow, run, version, target FROM history WHERE kind = 'workflow' AND source <> target)
SELECT w.id, w.run, NULL, 'a notice of ' || d.status || ' with version ' || d.version || ', of which that is not told'
  FROM delivery d JOIN workflow w ON w.key = d.workflow
  LEFT JOIN subscribed s ON s.definition = w.definition AND s.status = d.status
  LEFT JOIN came c ON c.workflow = w.id AND c.run = w.run AND c.version = d.version AND c.status = d.status
 WHERE d.version > 0 AND (d.topic <> 'notify' OR s.status IS NULL OR c.status IS NULL)

-- name: audit_INV-04_unproven
SELECT w.id, w.run, NULL, 'DELIVERED to ' || d.topic || ' without a proof'
  FROM delivery d JOIN workflow w ON w.key = d.workflow
 WHERE d.state = 'DELIVERED' AND d.proof = ''

-- name: audit_INV-05_left
SELECT t.root, t.run, NULL, 'it was purged, and is still there'
  FROM tombstone t
 WHERE EXISTS (SELECT 1 FROM tree r WHERE r.root = t.root) OR EXISTS (SELECT 1 FROM history h WHERE h.root = t.root)

-- name: audit_INV-07_below_paused
SELECT w.id, w.run, NULL, 'RUNNING under a parent that is ' || coalesce(p.state, 'missing')
  FROM workflow w LEFT JOIN workflow p ON p.id = w.parent
       AND CASE WHEN w.until IS NULL THEN p.until IS NULL ELSE p.run <= w.until AND coalesce(p.until, w.until) >= w.until END
 WHERE w.parent <> '' AND w.state = 'RUNNING' AND coalesce(p.state, '') <> 'RUNNING'

-- name: audit_INV-09_disagree
SELECT p.id, p.run, t.no, t.state || ' although its sub-workflow ' || w.id || ' is ' || w.state
  FROM workflow w JOIN workflow p ON p.id = w.parent
       AND CASE WHEN w.until IS NULL THEN p.until IS NULL ELSE p.run <= w.until AND coalesce(p.until, w.until) >= w.until END
  JOIN task t ON t.workflow = p.key AND t.no = w.parent_no AND t.attempt = w.slot
 WHERE (w.state = 'COMPLETED' AND t.state <> 'COMPLETED')
    OR (w.state = 'FAILED' AND t.state NOT IN ('FAILED', 'COMPLETED_WITH_ERRORS'))
    OR (w.state = 'TIMED_OUT' AND t.state NOT IN ('TIMED_OUT', 'COMPLETED_WITH_ERRORS'))
    OR (w.state = 'TERMINATED' AND t.state NOT IN ('CANCELED', 'COMPLETED_WITH_ERRORS'))

-- name: audit_INV-09_no_child
WITH child (parent, run, no, slot) AS MATERIALIZED (
    SELECT parent, run, parent_no, slot FROM workflow WHERE parent <> '' AND state IN ('RUNNING', 'PAUSED'))
SELECT w.id, w.run, t.no, 'IN_PROGRESS without a live sub-workflow'
  FROM task t JOIN workflow w ON w.key = t.workflow
  LEFT JOIN child c ON c.parent = w.id AND c.run = w.run AND c.no = t.no AND c.slot = t.attempt
 WHERE t.state = 'IN_PROGRESS' AND t.mode = 'WORKFLOW' AND c.no IS NULL

-- name: audit_INV-10_stuck
SELECT w.id, w.run, NULL, 'RUNNING, but no task of it can move'
  FROM workflow w
 WHERE w.state = 'RUNNING' AND NOT EXISTS (
       SELECT 1 FROM task t WHERE t.workflow = w.key AND t.state IN ('SCHEDULED', 'IN_PROGRESS'))

-- name: audit_INV-13_stray_child
SELECT w.id, w.run, NULL, 'live, but not the sub-workflow of a present attempt'
  FROM workflow w LEFT JOIN workflow p ON p.id = w.parent
       AND CASE WHEN w.until IS NULL THEN p.until IS NULL ELSE p.run <= w.until AND coalesce(p.until, w.until) >= w.until END
  LEFT JOIN task t ON t.workflow = p.key AND t.no = w.parent_no
 WHERE w.parent <> '' AND w.state IN ('RUNNING', 'PAUSED')
       AND (t.no IS NULL OR t.state <> 'IN_PROGRESS' OR t.attempt <> w.slot OR p.state NOT IN ('RUNNING', 'PAUSED'))

-- name: audit_INV-13_open_task
SELECT w.id, w.run, t.no, t.state || ' in a workflow that is ' || w.state
  FROM task t JOIN workflow w ON w.key = t.workflow
 WHERE t.state IN ('PENDING', 'SCHEDULED', 'IN_PROGRESS') AND w.state NOT IN ('RUNNING', 'PAUSED')

-- name: audit_INV-14_attempts
SELECT w.id, w.run, NULL, 'the delivery for topic ' || d.topic || ' has ' || d.attempt || ' of ' || d.sends || ' attempts'
  FROM delivery d JOIN workflow w ON w.key = d.workflow
 WHERE d.attempt > d.sends OR (d.state = 'LEASED' AND d.attempt = 0)

-- name: audit_INV-14_no_error
SELECT w.id, w.run, NULL, 'the delivery for topic ' || d.topic || ' is DEAD without an error'
  FROM delivery d JOIN workflow w ON w.key = d.workflow
 WHERE d.state = 'DEAD' AND d.error = ''
