-- The outbox. A delivery is found by its workflow's run, its topic, and for a notice also by its version and status.

-- name: delivery
SELECT d.topic, d.state, d.attempt, d.claims, d.due, d.expires, d.proof, d.error, d.changed, d.sends, d.lease, d.version,
       d.status, d.cause, w.key, w.id, w.run, w.definition
  FROM delivery d JOIN workflow w ON w.key = d.workflow
 WHERE w.id = ? AND w.run = ? AND d.topic = ? AND d.version = ? AND d.status = ?

-- name: deliveries
SELECT d.topic, d.state, d.attempt, d.claims, d.due, d.expires, d.proof, d.error, d.changed, d.sends, d.lease, d.version,
       d.status, d.cause, w.key, w.id, w.run
  FROM workflow w CROSS JOIN delivery d ON d.workflow = w.key
 WHERE w.id >= :id AND (w.id, w.run, d.topic, d.version, d.status) > (:id, :run, :topic, :version, :status)
       AND (CAST(:state AS TEXT) IS NULL OR d.state = :state)
 ORDER BY w.id, w.run, d.topic, d.version, d.status LIMIT :limit

-- name: deliveries_of
SELECT d.topic, d.state, d.attempt, d.claims, d.due, d.expires, d.proof, d.error, d.changed, d.sends, d.lease, d.version,
       d.status, d.cause, w.key, w.id, w.run
  FROM workflow w CROSS JOIN delivery d ON d.workflow = w.key
 WHERE w.id = :workflow AND (w.id, w.run, d.topic, d.version, d.status) > (:id, :run, :topic, :version, :status)
       AND (CAST(:state AS TEXT) IS NULL OR d.state = :state)
 ORDER BY w.run, d.topic, d.version, d.status LIMIT :limit

-- name: earlier
SELECT d.topic, d.state, d.attempt, d.claims, d.due, d.expires, d.proof, d.error, d.changed, d.sends, d.lease, d.version,
       d.status, d.cause, w.key, w.id, w.run
  FROM workflow w CROSS JOIN delivery d ON d.workflow = w.key
 WHERE w.id = :id AND d.topic = :topic AND d.state IN ('PENDING', 'LEASED')
       AND (d.version, d.status <> 'RUNNING') < (:version, :status <> 'RUNNING')

-- name: insert_delivery
INSERT INTO delivery (workflow, topic, state, attempt, claims, due, expires, proof, error, changed, sends, lease, version, status,
       cause)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: update_delivery
UPDATE delivery SET state = ?, attempt = ?, claims = ?, due = ?, expires = ?, proof = ?, error = ?, changed = ?
 WHERE workflow = ? AND topic = ? AND version = ? AND status = ?

-- ---- work that waits: see waiting.sql

-- name: claimable
SELECT d.due, w.id, w.run, d.topic
  FROM delivery d JOIN workflow w ON w.key = d.workflow
 WHERE d.state = 'PENDING' AND d.topic = :topic
       AND d.due <= :horizon AND (d.due <= :now OR d.due <= (
           SELECT h.at FROM history h WHERE h.root = w.root ORDER BY h.seq DESC LIMIT 1))
 ORDER BY d.due, d.workflow LIMIT :limit

-- name: claimable_notices
SELECT d.due, w.id, w.run, d.topic || '@' || d.version || '.' || d.status
  FROM delivery d JOIN workflow w ON w.key = d.workflow
 WHERE d.state = 'PENDING' AND d.topic = :topic
       AND d.due <= :horizon AND (d.due <= :now OR d.due <= (
           SELECT h.at FROM history h WHERE h.root = w.root ORDER BY h.seq DESC LIMIT 1))
       AND NOT EXISTS (
           SELECT 1 FROM workflow v CROSS JOIN delivery e ON e.workflow = v.key
            WHERE v.id = w.id AND e.topic = d.topic AND e.state IN ('PENDING', 'LEASED')
                  AND (e.version, e.status <> 'RUNNING') < (d.version, d.status <> 'RUNNING'))
 ORDER BY d.due, d.workflow LIMIT :limit

-- name: lost_deliveries
SELECT d.expires, w.id, w.run, CASE WHEN d.version = 0 THEN d.topic ELSE d.topic || '@' || d.version || '.' || d.status END
  FROM delivery d JOIN workflow w ON w.key = d.workflow
 WHERE d.state = 'LEASED'
       AND d.expires <= :horizon AND (d.expires <= :now OR d.expires <= (
           SELECT h.at FROM history h WHERE h.root = w.root ORDER BY h.seq DESC LIMIT 1))
 ORDER BY d.expires, d.workflow LIMIT :limit

-- ---- cascades: what those tell that they move. :told is [definition, name, topic, due, version, status,
-- from which state, or an empty text for whichever, and the cause].

-- name: cascade_workflow_definitions
SELECT DISTINCT w.definition FROM workflow w
 WHERE w.id > :id || '/' AND w.id < :id || '0' AND w.run = :run AND (NOT :near OR w.parent = :id)
       AND w.state IN (SELECT value FROM json_each(:sources)) AND (:event <> 'RESUME' OR w.paused_by = :origin)

-- name: cascade_workflow_deliveries
INSERT INTO delivery (workflow, topic, state, attempt, claims, due, expires, proof, error, changed, sends, lease, version, status,
       cause)
SELECT w.key, told.value ->> 2, 'PENDING', 0, 0, CAST(told.value ->> 3 AS BIGINT), NULL, '', '', :now, :sends, :lease,
       CAST(told.value ->> 4 AS BIGINT), told.value ->> 5, told.value ->> 7
  FROM workflow w JOIN json_each(:told) told
       ON CAST(told.value ->> 0 AS BIGINT) = w.definition AND told.value ->> 6 IN ('', w.state)
 WHERE w.id > :id || '/' AND w.id < :id || '0' AND w.run = :run AND (NOT :near OR w.parent = :id)
       AND w.state IN (SELECT value FROM json_each(:sources)) AND (:event <> 'RESUME' OR w.paused_by = :origin)

-- name: cascade_workflow_delivery_history
INSERT INTO history (root, seq, version, run, at, kind, workflow, subject, event, source, target, attempt, count, by, actor,
       reason, command)
SELECT :root, :line + row_number() OVER (ORDER BY w.id, (told.value ->> 1) COLLATE BINARY), :version, :run, :now, 'delivery', w.id,
       told.value ->> 1, 'CREATE', 'ABSENT', 'PENDING', 0, 1, 'CREATE', :actor, '', :command
  FROM workflow w JOIN json_each(:told) told
       ON CAST(told.value ->> 0 AS BIGINT) = w.definition AND told.value ->> 6 IN ('', w.state)
 WHERE w.id > :id || '/' AND w.id < :id || '0' AND w.run = :run AND (NOT :near OR w.parent = :id)
       AND w.state IN (SELECT value FROM json_each(:sources)) AND (:event <> 'RESUME' OR w.paused_by = :origin)
