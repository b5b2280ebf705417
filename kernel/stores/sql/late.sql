-- Late results: beside the history, read by nobody who decides.

-- name: late
SELECT workflow, no, run, handouts, what, at, worker, attempt, reason, size, text
  FROM late WHERE workflow = ? ORDER BY at, no, run, handouts, what

-- name: keep_late
INSERT INTO late (workflow, no, run, handouts, what, at, worker, attempt, reason, size, text)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (workflow, no, run, handouts, what) DO UPDATE SET at = excluded.at, worker = excluded.worker,
       attempt = excluded.attempt, reason = excluded.reason, size = excluded.size, text = excluded.text

-- name: drop_late
DELETE FROM late
 WHERE workflow = :workflow AND no = :no AND (run, handouts, what) NOT IN (
       SELECT run, handouts, what FROM late WHERE workflow = :workflow AND no = :no
        ORDER BY at DESC, run DESC, handouts DESC, what DESC LIMIT :most)
