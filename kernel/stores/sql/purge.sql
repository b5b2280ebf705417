-- Purging: a fixed number of statements take a whole tree away, and leave its tombstone.

-- name: every_run
SELECT key, definition, id, run, state, parent, parent_no, slot, depth, started, changed, deadline, paused_by, paused_at,
       reason, extension, tasks_asks_completed, tasks_asks_failed, tasks_asks_terminated, tasks_failed, tasks_timed_out,
       tasks_canceled, tasks_not_closed, tasks_closed_badly, tasks_not_closed_well
  FROM workflow WHERE id = :root OR (id > :root || '/' AND id < :root || '0')

-- name: outboxes
SELECT d.topic, d.state, d.attempt, d.claims, d.due, d.expires, d.proof, d.error, d.changed, d.sends, d.lease, d.version,
       d.status, d.cause, w.key, w.id, w.run
  FROM workflow w CROSS JOIN delivery d ON d.workflow = w.key
 WHERE w.id = :root OR (w.id > :root || '/' AND w.id < :root || '0')

-- name: tombstone
SELECT root, run, version, name, state, at, actor, reason, command FROM tombstone WHERE root = ?

-- name: purgeable
SELECT id FROM workflow
 WHERE until IS NULL AND parent = '' AND state IN ('COMPLETED', 'FAILED', 'TIMED_OUT', 'TERMINATED') AND changed <= :before
       AND id > :after
 ORDER BY id LIMIT :limit

-- name: purge_delivery
DELETE FROM delivery WHERE workflow IN (
       SELECT key FROM workflow WHERE id = :root OR (id > :root || '/' AND id < :root || '0'))

-- name: purge_payload
DELETE FROM payload WHERE workflow IN (
       SELECT key FROM workflow WHERE id = :root OR (id > :root || '/' AND id < :root || '0'))

-- name: purge_task
DELETE FROM task WHERE workflow IN (
       SELECT key FROM workflow WHERE id = :root OR (id > :root || '/' AND id < :root || '0'))

-- name: purge_workflow
DELETE FROM workflow WHERE id = :root OR (id > :root || '/' AND id < :root || '0')

-- name: purge_late
DELETE FROM late WHERE workflow = :root OR (workflow > :root || '/' AND workflow < :root || '0')

-- name: purge_history
DELETE FROM history WHERE root = :root

-- name: purge_command
DELETE FROM command WHERE root = :root

-- name: purge_tree
DELETE FROM tree WHERE root = :root

-- name: insert_tombstone
INSERT INTO tombstone (root, run, version, name, state, at, actor, reason, command) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
