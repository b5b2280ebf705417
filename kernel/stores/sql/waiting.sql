-- Work that waits. A time has come when the clock, or the last time of its tree, has reached it. No tree is taken to be ahead
-- of :horizon, which is :now unless the clock went back: so an index finds what is due.

-- name: latest_time
SELECT coalesce(max((SELECT h.at FROM history h WHERE h.root = w.root ORDER BY h.seq DESC LIMIT 1)), 0)
  FROM workflow w
 WHERE w.state IN ('RUNNING', 'PAUSED')
    OR w.key IN (SELECT workflow FROM delivery WHERE state = 'PENDING' UNION ALL SELECT workflow FROM delivery WHERE state = 'LEASED')

-- name: pollable
SELECT w.id, t.no
  FROM task t JOIN workflow w ON w.key = t.workflow
 WHERE t.queue = :type AND w.state = 'RUNNING'
       AND t.due <= :horizon AND (t.due <= :now OR t.due <= (
           SELECT h.at FROM history h WHERE h.root = w.root ORDER BY h.seq DESC LIMIT 1))
 ORDER BY t.due, t.workflow, t.no LIMIT :limit

-- name: due_tasks
SELECT t.due, CASE WHEN t.state = 'SCHEDULED' THEN 'WAKE' WHEN t.wakes = t.due THEN 'ELAPSE' ELSE 'EXPIRE' END, w.id, t.no
  FROM task t JOIN workflow w ON w.key = t.workflow
 WHERE t.queue = '' AND (t.state = 'IN_PROGRESS' OR w.state = 'RUNNING')
       AND t.due <= :horizon AND (t.due <= :now OR t.due <= (
           SELECT h.at FROM history h WHERE h.root = w.root ORDER BY h.seq DESC LIMIT 1))
 ORDER BY t.due, t.workflow, t.no LIMIT :limit

-- name: unpolled_tasks
SELECT t.expires, 'EXPIRE', w.id, t.no
  FROM task t INDEXED BY task_by_poll_timeout JOIN workflow w ON w.key = t.workflow
 WHERE t.expires IS NOT NULL AND t.state = 'SCHEDULED' AND w.state = 'RUNNING'
       AND t.expires <= :horizon AND (t.expires <= :now OR t.expires <= (
           SELECT h.at FROM history h WHERE h.root = w.root ORDER BY h.seq DESC LIMIT 1))
 ORDER BY t.expires, t.workflow, t.no LIMIT :limit

-- name: passed_deadlines
SELECT w.deadline, w.id FROM workflow w INDEXED BY workflow_by_deadline
 WHERE w.deadline IS NOT NULL AND w.state IN ('RUNNING', 'PAUSED')
       AND w.deadline <= :horizon AND (w.deadline <= :now OR w.deadline <= (
           SELECT h.at FROM history h WHERE h.root = w.root ORDER BY h.seq DESC LIMIT 1))
 ORDER BY w.deadline, w.key LIMIT :limit

-- name: backlog
SELECT (SELECT count(*) FROM (
         SELECT t.workflow, t.no FROM task t JOIN workflow w ON w.key = t.workflow
          WHERE t.queue = '' AND (t.state = 'IN_PROGRESS' OR w.state = 'RUNNING')
                AND t.due <= :horizon AND (t.due <= :now OR t.due <= (
                    SELECT h.at FROM history h WHERE h.root = w.root ORDER BY h.seq DESC LIMIT 1))
          UNION
         SELECT t.workflow, t.no FROM task t INDEXED BY task_by_poll_timeout JOIN workflow w ON w.key = t.workflow
          WHERE t.expires IS NOT NULL AND t.state = 'SCHEDULED' AND w.state = 'RUNNING'
                AND t.expires <= :horizon AND (t.expires <= :now OR t.expires <= (
                    SELECT h.at FROM history h WHERE h.root = w.root ORDER BY h.seq DESC LIMIT 1))) timers)
     + (SELECT count(*) FROM workflow w INDEXED BY workflow_by_deadline
         WHERE w.deadline IS NOT NULL AND w.state IN ('RUNNING', 'PAUSED')
               AND w.deadline <= :horizon AND (w.deadline <= :now OR w.deadline <= (
                   SELECT h.at FROM history h WHERE h.root = w.root ORDER BY h.seq DESC LIMIT 1)))
     + (SELECT count(*) FROM delivery d JOIN workflow w ON w.key = d.workflow
         WHERE d.state = 'LEASED' AND d.expires <= :horizon AND (d.expires <= :now OR d.expires <= (
               SELECT h.at FROM history h WHERE h.root = w.root ORDER BY h.seq DESC LIMIT 1))),
       due.count,
       (SELECT count(*) FROM delivery WHERE state = 'PENDING'),
       (SELECT count(*) FROM delivery WHERE state = 'LEASED'),
       (SELECT count(*) FROM delivery WHERE state = 'DEAD'),
       due.first
  FROM (SELECT count(*) AS count, min(d.due) AS first FROM delivery d JOIN workflow w ON w.key = d.workflow
         WHERE d.state = 'PENDING' AND d.due <= :horizon AND (d.due <= :now OR d.due <= (
               SELECT h.at FROM history h WHERE h.root = w.root ORDER BY h.seq DESC LIMIT 1))) due
