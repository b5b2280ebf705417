-- Whole commands as one call of a function.

-- What a command that was decided without a look took for granted of its tree: the last line of the history, by its number and its
-- command; no number where there is no such tree. And, where it is a poll, that its task is the first of the type that is due;
-- any other has an empty type.
CREATE TYPE held AS (root TEXT, command TEXT, line BIGINT, last TEXT, type TEXT, due BIGINT, key BIGINT, no INTEGER);

-- A workflow and a task as they are then. Of a task its state and hand-outs are compared and, unless who presents the lease may end
-- it, its time; nothing of a new copy, which was not read.
CREATE TYPE workflow_change AS (
    state TEXT, deadline BIGINT, changed BIGINT, paused_by TEXT, paused_at BIGINT, reason TEXT, extension TEXT,
    tasks_asks_completed INTEGER, tasks_asks_failed INTEGER, tasks_asks_terminated INTEGER, tasks_failed INTEGER,
    tasks_timed_out INTEGER, tasks_canceled INTEGER, tasks_not_closed INTEGER, tasks_closed_badly INTEGER,
    tasks_not_closed_well INTEGER, key BIGINT);
CREATE TYPE task_change AS (
    queue TEXT, due BIGINT, state TEXT, attempt INTEGER, handouts INTEGER, not_before BIGINT, expires BIGINT, attempt_ends BIGINT,
    total_ends BIGINT, wakes BIGINT, signalled INTEGER, changed BIGINT, worker TEXT, reason TEXT, after_not_passed INTEGER,
    workflow BIGINT, no INTEGER, was TEXT, had INTEGER, presents BOOLEAN, ended BIGINT);

-- Whole commands that were decided without a look, each on a tree of its own: all of them, or none. One waits for who holds its
-- tree; several do not. It may arrive late: what is told of a command must not be that it was not applied. What was decided on may
-- be gone, with a server that failed: then the last line of the history has another number, or is of another command.
CREATE FUNCTION apply(known TEXT, holds held[], trees tree[], workflows workflow[], tasks task[], workflow_changes workflow_change[],
    task_changes task_change[], payloads payload[], deliveries delivery[], lines history[]) RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
    alone BOOLEAN := cardinality(holds) = 1;
    h held;
    w workflow_change;
    t task_change;
    its_line BIGINT;
    its_last TEXT;
    is_told BOOLEAN;
    is_other BOOLEAN;
BEGIN
    IF enter() <> known THEN
        RAISE SQLSTATE 'KE001';
    END IF;
    FOREACH h IN ARRAY holds LOOP
        IF h.line IS NULL THEN
            IF alone THEN
                PERFORM pg_advisory_xact_lock(hashtextextended(current_schema() || ' ' || h.root, 0));
            ELSIF NOT pg_try_advisory_xact_lock(hashtextextended(current_schema() || ' ' || h.root, 0)) THEN
                RAISE SQLSTATE 'KE001';
            END IF;
            SELECT EXISTS (SELECT FROM command c WHERE c.root = h.root AND c.id = h.command),
                   EXISTS (SELECT FROM tree r WHERE r.root = h.root) OR EXISTS (SELECT FROM tombstone r WHERE r.root = h.root)
              INTO is_told, is_other;
        ELSE
            IF alone AND h.type = '' THEN
                PERFORM FROM tree r WHERE r.root = h.root FOR UPDATE;
            ELSE
                PERFORM FROM tree r WHERE r.root = h.root FOR UPDATE SKIP LOCKED;
            END IF;
            IF NOT FOUND THEN
                RAISE SQLSTATE 'KE001';
            END IF;
            SELECT y.seq, y.command, EXISTS (SELECT FROM command c WHERE c.root = h.root AND c.id = h.command)
              INTO its_line, its_last, is_told FROM history y WHERE y.root = h.root ORDER BY y.seq DESC LIMIT 1;
            is_other := its_line IS DISTINCT FROM h.line OR its_last IS DISTINCT FROM h.last;
            IF h.type <> '' AND NOT is_other THEN  -- what the others here take is not before it
                SELECT is_told OR EXISTS (SELECT FROM command c WHERE c.root = '' AND c.id = h.command), EXISTS (
                       SELECT FROM task q
                        WHERE q.queue = h.type AND q.due IS NOT NULL AND (q.due, q.workflow, q.no) < (h.due, h.key, h.no)
                          AND NOT EXISTS (SELECT FROM unnest(holds) o WHERE o.type = h.type AND o.key = q.workflow AND o.no = q.no))
                  INTO is_told, is_other;
            END IF;
        END IF;
        IF is_told THEN
            RAISE SQLSTATE 'KE002';
        ELSIF is_other THEN
            RAISE SQLSTATE 'KE001';
        END IF;
    END LOOP;
    IF cardinality(trees) > 0 THEN
        INSERT INTO tree SELECT * FROM unnest(trees);
    END IF;
    IF cardinality(workflows) > 0 THEN
        INSERT INTO workflow SELECT * FROM unnest(workflows);
    END IF;
    IF cardinality(tasks) > 0 THEN
        INSERT INTO task SELECT * FROM unnest(tasks);
    END IF;
    IF cardinality(workflow_changes) > 0 THEN  -- row by row: each is found by its key, whatever the server thinks of the table's size
        FOREACH w IN ARRAY workflow_changes LOOP
            UPDATE workflow SET state = w.state, deadline = w.deadline, changed = w.changed, paused_by = w.paused_by,
                   paused_at = w.paused_at, reason = w.reason, extension = w.extension,
                   tasks_asks_completed = w.tasks_asks_completed, tasks_asks_failed = w.tasks_asks_failed,
                   tasks_asks_terminated = w.tasks_asks_terminated, tasks_failed = w.tasks_failed,
                   tasks_timed_out = w.tasks_timed_out, tasks_canceled = w.tasks_canceled, tasks_not_closed = w.tasks_not_closed,
                   tasks_closed_badly = w.tasks_closed_badly, tasks_not_closed_well = w.tasks_not_closed_well
             WHERE key = w.key;
            IF NOT FOUND THEN
                RAISE SQLSTATE 'KE001';
            END IF;
        END LOOP;
    END IF;
    IF cardinality(task_changes) > 0 THEN
        FOREACH t IN ARRAY task_changes LOOP
            UPDATE task SET queue = t.queue, due = t.due, state = t.state, attempt = t.attempt, handouts = t.handouts,
                   not_before = t.not_before, expires = t.expires, attempt_ends = t.attempt_ends, total_ends = t.total_ends,
                   wakes = t.wakes, signalled = t.signalled, changed = t.changed, worker = t.worker, reason = t.reason,
                   after_not_passed = t.after_not_passed
             WHERE workflow = t.workflow AND no = t.no AND state = coalesce(t.was, state) AND handouts = coalesce(t.had, handouts)
               AND (t.presents OR expires IS NOT DISTINCT FROM t.ended);
            IF NOT FOUND THEN
                RAISE SQLSTATE 'KE001';
            END IF;
        END LOOP;
    END IF;
    IF cardinality(payloads) > 0 THEN
        INSERT INTO payload SELECT * FROM unnest(payloads) ON CONFLICT (workflow, no, what) DO UPDATE SET text = excluded.text;
    END IF;
    IF cardinality(deliveries) > 0 THEN
        INSERT INTO delivery SELECT * FROM unnest(deliveries);
    END IF;
    INSERT INTO history SELECT * FROM unnest(lines);
END $$;
