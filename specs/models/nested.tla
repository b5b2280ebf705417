---- MODULE nested ----
\* Generated from the tables.
EXTENDS Integers, TLC
VARIABLE v

NOW == 1       \* the time that stands still
NEVER == 100   \* and one that does not come
Min(a, b) == IF a < b THEN a ELSE b
Max(a, b) == IF a < b THEN b ELSE a
Sum(a, b) == Min(a + b, NEVER)
Part(a, millionths) == (a * millionths) \div 1000000

NoLine == [state |-> "no line"]   \* instead of a row: the event has no line there
Taken(new) == [x \in {y \in DOMAIN new : new[y].state # "no line"} |-> new[x]]
Moved(s, new) == Taken(new) @@ s

\* ---- the rows of this shape
workflow == {"w", "w/s"}
task == {"w.s", "w/s.a"}
delivery == {"w>archive", "w/s>archive"}
Order == "w" :> 0 @@ "w.s" :> 1 @@ "w>archive" :> 2 @@ "w/s" :> 3 @@ "w/s.a" :> 4 @@ "w/s>archive" :> 5
First(S) == CHOOSE x \in S : \A y \in S : Order[x] <= Order[y]
above == "w.s" :> {} @@ "w/s.a" :> {"w.s"}
after == "w.s" :> {} @@ "w/s.a" :> {}
all_outboxes == "w" :> {"w/s>archive", "w>archive"} @@ "w/s" :> {"w/s>archive"}
all_tasks == "w" :> {"w.s", "w/s.a"} @@ "w/s" :> {"w/s.a"}
archives == "w" :> {"w/s>archive", "w>archive"} @@ "w/s" :> {"w/s>archive"}
children == "w" :> {"w/s"} @@ "w/s" :> {}
of == "w/s>archive" :> "w/s" @@ "w>archive" :> "w"
outbox == "w" :> {"w>archive"} @@ "w/s" :> {"w/s>archive"}
progeny == "w.s" :> {} @@ "w/s.a" :> {}
reach == "w.s" :> {"w.s"} @@ "w/s.a" :> {"w/s.a", "w.s"}
spawned == "w.s" :> {} @@ "w/s.a" :> {}
subs == "w" :> {"w/s"} @@ "w/s" :> {}
switch == <<>>
tasks == "w" :> {"w.s"} @@ "w/s" :> {"w/s.a"}
top == "w" :> "w" @@ "w/s" :> "w"
under == "w.s" :> {"w/s"} @@ "w/s.a" :> {}
under_tasks == "w.s" :> {"w/s.a"} @@ "w/s.a" :> {}
up == "w/s" :> "w.s"
wf == "w.s" :> "w" @@ "w/s.a" :> "w/s"
child == "w.s" :> (1 :> "w/s")
workflow_id == "w" :> "w" @@ "w/s" :> "w/s"
workflow_on_timeout == "w" :> "TIME_OUT_WF" @@ "w/s" :> "TIME_OUT_WF"
workflow_restartable == "w" :> 1 @@ "w/s" :> 1
workflow_retention == "w" :> 0 @@ "w/s" :> 0
workflow_root == "w" :> 1 @@ "w/s" :> 0
workflow_slot == "w" :> 0 @@ "w/s" :> 1
workflow_timeout == "w" :> NEVER @@ "w/s" :> NEVER
task_added == "w.s" :> 0 @@ "w/s.a" :> 0
task_asks == "w.s" :> "" @@ "w/s.a" :> ""
task_attempt_timeout == "w.s" :> NEVER @@ "w/s.a" :> NEVER
task_branch == "w.s" :> 0 @@ "w/s.a" :> 0
task_choice == "w.s" :> 0 @@ "w/s.a" :> 0
task_lease == "w.s" :> NEVER @@ "w/s.a" :> NEVER
task_mode == "w.s" :> "WORKFLOW" @@ "w/s.a" :> "WORKER"
task_on_expiry == "w.s" :> "RETRY" @@ "w/s.a" :> "RETRY"
task_optional == "w.s" :> 0 @@ "w/s.a" :> 0
task_permissive == "w.s" :> 0 @@ "w/s.a" :> 0
task_poll_timeout == "w.s" :> NEVER @@ "w/s.a" :> NEVER
task_retry_delay == "w.s" :> 0 @@ "w/s.a" :> 0
task_retry_jitter == "w.s" :> 0 @@ "w/s.a" :> 0
task_sound == "w.s" :> 1 @@ "w/s.a" :> 1
task_total_timeout == "w.s" :> NEVER @@ "w/s.a" :> NEVER
task_tries == "w.s" :> 1 @@ "w/s.a" :> 1
task_wait_for == "w.s" :> NEVER @@ "w/s.a" :> NEVER
task_wait_until == "w.s" :> NEVER @@ "w/s.a" :> NEVER
delivery_copied == "w>archive" :> 1 @@ "w/s>archive" :> 1
delivery_hears == "w>archive" :> "ENDS" @@ "w/s>archive" :> "ENDS"
delivery_lease == "w>archive" :> NEVER @@ "w/s>archive" :> NEVER
delivery_open == "w>archive" :> 1 @@ "w/s>archive" :> 1
delivery_own == "w>archive" :> 0 @@ "w/s>archive" :> 0
delivery_run == "w>archive" :> 1 @@ "w/s>archive" :> 1
delivery_sends == "w>archive" :> 2 @@ "w/s>archive" :> 2
delivery_status == "w>archive" :> "" @@ "w/s>archive" :> ""
delivery_topic == "w>archive" :> "archive" @@ "w/s>archive" :> "archive"
delivery_wait == "w>archive" :> 0 @@ "w/s>archive" :> 0
delivery_wanted == "w>archive" :> 1 @@ "w/s>archive" :> 1
Start == "w" :> [state |-> "ABSENT", run |-> 0, paused_by |-> "", paused_at |-> 0, deadline |-> NEVER, changed |-> 0, purged |-> 0] @@ "w.s" :> [state |-> "ABSENT", attempt |-> 0, handouts |-> 0, not_before |-> 0, expires |-> NEVER, attempt_ends |-> NEVER, total_ends |-> NEVER, wakes |-> NEVER, signalled |-> 0, changed |-> 0] @@ "w/s" :> [state |-> "ABSENT", run |-> 0, paused_by |-> "", paused_at |-> 0, deadline |-> NEVER, changed |-> 0, purged |-> 0] @@ "w/s.a" :> [state |-> "ABSENT", attempt |-> 0, handouts |-> 0, not_before |-> 0, expires |-> NEVER, attempt_ends |-> NEVER, total_ends |-> NEVER, wakes |-> NEVER, signalled |-> 0, changed |-> 0] @@ "w/s>archive" :> [state |-> "ABSENT", attempt |-> 0, claims |-> 0, due |-> 0, expires |-> NEVER, error |-> "", proof |-> "", changed |-> 0] @@ "w>archive" :> [state |-> "ABSENT", attempt |-> 0, claims |-> 0, due |-> 0, expires |-> NEVER, error |-> "", proof |-> "", changed |-> 0]
Outbox(s, me) == {x \in outbox[me] : delivery_run[x] = s[me].run}
Archives(s, me) == {x \in archives[me] : s[of[x]].state # "ABSENT" /\ delivery_run[x] <= s[of[x]].run}
Above(me) == {x \in workflow : me \in all_tasks[x]}
Present(s, x) == workflow_root[x] = 1 \/ workflow_slot[x] = s[up[x]].attempt
Tree(s, me) == {x \in Above(me) : workflow_root[x] = 1 /\ \A y \in Above(me) : Present(s, y)}

\* ---- the events: the row after it
workflow_START(s, me, p) ==
  CASE s[me].state = "ABSENT"
       /\ workflow_root[me] = 1   \* root
         -> [s[me] EXCEPT !.run = 1, !.deadline = Sum(NOW, workflow_timeout[me]), !.changed = NOW, !.state = "RUNNING"]
    [] s[me].state = "ABSENT"
       /\ ~(workflow_root[me] = 1)   \* child
         -> [s[me] EXCEPT !.run = s[wf[up[me]]].run, !.deadline = Sum(NOW, workflow_timeout[me]), !.changed = NOW, !.state = "RUNNING"]
    [] OTHER -> NoLine
workflow_PAUSE(s, me, p) ==
  CASE s[me].state = "RUNNING"
         -> [s[me] EXCEPT !.paused_by = p.origin, !.paused_at = NOW, !.changed = NOW, !.state = "PAUSED"]
    [] OTHER -> NoLine
workflow_RESUME(s, me, p) ==
  CASE s[me].state = "PAUSED"
         -> [s[me] EXCEPT !.paused_by = "", !.paused_at = 0, !.changed = NOW, !.state = "RUNNING"]
    [] OTHER -> NoLine
workflow_COMPLETE(s, me, p) ==
  CASE s[me].state = "RUNNING"
         -> [s[me] EXCEPT !.changed = NOW, !.state = "COMPLETED"]
    [] OTHER -> NoLine
workflow_FAIL(s, me, p) ==
  CASE s[me].state = "RUNNING"
         -> [s[me] EXCEPT !.changed = NOW, !.state = "FAILED"]
    [] OTHER -> NoLine
workflow_TIME_OUT(s, me, p) ==
  CASE s[me].state \in {"RUNNING", "PAUSED"}
         -> [s[me] EXCEPT !.changed = NOW, !.state = "TIMED_OUT"]
    [] OTHER -> NoLine
workflow_OVERDUE(s, me, p) ==
  CASE s[me].state = "RUNNING"
         -> [s[me] EXCEPT !.deadline = NEVER, !.changed = NOW, !.state = "RUNNING"]
    [] s[me].state = "PAUSED"
         -> [s[me] EXCEPT !.deadline = NEVER, !.changed = NOW, !.state = "PAUSED"]
    [] OTHER -> NoLine
workflow_TERMINATE(s, me, p) ==
  CASE s[me].state \in {"RUNNING", "PAUSED"}
         -> [s[me] EXCEPT !.changed = NOW, !.state = "TERMINATED"]
    [] OTHER -> NoLine
task_CREATE(s, me, p) ==
  CASE s[me].state = "ABSENT"
         -> [s[me] EXCEPT !.attempt = 1, !.changed = NOW, !.state = "PENDING"]
    [] OTHER -> NoLine
task_SCHEDULE(s, me, p) ==
  CASE s[me].state = "PENDING"
       /\ s[wf[me]].state = "RUNNING"   \* workflow RUNNING
       /\ (\A x \in after[me] : (s[x].state \in {"COMPLETED", "COMPLETED_WITH_ERRORS", "SKIPPED"} \/ (s[x].state \in {"FAILED", "FAILED_WITH_TERMINAL_ERROR", "TIMED_OUT", "CANCELED"} /\ task_permissive[x] = 1)))   \* predecessors passed
       /\ (task_branch[me] = 0 \/ (s[switch[me]].state = "COMPLETED" /\ task_choice[switch[me]] = task_branch[me]))   \* branch chosen
       /\ task_sound[me] = 1   \* sound
         -> [s[me] EXCEPT !.not_before = NOW, !.expires = Min(Sum(NOW, task_poll_timeout[me]), Sum(NOW, task_total_timeout[me])), !.total_ends = Min(Sum(NOW, task_total_timeout[me]), NEVER), !.changed = NOW, !.state = "SCHEDULED"]
    [] OTHER -> NoLine
task_REJECT(s, me, p) ==
  CASE s[me].state \in {"PENDING", "SCHEDULED"}
       /\ s[wf[me]].state = "RUNNING"   \* workflow RUNNING
       /\ ~(NOW < s[me].not_before)   \* due
       /\ (\A x \in after[me] : (s[x].state \in {"COMPLETED", "COMPLETED_WITH_ERRORS", "SKIPPED"} \/ (s[x].state \in {"FAILED", "FAILED_WITH_TERMINAL_ERROR", "TIMED_OUT", "CANCELED"} /\ task_permissive[x] = 1)))   \* predecessors passed
       /\ (task_branch[me] = 0 \/ (s[switch[me]].state = "COMPLETED" /\ task_choice[switch[me]] = task_branch[me]))   \* branch chosen
       /\ ~(task_sound[me] = 1)   \* unsound
       /\ task_optional[me] = 1   \* optional
         -> [s[me] EXCEPT !.changed = NOW, !.state = "COMPLETED_WITH_ERRORS"]
    [] s[me].state \in {"PENDING", "SCHEDULED"}
       /\ s[wf[me]].state = "RUNNING"   \* workflow RUNNING
       /\ ~(NOW < s[me].not_before)   \* due
       /\ (\A x \in after[me] : (s[x].state \in {"COMPLETED", "COMPLETED_WITH_ERRORS", "SKIPPED"} \/ (s[x].state \in {"FAILED", "FAILED_WITH_TERMINAL_ERROR", "TIMED_OUT", "CANCELED"} /\ task_permissive[x] = 1)))   \* predecessors passed
       /\ (task_branch[me] = 0 \/ (s[switch[me]].state = "COMPLETED" /\ task_choice[switch[me]] = task_branch[me]))   \* branch chosen
       /\ ~(task_sound[me] = 1)   \* unsound
       /\ ~(task_optional[me] = 1)   \* mandatory
         -> [s[me] EXCEPT !.changed = NOW, !.state = "FAILED_WITH_TERMINAL_ERROR"]
    [] OTHER -> NoLine
task_PASS(s, me, p) ==
  CASE s[me].state = "SCHEDULED"
       /\ task_mode[me] = "CONTROL"   \* control task
       /\ s[wf[me]].state = "RUNNING"   \* workflow RUNNING
       /\ task_sound[me] = 1   \* sound
         -> [s[me] EXCEPT !.changed = NOW, !.state = "COMPLETED"]
    [] OTHER -> NoLine
task_LAUNCH(s, me, p) ==
  CASE s[me].state = "SCHEDULED"
       /\ task_mode[me] \in {"WAIT", "WORKFLOW"}   \* waits or nests
       /\ s[wf[me]].state = "RUNNING"   \* workflow RUNNING
       /\ ~(NOW < s[me].not_before)   \* due
       /\ task_sound[me] = 1   \* sound
         -> [s[me] EXCEPT !.expires = Min(Min(s[me].attempt_ends, Sum(NOW, task_attempt_timeout[me])), s[me].total_ends), !.wakes = Min(Sum(NOW, task_wait_for[me]), task_wait_until[me]), !.attempt_ends = Min(s[me].attempt_ends, Sum(NOW, task_attempt_timeout[me])), !.changed = NOW, !.state = "IN_PROGRESS"]
    [] OTHER -> NoLine
task_POLL(s, me, p) ==
  CASE s[me].state = "SCHEDULED"
       /\ task_mode[me] = "WORKER"   \* worker task
       /\ s[wf[me]].state = "RUNNING"   \* workflow RUNNING
       /\ ~(NOW < s[me].not_before)   \* due
         -> [s[me] EXCEPT !.handouts = Sum(s[me].handouts, 1), !.expires = Min(Min(Min(Sum(NOW, task_lease[me]), s[me].attempt_ends), Sum(NOW, task_attempt_timeout[me])), s[me].total_ends), !.attempt_ends = Min(s[me].attempt_ends, Sum(NOW, task_attempt_timeout[me])), !.changed = NOW, !.state = "IN_PROGRESS"]
    [] OTHER -> NoLine
task_HEARTBEAT(s, me, p) ==
  CASE s[me].state = "IN_PROGRESS"
       /\ task_mode[me] = "WORKER"   \* worker task
       /\ (p.run = s[wf[me]].run /\ p.handouts = s[me].handouts)   \* lease held
       /\ s[wf[me]].state \in {"RUNNING", "PAUSED"}   \* workflow live
         -> [s[me] EXCEPT !.expires = Min(Min(Sum(NOW, task_lease[me]), s[me].attempt_ends), s[me].total_ends), !.changed = NOW, !.state = "IN_PROGRESS"]
    [] OTHER -> NoLine
task_COMPLETE(s, me, p) ==
  CASE s[me].state = "IN_PROGRESS"
       /\ task_mode[me] = "WORKER"   \* worker task
       /\ (p.run = s[wf[me]].run /\ p.handouts = s[me].handouts)   \* lease held
       /\ s[wf[me]].state \in {"RUNNING", "PAUSED"}   \* workflow live
         -> [s[me] EXCEPT !.changed = NOW, !.state = "COMPLETED"]
    [] OTHER -> NoLine
task_SIGNAL(s, me, p) ==
  CASE s[me].state = "IN_PROGRESS"
       /\ task_mode[me] = "WAIT"   \* waiting task
       /\ s[wf[me]].state \in {"RUNNING", "PAUSED"}   \* workflow live
         -> [s[me] EXCEPT !.changed = NOW, !.state = "COMPLETED"]
    [] s[me].state = "PENDING"
       /\ task_mode[me] = "WAIT"   \* waiting task
       /\ s[wf[me]].state \in {"RUNNING", "PAUSED"}   \* workflow live
       /\ s[me].signalled = 0   \* not signalled
         -> [s[me] EXCEPT !.signalled = 1, !.changed = NOW, !.state = "PENDING"]
    [] s[me].state = "SCHEDULED"
       /\ task_mode[me] = "WAIT"   \* waiting task
       /\ s[wf[me]].state \in {"RUNNING", "PAUSED"}   \* workflow live
       /\ s[me].signalled = 0   \* not signalled
         -> [s[me] EXCEPT !.signalled = 1, !.changed = NOW, !.state = "SCHEDULED"]
    [] OTHER -> NoLine
task_POSTPONE(s, me, p) ==
  CASE s[me].state = "IN_PROGRESS"
       /\ task_mode[me] = "WORKER"   \* worker task
       /\ (p.run = s[wf[me]].run /\ p.handouts = s[me].handouts)   \* lease held
       /\ s[wf[me]].state \in {"RUNNING", "PAUSED"}   \* workflow live
         -> [s[me] EXCEPT !.not_before = Sum(NOW, p.delay), !.expires = Min(Min(Sum(Sum(NOW, p.delay), task_poll_timeout[me]), s[me].attempt_ends), s[me].total_ends), !.changed = NOW, !.state = "SCHEDULED"]
    [] OTHER -> NoLine
task_FAIL(s, me, p) ==
  CASE s[me].state = "IN_PROGRESS"
       /\ task_mode[me] = "WORKER"   \* worker task
       /\ (p.run = s[wf[me]].run /\ p.handouts = s[me].handouts)   \* lease held
       /\ s[wf[me]].state \in {"RUNNING", "PAUSED"}   \* workflow live
       /\ (p.retryable = 1 /\ s[me].attempt < task_tries[me])   \* retry
         -> [s[me] EXCEPT !.not_before = Sum(Sum(NOW, task_retry_delay[me]), Part(task_retry_jitter[me], 0)), !.expires = Min(Sum(Sum(Sum(NOW, task_retry_delay[me]), Part(task_retry_jitter[me], 0)), task_poll_timeout[me]), s[me].total_ends), !.attempt_ends = NEVER, !.attempt = Sum(s[me].attempt, 1), !.changed = NOW, !.state = "SCHEDULED"]
    [] s[me].state = "IN_PROGRESS"
       /\ task_mode[me] = "WORKER"   \* worker task
       /\ (p.run = s[wf[me]].run /\ p.handouts = s[me].handouts)   \* lease held
       /\ s[wf[me]].state \in {"RUNNING", "PAUSED"}   \* workflow live
       /\ ~((p.retryable = 1 /\ s[me].attempt < task_tries[me]))   \* no retry
       /\ task_optional[me] = 1   \* optional
         -> [s[me] EXCEPT !.changed = NOW, !.state = "COMPLETED_WITH_ERRORS"]
    [] s[me].state = "IN_PROGRESS"
       /\ task_mode[me] = "WORKER"   \* worker task
       /\ (p.run = s[wf[me]].run /\ p.handouts = s[me].handouts)   \* lease held
       /\ s[wf[me]].state \in {"RUNNING", "PAUSED"}   \* workflow live
       /\ p.retryable = 1   \* retryable
       /\ ~(s[me].attempt < task_tries[me])   \* no attempts left
       /\ ~(task_optional[me] = 1)   \* mandatory
         -> [s[me] EXCEPT !.changed = NOW, !.state = "FAILED"]
    [] s[me].state = "IN_PROGRESS"
       /\ task_mode[me] = "WORKER"   \* worker task
       /\ (p.run = s[wf[me]].run /\ p.handouts = s[me].handouts)   \* lease held
       /\ s[wf[me]].state \in {"RUNNING", "PAUSED"}   \* workflow live
       /\ ~(p.retryable = 1)   \* not retryable
       /\ ~(task_optional[me] = 1)   \* mandatory
         -> [s[me] EXCEPT !.changed = NOW, !.state = "FAILED_WITH_TERMINAL_ERROR"]
    [] OTHER -> NoLine
task_EXPIRE(s, me, p) ==
  CASE s[me].state = "SCHEDULED"
       /\ ~(NOW < s[me].expires)   \* expired
       /\ (s[wf[me]].state \in {"RUNNING", "PAUSED"} /\ (~(s[me].state = "SCHEDULED") \/ s[wf[me]].state = "RUNNING"))   \* clock runs
       /\ ~(task_on_expiry[me] = "ALERT_ONLY")   \* not ALERT_ONLY
       /\ (task_on_expiry[me] = "RETRY" /\ s[me].attempt < task_tries[me] /\ NOW < s[me].total_ends)   \* expiry retries
         -> [s[me] EXCEPT !.not_before = Sum(Sum(NOW, task_retry_delay[me]), Part(task_retry_jitter[me], 0)), !.expires = Min(Sum(Sum(Sum(NOW, task_retry_delay[me]), Part(task_retry_jitter[me], 0)), task_poll_timeout[me]), s[me].total_ends), !.attempt_ends = NEVER, !.attempt = Sum(s[me].attempt, 1), !.signalled = 0, !.changed = NOW, !.state = "SCHEDULED"]
    [] s[me].state = "SCHEDULED"
       /\ ~(NOW < s[me].expires)   \* expired
       /\ (s[wf[me]].state \in {"RUNNING", "PAUSED"} /\ (~(s[me].state = "SCHEDULED") \/ s[wf[me]].state = "RUNNING"))   \* clock runs
       /\ ~(task_on_expiry[me] = "ALERT_ONLY")   \* not ALERT_ONLY
       /\ ~((task_on_expiry[me] = "RETRY" /\ s[me].attempt < task_tries[me] /\ NOW < s[me].total_ends))   \* expiry final
       /\ task_optional[me] = 1   \* optional
         -> [s[me] EXCEPT !.changed = NOW, !.state = "COMPLETED_WITH_ERRORS"]
    [] s[me].state = "SCHEDULED"
       /\ ~(NOW < s[me].expires)   \* expired
       /\ (s[wf[me]].state \in {"RUNNING", "PAUSED"} /\ (~(s[me].state = "SCHEDULED") \/ s[wf[me]].state = "RUNNING"))   \* clock runs
       /\ ~(task_on_expiry[me] = "ALERT_ONLY")   \* not ALERT_ONLY
       /\ ~((task_on_expiry[me] = "RETRY" /\ s[me].attempt < task_tries[me] /\ NOW < s[me].total_ends))   \* expiry final
       /\ ~(task_optional[me] = 1)   \* mandatory
         -> [s[me] EXCEPT !.changed = NOW, !.state = "TIMED_OUT"]
    [] s[me].state = "IN_PROGRESS"
       /\ ~(NOW < s[me].expires)   \* expired
       /\ (s[wf[me]].state \in {"RUNNING", "PAUSED"} /\ (~(s[me].state = "SCHEDULED") \/ s[wf[me]].state = "RUNNING"))   \* clock runs
       /\ ~(task_on_expiry[me] = "ALERT_ONLY")   \* not ALERT_ONLY
       /\ ~(task_mode[me] = "WORKFLOW")   \* no sub-workflow
       /\ (task_on_expiry[me] = "RETRY" /\ s[me].attempt < task_tries[me] /\ NOW < s[me].total_ends)   \* expiry retries
         -> [s[me] EXCEPT !.not_before = Sum(Sum(NOW, task_retry_delay[me]), Part(task_retry_jitter[me], 0)), !.expires = Min(Sum(Sum(Sum(NOW, task_retry_delay[me]), Part(task_retry_jitter[me], 0)), task_poll_timeout[me]), s[me].total_ends), !.attempt_ends = NEVER, !.attempt = Sum(s[me].attempt, 1), !.wakes = NEVER, !.changed = NOW, !.state = "SCHEDULED"]
    [] s[me].state = "IN_PROGRESS"
       /\ ~(NOW < s[me].expires)   \* expired
       /\ (s[wf[me]].state \in {"RUNNING", "PAUSED"} /\ (~(s[me].state = "SCHEDULED") \/ s[wf[me]].state = "RUNNING"))   \* clock runs
       /\ ~(task_on_expiry[me] = "ALERT_ONLY")   \* not ALERT_ONLY
       /\ ~(task_mode[me] = "WORKFLOW")   \* no sub-workflow
       /\ ~((task_on_expiry[me] = "RETRY" /\ s[me].attempt < task_tries[me] /\ NOW < s[me].total_ends))   \* expiry final
       /\ task_optional[me] = 1   \* optional
         -> [s[me] EXCEPT !.changed = NOW, !.state = "COMPLETED_WITH_ERRORS"]
    [] s[me].state = "IN_PROGRESS"
       /\ ~(NOW < s[me].expires)   \* expired
       /\ (s[wf[me]].state \in {"RUNNING", "PAUSED"} /\ (~(s[me].state = "SCHEDULED") \/ s[wf[me]].state = "RUNNING"))   \* clock runs
       /\ ~(task_on_expiry[me] = "ALERT_ONLY")   \* not ALERT_ONLY
       /\ ~(task_mode[me] = "WORKFLOW")   \* no sub-workflow
       /\ ~((task_on_expiry[me] = "RETRY" /\ s[me].attempt < task_tries[me] /\ NOW < s[me].total_ends))   \* expiry final
       /\ ~(task_optional[me] = 1)   \* mandatory
         -> [s[me] EXCEPT !.changed = NOW, !.state = "TIMED_OUT"]
    [] OTHER -> NoLine
task_ALERT(s, me, p) ==
  CASE s[me].state = "SCHEDULED"
       /\ ~(NOW < s[me].expires)   \* expired
       /\ (s[wf[me]].state \in {"RUNNING", "PAUSED"} /\ (~(s[me].state = "SCHEDULED") \/ s[wf[me]].state = "RUNNING"))   \* clock runs
       /\ task_on_expiry[me] = "ALERT_ONLY"   \* ALERT_ONLY
       /\ ~(NOW < s[me].total_ends)   \* no time left
         -> [s[me] EXCEPT !.expires = NEVER, !.attempt_ends = NEVER, !.total_ends = NEVER, !.changed = NOW, !.state = "SCHEDULED"]
    [] s[me].state = "SCHEDULED"
       /\ ~(NOW < s[me].expires)   \* expired
       /\ (s[wf[me]].state \in {"RUNNING", "PAUSED"} /\ (~(s[me].state = "SCHEDULED") \/ s[wf[me]].state = "RUNNING"))   \* clock runs
       /\ task_on_expiry[me] = "ALERT_ONLY"   \* ALERT_ONLY
       /\ NOW < s[me].total_ends   \* time left
       /\ ~(NOW < s[me].attempt_ends)   \* attempt timed out
         -> [s[me] EXCEPT !.expires = s[me].total_ends, !.attempt_ends = NEVER, !.changed = NOW, !.state = "SCHEDULED"]
    [] s[me].state = "SCHEDULED"
       /\ ~(NOW < s[me].expires)   \* expired
       /\ (s[wf[me]].state \in {"RUNNING", "PAUSED"} /\ (~(s[me].state = "SCHEDULED") \/ s[wf[me]].state = "RUNNING"))   \* clock runs
       /\ task_on_expiry[me] = "ALERT_ONLY"   \* ALERT_ONLY
       /\ NOW < s[me].total_ends   \* time left
       /\ NOW < s[me].attempt_ends   \* attempt in time
         -> [s[me] EXCEPT !.expires = Min(s[me].attempt_ends, s[me].total_ends), !.changed = NOW, !.state = "SCHEDULED"]
    [] s[me].state = "IN_PROGRESS"
       /\ ~(NOW < s[me].expires)   \* expired
       /\ (s[wf[me]].state \in {"RUNNING", "PAUSED"} /\ (~(s[me].state = "SCHEDULED") \/ s[wf[me]].state = "RUNNING"))   \* clock runs
       /\ task_on_expiry[me] = "ALERT_ONLY"   \* ALERT_ONLY
       /\ ~(NOW < s[me].total_ends)   \* no time left
         -> [s[me] EXCEPT !.expires = NEVER, !.attempt_ends = NEVER, !.total_ends = NEVER, !.changed = NOW, !.state = "IN_PROGRESS"]
    [] s[me].state = "IN_PROGRESS"
       /\ ~(NOW < s[me].expires)   \* expired
       /\ (s[wf[me]].state \in {"RUNNING", "PAUSED"} /\ (~(s[me].state = "SCHEDULED") \/ s[wf[me]].state = "RUNNING"))   \* clock runs
       /\ task_on_expiry[me] = "ALERT_ONLY"   \* ALERT_ONLY
       /\ NOW < s[me].total_ends   \* time left
       /\ ~(NOW < s[me].attempt_ends)   \* attempt timed out
         -> [s[me] EXCEPT !.expires = s[me].total_ends, !.attempt_ends = NEVER, !.changed = NOW, !.state = "IN_PROGRESS"]
    [] s[me].state = "IN_PROGRESS"
       /\ ~(NOW < s[me].expires)   \* expired
       /\ (s[wf[me]].state \in {"RUNNING", "PAUSED"} /\ (~(s[me].state = "SCHEDULED") \/ s[wf[me]].state = "RUNNING"))   \* clock runs
       /\ task_on_expiry[me] = "ALERT_ONLY"   \* ALERT_ONLY
       /\ NOW < s[me].total_ends   \* time left
       /\ NOW < s[me].attempt_ends   \* attempt in time
         -> [s[me] EXCEPT !.expires = Min(s[me].attempt_ends, s[me].total_ends), !.changed = NOW, !.state = "IN_PROGRESS"]
    [] OTHER -> NoLine
task_ELAPSE(s, me, p) ==
  CASE s[me].state = "IN_PROGRESS"
       /\ task_mode[me] = "WAIT"   \* waiting task
       /\ s[wf[me]].state \in {"RUNNING", "PAUSED"}   \* workflow live
       /\ ~(NOW < s[me].wakes)   \* wait over
         -> [s[me] EXCEPT !.changed = NOW, !.state = "COMPLETED"]
    [] OTHER -> NoLine
task_CHILD_COMPLETED(s, me, p) ==
  CASE s[me].state = "IN_PROGRESS"
       /\ s[wf[me]].state \in {"RUNNING", "PAUSED"}   \* workflow live
         -> [s[me] EXCEPT !.changed = NOW, !.state = "COMPLETED"]
    [] OTHER -> NoLine
task_CHILD_FAILED(s, me, p) ==
  CASE s[me].state = "IN_PROGRESS"
       /\ s[wf[me]].state \in {"RUNNING", "PAUSED"}   \* workflow live
       /\ s[me].attempt < task_tries[me]   \* attempts left
         -> [s[me] EXCEPT !.not_before = Sum(Sum(NOW, task_retry_delay[me]), Part(task_retry_jitter[me], 0)), !.expires = Min(Sum(Sum(Sum(NOW, task_retry_delay[me]), Part(task_retry_jitter[me], 0)), task_poll_timeout[me]), s[me].total_ends), !.attempt_ends = NEVER, !.attempt = Sum(s[me].attempt, 1), !.wakes = NEVER, !.changed = NOW, !.state = "SCHEDULED"]
    [] s[me].state = "IN_PROGRESS"
       /\ s[wf[me]].state \in {"RUNNING", "PAUSED"}   \* workflow live
       /\ ~(s[me].attempt < task_tries[me])   \* no attempts left
       /\ task_optional[me] = 1   \* optional
         -> [s[me] EXCEPT !.changed = NOW, !.state = "COMPLETED_WITH_ERRORS"]
    [] s[me].state = "IN_PROGRESS"
       /\ s[wf[me]].state \in {"RUNNING", "PAUSED"}   \* workflow live
       /\ ~(s[me].attempt < task_tries[me])   \* no attempts left
       /\ ~(task_optional[me] = 1)   \* mandatory
         -> [s[me] EXCEPT !.changed = NOW, !.state = "FAILED"]
    [] OTHER -> NoLine
task_CHILD_TIMED_OUT(s, me, p) ==
  CASE s[me].state = "IN_PROGRESS"
       /\ s[wf[me]].state \in {"RUNNING", "PAUSED"}   \* workflow live
       /\ (task_on_expiry[me] = "RETRY" /\ s[me].attempt < task_tries[me] /\ NOW < s[me].total_ends)   \* expiry retries
         -> [s[me] EXCEPT !.not_before = Sum(Sum(NOW, task_retry_delay[me]), Part(task_retry_jitter[me], 0)), !.expires = Min(Sum(Sum(Sum(NOW, task_retry_delay[me]), Part(task_retry_jitter[me], 0)), task_poll_timeout[me]), s[me].total_ends), !.attempt_ends = NEVER, !.attempt = Sum(s[me].attempt, 1), !.wakes = NEVER, !.changed = NOW, !.state = "SCHEDULED"]
    [] s[me].state = "IN_PROGRESS"
       /\ s[wf[me]].state \in {"RUNNING", "PAUSED"}   \* workflow live
       /\ ~((task_on_expiry[me] = "RETRY" /\ s[me].attempt < task_tries[me] /\ NOW < s[me].total_ends))   \* expiry final
       /\ task_optional[me] = 1   \* optional
         -> [s[me] EXCEPT !.changed = NOW, !.state = "COMPLETED_WITH_ERRORS"]
    [] s[me].state = "IN_PROGRESS"
       /\ s[wf[me]].state \in {"RUNNING", "PAUSED"}   \* workflow live
       /\ ~((task_on_expiry[me] = "RETRY" /\ s[me].attempt < task_tries[me] /\ NOW < s[me].total_ends))   \* expiry final
       /\ ~(task_optional[me] = 1)   \* mandatory
         -> [s[me] EXCEPT !.changed = NOW, !.state = "TIMED_OUT"]
    [] OTHER -> NoLine
task_CHILD_TERMINATED(s, me, p) ==
  CASE s[me].state = "IN_PROGRESS"
       /\ s[wf[me]].state \in {"RUNNING", "PAUSED"}   \* workflow live
       /\ task_optional[me] = 1   \* optional
         -> [s[me] EXCEPT !.changed = NOW, !.state = "COMPLETED_WITH_ERRORS"]
    [] s[me].state = "IN_PROGRESS"
       /\ s[wf[me]].state \in {"RUNNING", "PAUSED"}   \* workflow live
       /\ ~(task_optional[me] = 1)   \* mandatory
         -> [s[me] EXCEPT !.changed = NOW, !.state = "CANCELED"]
    [] OTHER -> NoLine
task_CANCEL(s, me, p) ==
  CASE s[me].state \in {"PENDING", "SCHEDULED", "IN_PROGRESS"}
         -> [s[me] EXCEPT !.changed = NOW, !.state = "CANCELED"]
    [] OTHER -> NoLine
task_SKIP(s, me, p) ==
  CASE s[me].state \in {"PENDING", "SCHEDULED"}
       /\ s[wf[me]].state \in {"RUNNING", "PAUSED"}   \* workflow live
         -> [s[me] EXCEPT !.changed = NOW, !.state = "SKIPPED"]
    [] OTHER -> NoLine
task_SHIFT(s, me, p) ==
  CASE s[me].state = "SCHEDULED"
         -> [s[me] EXCEPT !.not_before = Sum(s[me].not_before, NOW - Max(s[wf[me]].paused_at, s[me].changed)), !.expires = Sum(s[me].expires, NOW - Max(s[wf[me]].paused_at, s[me].changed)), !.attempt_ends = Sum(s[me].attempt_ends, NOW - Max(s[wf[me]].paused_at, s[me].changed)), !.total_ends = Sum(s[me].total_ends, NOW - Max(s[wf[me]].paused_at, s[me].changed)), !.changed = NOW, !.state = "SCHEDULED"]
    [] OTHER -> NoLine
delivery_CREATE(s, me, p) ==
  CASE s[me].state = "ABSENT"
       /\ ((delivery_hears[me] = "ENDS" \/ (delivery_hears[me] = "BAD_ENDS" /\ s[of[me]].state \in {"FAILED", "TIMED_OUT", "TERMINATED"}) \/ (delivery_hears[me] = "FAILURES" /\ s[of[me]].state \in {"FAILED", "TIMED_OUT"})) /\ (delivery_own[me] = 0 \/ (workflow_root[of[me]] = 1 \/ (s[wf[up[of[me]]]].state \in {"RUNNING", "PAUSED"} /\ ~(((s[of[me]].state = "FAILED" /\ s[up[of[me]]].attempt < task_tries[up[of[me]]]) \/ (s[of[me]].state = "TIMED_OUT" /\ (task_on_expiry[up[of[me]]] = "RETRY" /\ s[up[of[me]]].attempt < task_tries[up[of[me]]] /\ NOW < s[up[of[me]]].total_ends))))))))   \* asked for
         -> [s[me] EXCEPT !.due = Sum(NOW, delivery_wait[me]), !.changed = NOW, !.state = "PENDING"]
    [] OTHER -> NoLine

\* ---- what entering a state brings with it
Entering(s, t, p) ==
  LET cascade0 == {x \in workflow : t[x].state \in {"COMPLETED", "FAILED", "TIMED_OUT", "TERMINATED"} /\ s[x].state \notin {"COMPLETED", "FAILED", "TIMED_OUT", "TERMINATED"}} IN
  LET cascade0_0 == Moved(t, [x \in UNION {subs[x] : x \in cascade0} |-> workflow_TERMINATE(t, x, p)]) IN
  LET cascade0_1 == Moved(cascade0_0, [x \in UNION {all_tasks[x] : x \in cascade0} |-> task_CANCEL(cascade0_0, x, p)]) IN
  LET emit0 == {x \in workflow : cascade0_1[x].state \in {"COMPLETED", "FAILED", "TIMED_OUT", "TERMINATED"} /\ s[x].state \notin {"COMPLETED", "FAILED", "TIMED_OUT", "TERMINATED"}} IN
  LET emit0_0 == Moved(cascade0_1, [x \in UNION {Outbox(cascade0_1, x) : x \in emit0} |-> delivery_CREATE(cascade0_1, x, p)]) IN
  emit0_0

\* ---- the invariants
INV_01_1(s) == \A me \in workflow : (~(s[me].state \in {"COMPLETED", "FAILED", "TIMED_OUT", "TERMINATED"}) \/ ((\A x \in tasks[me] : ~(s[x].state \in {"PENDING", "SCHEDULED", "IN_PROGRESS"})) /\ (\A x \in subs[me] : ~(s[x].state \in {"RUNNING", "PAUSED"}))))   \* A terminal workflow has no open task and no live descendant.
INV_02_2 == [][\A me \in workflow : v[me].state = "ABSENT" \/ (v[me].run < v'[me].run \/ v'[me].state = "ABSENT" \/ (v[me].state = "COMPLETED" /\ v'[me].state = "COMPLETED") \/ (v[me].state = "FAILED" /\ v'[me].state = "FAILED") \/ (v[me].state = "TIMED_OUT" /\ v'[me].state = "TIMED_OUT") \/ (v[me].state = "TERMINATED" /\ v'[me].state = "TERMINATED") \/ ~(v[me].state \in {"COMPLETED", "FAILED", "TIMED_OUT", "TERMINATED"}))]_v   \* Terminal states absorb within the tree's run; only RETRY, RESTART, RERUN on a root leave them, in one commit, run+1.
INV_02_3 == [][\A me \in task : v[me].state = "ABSENT" \/ (v[wf[me]].run < v'[wf[me]].run \/ v'[me].state = "ABSENT" \/ (v[me].state = "COMPLETED" /\ v'[me].state = "COMPLETED") \/ (v[me].state = "COMPLETED_WITH_ERRORS" /\ v'[me].state = "COMPLETED_WITH_ERRORS") \/ (v[me].state = "SKIPPED" /\ v'[me].state = "SKIPPED") \/ (v[me].state = "FAILED" /\ v'[me].state = "FAILED") \/ (v[me].state = "FAILED_WITH_TERMINAL_ERROR" /\ v'[me].state = "FAILED_WITH_TERMINAL_ERROR") \/ (v[me].state = "TIMED_OUT" /\ v'[me].state = "TIMED_OUT") \/ (v[me].state = "CANCELED" /\ v'[me].state = "CANCELED") \/ ~(v[me].state \in {"COMPLETED", "COMPLETED_WITH_ERRORS", "SKIPPED", "FAILED", "FAILED_WITH_TERMINAL_ERROR", "TIMED_OUT", "CANCELED"}))]_v   \* Closed states absorb within the tree's run.
INV_03_4(s) == \A me \in delivery : (~((delivery_own[me] = 0 /\ ~(delivery_hears[me] = "CHANGES") /\ delivery_run[me] = s[of[me]].run)) \/ ((~(s[me].state = "ABSENT") /\ (s[of[me]].state \in {"COMPLETED", "FAILED", "TIMED_OUT", "TERMINATED"} /\ (delivery_hears[me] = "ENDS" \/ (delivery_hears[me] = "BAD_ENDS" /\ s[of[me]].state \in {"FAILED", "TIMED_OUT", "TERMINATED"}) \/ (delivery_hears[me] = "FAILURES" /\ s[of[me]].state \in {"FAILED", "TIMED_OUT"})))) \/ (s[me].state = "ABSENT" /\ ~((s[of[me]].state \in {"COMPLETED", "FAILED", "TIMED_OUT", "TERMINATED"} /\ (delivery_hears[me] = "ENDS" \/ (delivery_hears[me] = "BAD_ENDS" /\ s[of[me]].state \in {"FAILED", "TIMED_OUT", "TERMINATED"}) \/ (delivery_hears[me] = "FAILURES" /\ s[of[me]].state \in {"FAILED", "TIMED_OUT"})))))))   \* Each ended run has exactly one delivery per end topic that its policy asks for, written in the ending commit; no live run has one.
INV_03_5(s) == \A me \in delivery : (~((delivery_own[me] = 1 /\ delivery_run[me] = s[of[me]].run /\ ~((~(workflow_root[of[me]] = 1) /\ s[of[me]].state = "TERMINATED" /\ (delivery_hears[me] = "ENDS" \/ (delivery_hears[me] = "BAD_ENDS" /\ s[of[me]].state \in {"FAILED", "TIMED_OUT", "TERMINATED"}) \/ (delivery_hears[me] = "FAILURES" /\ s[of[me]].state \in {"FAILED", "TIMED_OUT"})))))) \/ ((~(s[me].state = "ABSENT") /\ (s[of[me]].state \in {"COMPLETED", "FAILED", "TIMED_OUT", "TERMINATED"} /\ (delivery_hears[me] = "ENDS" \/ (delivery_hears[me] = "BAD_ENDS" /\ s[of[me]].state \in {"FAILED", "TIMED_OUT", "TERMINATED"}) \/ (delivery_hears[me] = "FAILURES" /\ s[of[me]].state \in {"FAILED", "TIMED_OUT"}))) /\ (workflow_root[of[me]] = 1 \/ workflow_slot[of[me]] = s[up[of[me]]].attempt)) \/ (s[me].state = "ABSENT" /\ ~(((s[of[me]].state \in {"COMPLETED", "FAILED", "TIMED_OUT", "TERMINATED"} /\ (delivery_hears[me] = "ENDS" \/ (delivery_hears[me] = "BAD_ENDS" /\ s[of[me]].state \in {"FAILED", "TIMED_OUT", "TERMINATED"}) \/ (delivery_hears[me] = "FAILURES" /\ s[of[me]].state \in {"FAILED", "TIMED_OUT"}))) /\ (workflow_root[of[me]] = 1 \/ workflow_slot[of[me]] = s[up[of[me]]].attempt))))))   \* So has each run that ended on its own account for a topic that hears only of these; whose the account was of a sub-workflow that is TERMINATED, only its commit tells.
INV_04_6(s) == \A me \in delivery : (~(s[me].state = "DELIVERED") \/ ~(s[me].proof = ""))   \* DELIVERED carries the sink's proof; an archive document equals the frozen rows of its run.
INV_05_7 == [][\A me \in workflow : v[me].state = "ABSENT" \/ (~((workflow_root[me] = 1 /\ ~(v[me].state = "ABSENT") /\ v'[me].state = "ABSENT")) \/ (v[me].state \in {"COMPLETED", "FAILED", "TIMED_OUT", "TERMINATED"} /\ (\A x \in subs[me] : ~(v[x].state \in {"RUNNING", "PAUSED"})) /\ (\A x \in all_outboxes[me] : v[x].state \in {"DELIVERED", "ABSENT"}) /\ (\A x \in Archives(v, me) : ((v[x].state = "DELIVERED" /\ delivery_copied[x] = 1) \/ delivery_wanted[x] = 0)) /\ v'[me].purged = 1))]_v   \* Rows are removed only by PURGE of a whole terminal tree with no open or DEAD delivery, every run's archive DELIVERED by a sink that gives a copy, or not asked for; nothing dangling remains.
INV_06_8 == [][\A me \in task : v[me].state = "ABSENT" \/ (v[wf[me]].run < v'[wf[me]].run \/ v'[me].state = "ABSENT" \/ (~(v'[me].handouts < v[me].handouts) /\ (~((task_mode[me] = "WORKER" /\ ~(v[me].state = "IN_PROGRESS") /\ v'[me].state = "IN_PROGRESS")) \/ v[me].handouts < v'[me].handouts)))]_v   \* A worker's write counts only if its token is the stored one, and no lease comes back under an old token.
INV_07_9 == [][\A me \in task : v[me].state = "ABSENT" \/ (~((task_mode[me] = "WORKER" /\ ~(v[me].state = "IN_PROGRESS") /\ v'[me].state = "IN_PROGRESS")) \/ v[wf[me]].state = "RUNNING")]_v   \* No task of a workflow that is not RUNNING is handed out.
INV_07_10(s) == \A me \in workflow : (~((~(workflow_root[me] = 1) /\ s[me].state = "RUNNING")) \/ s[wf[up[me]]].state = "RUNNING")   \* Below a PAUSED workflow nothing is RUNNING.
INV_09_12(s) == \A me \in workflow : (~((~(workflow_root[me] = 1) /\ (~(workflow_root[me] = 1) /\ workflow_slot[me] = s[up[me]].attempt) /\ s[me].state = "COMPLETED")) \/ s[up[me]].state = "COMPLETED")   \* A parent's task whose present child is COMPLETED is COMPLETED.
INV_09_13(s) == \A me \in workflow : (~((~(workflow_root[me] = 1) /\ (~(workflow_root[me] = 1) /\ workflow_slot[me] = s[up[me]].attempt) /\ s[me].state = "FAILED")) \/ s[up[me]].state \in {"FAILED", "COMPLETED_WITH_ERRORS"})   \* A parent's task whose present child is FAILED is FAILED or COMPLETED_WITH_ERRORS.
INV_09_14(s) == \A me \in workflow : (~((~(workflow_root[me] = 1) /\ (~(workflow_root[me] = 1) /\ workflow_slot[me] = s[up[me]].attempt) /\ s[me].state = "TIMED_OUT")) \/ s[up[me]].state \in {"TIMED_OUT", "COMPLETED_WITH_ERRORS"})   \* A parent's task whose present child is TIMED_OUT is TIMED_OUT or COMPLETED_WITH_ERRORS.
INV_09_15(s) == \A me \in workflow : (~((~(workflow_root[me] = 1) /\ (~(workflow_root[me] = 1) /\ workflow_slot[me] = s[up[me]].attempt) /\ s[me].state = "TERMINATED")) \/ s[up[me]].state \in {"CANCELED", "COMPLETED_WITH_ERRORS"})   \* A parent's task whose present child is TERMINATED is CANCELED or COMPLETED_WITH_ERRORS.
INV_09_16(s) == \A me \in task : (~((task_mode[me] = "WORKFLOW" /\ s[me].state = "IN_PROGRESS")) \/ s[child[me][s[me].attempt]].state \in {"RUNNING", "PAUSED"})   \* A sub-workflow task IN_PROGRESS has a live child.
INV_10_17(s) == \A me \in workflow : (~(s[me].state = "RUNNING") \/ (\E x \in tasks[me] : s[x].state \in {"SCHEDULED", "IN_PROGRESS"}))   \* A RUNNING workflow has an open task that a worker, a child, a signal or a timer moves.
INV_13_20(s) == \A me \in workflow : (~((~(workflow_root[me] = 1) /\ s[me].state \in {"RUNNING", "PAUSED"})) \/ (s[up[me]].state = "IN_PROGRESS" /\ (~(workflow_root[me] = 1) /\ workflow_slot[me] = s[up[me]].attempt) /\ s[wf[up[me]]].state \in {"RUNNING", "PAUSED"} /\ s[me].run = s[wf[up[me]]].run))   \* At most one live attempt per task: a live child belongs to the present attempt, and run, of a task IN_PROGRESS.
INV_13_21(s) == \A me \in task : (~(s[me].state \in {"PENDING", "SCHEDULED", "IN_PROGRESS"}) \/ s[wf[me]].state \in {"RUNNING", "PAUSED"})   \* An open task belongs to a live workflow.
INV_14_22(s) == \A me \in delivery : (~(delivery_sends[me] < s[me].attempt) /\ (~(s[me].state = "LEASED") \/ 0 < s[me].attempt) /\ (~(s[me].state = "DEAD") \/ ~(s[me].error = "")))   \* Every delivery ends DELIVERED or DEAD; none is lost; a DEAD one keeps its last error and can be redriven.
AUX_01_23(s) == \A me \in task : ((~(s[me].state = "ABSENT") \/ s[wf[me]].state = "ABSENT") /\ (~(s[wf[me]].state = "ABSENT") \/ s[me].state = "ABSENT"))   \* Tasks exist exactly with their workflow.
AUX_02_24(s) == \A me \in workflow : (~(s[me].state = "ABSENT") \/ (\A x \in subs[me] : s[x].state = "ABSENT"))   \* Below a workflow that does not exist there is none.
AUX_03_25(s) == \A me \in workflow : (~((~(workflow_root[me] = 1) /\ ~(s[me].state = "ABSENT"))) \/ (workflow_slot[me] < s[up[me]].attempt \/ (workflow_slot[me] = s[up[me]].attempt /\ ~(s[up[me]].state \in {"ABSENT", "PENDING", "SCHEDULED"}))))   \* A sub-workflow exists only for an attempt that was launched.
AUX_04_26(s) == \A me \in workflow : ((~((~(workflow_root[me] = 1) /\ (~(workflow_root[me] = 1) /\ workflow_slot[me] = s[up[me]].attempt) /\ s[me].state = "COMPLETED")) \/ s[up[me]].state \in {"IN_PROGRESS", "COMPLETED"}) /\ (~((~(workflow_root[me] = 1) /\ (~(workflow_root[me] = 1) /\ workflow_slot[me] = s[up[me]].attempt) /\ s[me].state = "FAILED")) \/ s[up[me]].state \in {"IN_PROGRESS", "FAILED", "COMPLETED_WITH_ERRORS"}) /\ (~((~(workflow_root[me] = 1) /\ (~(workflow_root[me] = 1) /\ workflow_slot[me] = s[up[me]].attempt) /\ s[me].state = "TIMED_OUT")) \/ s[up[me]].state \in {"IN_PROGRESS", "TIMED_OUT", "COMPLETED_WITH_ERRORS"}) /\ (~((~(workflow_root[me] = 1) /\ (~(workflow_root[me] = 1) /\ workflow_slot[me] = s[up[me]].attempt) /\ s[me].state = "TERMINATED")) \/ s[up[me]].state \in {"IN_PROGRESS", "CANCELED", "COMPLETED_WITH_ERRORS"}))   \* A sub-workflow that ended was handed over, or its parent's task still waits for it.
AUX_05_27(s) == \A me \in task : (~((task_mode[me] = "WORKFLOW" /\ s[me].state = "IN_PROGRESS")) \/ ~(s[child[me][s[me].attempt]].state = "ABSENT"))   \* A sub-workflow task IN_PROGRESS has its sub-workflow.
AUX_06_28(s) == \A me \in task : (~((task_optional[me] = 1 /\ s[wf[me]].state \in {"RUNNING", "PAUSED"})) \/ ~(s[me].state \in {"FAILED", "FAILED_WITH_TERMINAL_ERROR", "TIMED_OUT", "CANCELED"}))   \* An optional task of a live workflow is never closed badly.
AUX_07_29(s) == \A me \in workflow : (~((s[me].state = "PAUSED" /\ ~(s[me].paused_by = workflow_id[me]))) \/ (~(workflow_root[me] = 1) /\ s[wf[up[me]]].state = "PAUSED" /\ s[me].paused_by = s[wf[up[me]]].paused_by))   \* Who was not paused itself was paused with its parent.
AUX_08_30(s) == \A me \in workflow : (~(s[top[me]].run < s[me].run) /\ (~(s[me].state \in {"RUNNING", "PAUSED"}) \/ s[me].run = s[top[me]].run))   \* No workflow is of a run to come of its tree; who lives is of its present run.
AUX_09_31(s) == \A me \in delivery : (s[me].state = "ABSENT" \/ ~(s[of[me]].run < delivery_run[me]) \/ (s[of[me]].state = "ABSENT" /\ delivery_run[me] < s[top[of[me]]].run))   \* There is no delivery of a run to come; of who was set aside none of the tree's present run.
AUX_10_32(s) == \A me \in task : (s[me].state = "ABSENT" \/ (0 < s[me].attempt /\ ~(task_tries[me] < s[me].attempt)))   \* A task has an attempt, and no more than it may.
AUX_11_33(s) == \A me \in workflow : ((~(s[me].state = "ABSENT") \/ s[me].run = 0) /\ (s[me].state = "ABSENT" \/ 0 < s[me].run))   \* A workflow that is not there has no run, one that is has one.
AUX_12_34(s) == \A me \in task : (~(s[me].state \in {"ABSENT", "PENDING"}) \/ s[me].not_before = 0)   \* A task that was not scheduled yet waits for no time.
AUX_13_35(s) == \A me \in delivery : (~(s[me].attempt < 0) /\ (~(s[me].state = "ABSENT") \/ s[me].attempt = 0) /\ (~(s[me].state = "PENDING") \/ s[me].attempt < delivery_sends[me]))   \* What waits to be claimed has an attempt left.
AUX_14_36(s) == \A me \in delivery : (~((delivery_own[me] = 1 /\ delivery_run[me] = s[of[me]].run)) \/ ((~(~(s[of[me]].state \in {"COMPLETED", "FAILED", "TIMED_OUT", "TERMINATED"})) \/ s[me].state = "ABSENT") /\ (~((workflow_root[of[me]] = 1 /\ s[of[me]].state \in {"COMPLETED", "FAILED", "TIMED_OUT", "TERMINATED"})) \/ ((~(~(s[me].state = "ABSENT")) \/ (delivery_hears[me] = "ENDS" \/ (delivery_hears[me] = "BAD_ENDS" /\ s[of[me]].state \in {"FAILED", "TIMED_OUT", "TERMINATED"}) \/ (delivery_hears[me] = "FAILURES" /\ s[of[me]].state \in {"FAILED", "TIMED_OUT"}))) /\ (~((delivery_hears[me] = "ENDS" \/ (delivery_hears[me] = "BAD_ENDS" /\ s[of[me]].state \in {"FAILED", "TIMED_OUT", "TERMINATED"}) \/ (delivery_hears[me] = "FAILURES" /\ s[of[me]].state \in {"FAILED", "TIMED_OUT"}))) \/ ~(s[me].state = "ABSENT")))) /\ (~(s[of[me]].state = "TERMINATED") \/ (s[me].state = "ABSENT" \/ (delivery_hears[me] = "ENDS" \/ (delivery_hears[me] = "BAD_ENDS" /\ s[of[me]].state \in {"FAILED", "TIMED_OUT", "TERMINATED"}) \/ (delivery_hears[me] = "FAILURES" /\ s[of[me]].state \in {"FAILED", "TIMED_OUT"})))) /\ (~((~(workflow_root[of[me]] = 1) /\ s[of[me]].state \in {"COMPLETED", "FAILED", "TIMED_OUT"})) \/ (((~(workflow_root[of[me]] = 1) /\ workflow_slot[of[me]] = s[up[of[me]]].attempt) /\ ~((~(workflow_root[of[me]] = 1) /\ s[up[of[me]]].state = "IN_PROGRESS" /\ ((s[of[me]].state = "FAILED" /\ s[up[of[me]]].attempt < task_tries[up[of[me]]]) \/ (s[of[me]].state = "TIMED_OUT" /\ (task_on_expiry[up[of[me]]] = "RETRY" /\ s[up[of[me]]].attempt < task_tries[up[of[me]]] /\ NOW < s[up[of[me]]].total_ends))))) /\ ((~(~(s[me].state = "ABSENT")) \/ (delivery_hears[me] = "ENDS" \/ (delivery_hears[me] = "BAD_ENDS" /\ s[of[me]].state \in {"FAILED", "TIMED_OUT", "TERMINATED"}) \/ (delivery_hears[me] = "FAILURES" /\ s[of[me]].state \in {"FAILED", "TIMED_OUT"}))) /\ (~((delivery_hears[me] = "ENDS" \/ (delivery_hears[me] = "BAD_ENDS" /\ s[of[me]].state \in {"FAILED", "TIMED_OUT", "TERMINATED"}) \/ (delivery_hears[me] = "FAILURES" /\ s[of[me]].state \in {"FAILED", "TIMED_OUT"}))) \/ ~(s[me].state = "ABSENT")))) \/ ((~((~(workflow_root[of[me]] = 1) /\ workflow_slot[of[me]] = s[up[of[me]]].attempt)) \/ (~(workflow_root[of[me]] = 1) /\ s[up[of[me]]].state = "IN_PROGRESS" /\ ((s[of[me]].state = "FAILED" /\ s[up[of[me]]].attempt < task_tries[up[of[me]]]) \/ (s[of[me]].state = "TIMED_OUT" /\ (task_on_expiry[up[of[me]]] = "RETRY" /\ s[up[of[me]]].attempt < task_tries[up[of[me]]] /\ NOW < s[up[of[me]]].total_ends))))) /\ s[me].state = "ABSENT")))))   \* What hears of ends on their own account only is there from the end on, but where a retry follows.
Between(s) == INV_01_1(s) /\ INV_03_4(s) /\ INV_04_6(s) /\ INV_07_10(s) /\ INV_13_20(s) /\ INV_13_21(s) /\ INV_14_22(s) /\ AUX_01_23(s) /\ AUX_02_24(s) /\ AUX_03_25(s) /\ AUX_04_26(s) /\ AUX_05_27(s) /\ AUX_06_28(s) /\ AUX_07_29(s) /\ AUX_08_30(s) /\ AUX_09_31(s) /\ AUX_10_32(s) /\ AUX_11_33(s) /\ AUX_12_34(s) /\ AUX_13_35(s) /\ AUX_14_36(s)
Invariant == INV_01_1(v) /\ INV_03_4(v) /\ INV_03_5(v) /\ INV_04_6(v) /\ INV_07_10(v) /\ INV_09_12(v) /\ INV_09_13(v) /\ INV_09_14(v) /\ INV_09_15(v) /\ INV_09_16(v) /\ INV_10_17(v) /\ INV_13_20(v) /\ INV_13_21(v) /\ INV_14_22(v) /\ AUX_01_23(v) /\ AUX_02_24(v) /\ AUX_03_25(v) /\ AUX_04_26(v) /\ AUX_05_27(v) /\ AUX_06_28(v) /\ AUX_07_29(v) /\ AUX_08_30(v) /\ AUX_09_31(v) /\ AUX_10_32(v) /\ AUX_11_33(v) /\ AUX_12_34(v) /\ AUX_13_35(v) /\ AUX_14_36(v)

\* ---- the commands and the rules of progress
START_on(s, me, p) == workflow_root[me] = 1 /\ s[me].purged = 0 /\ workflow_START(s, me, p) # NoLine
START_do(s, me, p) == Entering(s, Taken([x \in {me} |-> workflow_START(s, x, p)]) @@ Taken([x \in tasks[me] |-> task_CREATE(s, x, p)]) @@ s, p)
PAUSE_on(s, me, p) == workflow_PAUSE(s, me, p) # NoLine
PAUSE_do(s, me, p) == Entering(s, Taken([x \in {me} |-> workflow_PAUSE(s, x, p)]) @@ Taken([x \in subs[me] |-> workflow_PAUSE(s, x, p)]) @@ s, p)
RESUME_on(s, me, p) == (workflow_root[me] = 1 \/ s[wf[up[me]]].state = "RUNNING") /\ workflow_RESUME(s, me, p) # NoLine
RESUME_do(s, me, p) == Entering(s, Taken([x \in {me} |-> workflow_RESUME(s, x, p)]) @@ Taken([x \in {x \in subs[me] : s[x].paused_by = p.origin} |-> workflow_RESUME(s, x, p)]) @@ Taken([x \in {x \in all_tasks[me] : (s[wf[x]].state = "PAUSED" /\ s[wf[x]].paused_by = p.origin)} |-> task_SHIFT(s, x, p)]) @@ s, p)
TERMINATE_on(s, me, p) == workflow_TERMINATE(s, me, p) # NoLine
TERMINATE_do(s, me, p) == Entering(s, Taken([x \in {me} |-> workflow_TERMINATE(s, x, p)]) @@ s, p)
TIME_OUT_on(s, me, p) == (~(NOW < s[me].deadline) /\ ~(workflow_on_timeout[me] = "ALERT_ONLY")) /\ workflow_TIME_OUT(s, me, p) # NoLine
TIME_OUT_do(s, me, p) == Entering(s, Taken([x \in {me} |-> workflow_TIME_OUT(s, x, p)]) @@ s, p)
OVERDUE_on(s, me, p) == (~(NOW < s[me].deadline) /\ workflow_on_timeout[me] = "ALERT_ONLY") /\ workflow_OVERDUE(s, me, p) # NoLine
OVERDUE_do(s, me, p) == Entering(s, Taken([x \in {me} |-> workflow_OVERDUE(s, x, p)]) @@ s, p)
POLL_on(s, me, p) == task_POLL(s, me, p) # NoLine
POLL_do(s, me, p) == Entering(s, Taken([x \in {me} |-> task_POLL(s, x, p)]) @@ s, p)
HEARTBEAT_on(s, me, p) == task_HEARTBEAT(s, me, p) # NoLine
HEARTBEAT_do(s, me, p) == Entering(s, Taken([x \in {me} |-> task_HEARTBEAT(s, x, p)]) @@ s, p)
COMPLETE_on(s, me, p) == task_COMPLETE(s, me, p) # NoLine
COMPLETE_do(s, me, p) == Entering(s, Taken([x \in {me} |-> task_COMPLETE(s, x, p)]) @@ s, p)
FAIL_on(s, me, p) == task_FAIL(s, me, p) # NoLine
FAIL_do(s, me, p) == Entering(s, Taken([x \in {me} |-> task_FAIL(s, x, p)]) @@ s, p)
POSTPONE_on(s, me, p) == task_POSTPONE(s, me, p) # NoLine
POSTPONE_do(s, me, p) == Entering(s, Taken([x \in {me} |-> task_POSTPONE(s, x, p)]) @@ s, p)
SIGNAL_on(s, me, p) == task_SIGNAL(s, me, p) # NoLine
SIGNAL_do(s, me, p) == Entering(s, Taken([x \in {me} |-> task_SIGNAL(s, x, p)]) @@ s, p)
SKIP_on(s, me, p) == task_SKIP(s, me, p) # NoLine
SKIP_do(s, me, p) == Entering(s, Taken([x \in {me} |-> task_SKIP(s, x, p)]) @@ s, p)
EXPIRE_on(s, me, p) == task_EXPIRE(s, me, p) # NoLine
EXPIRE_do(s, me, p) == Entering(s, Taken([x \in {me} |-> task_EXPIRE(s, x, p)]) @@ s, p)
ALERT_on(s, me, p) == task_ALERT(s, me, p) # NoLine
ALERT_do(s, me, p) == Entering(s, Taken([x \in {me} |-> task_ALERT(s, x, p)]) @@ s, p)
ELAPSE_on(s, me, p) == task_ELAPSE(s, me, p) # NoLine
ELAPSE_do(s, me, p) == Entering(s, Taken([x \in {me} |-> task_ELAPSE(s, x, p)]) @@ s, p)
OVERRUN_on(s, me, p) == task_mode[me] = "WORKFLOW" /\ s[me].state = "IN_PROGRESS" /\ ~(NOW < s[me].expires) /\ ~(task_on_expiry[me] = "ALERT_ONLY") /\ workflow_TIME_OUT(s, child[me][s[me].attempt], p) # NoLine
OVERRUN_do(s, me, p) == Entering(s, Taken([x \in {child[me][s[me].attempt]} |-> workflow_TIME_OUT(s, x, p)]) @@ s, p)
WAKE_on(s, me, p) == s[me].state # "ABSENT"
WAKE_do(s, me, p) == s
HAND_COMPLETED_on(s, me, p) == s[me].state = "COMPLETED" /\ ~(workflow_root[me] = 1) /\ (~(workflow_root[me] = 1) /\ workflow_slot[me] = s[up[me]].attempt) /\ task_CHILD_COMPLETED(s, up[me], p) # NoLine
HAND_COMPLETED_do(s, me, p) == Entering(s, Taken([x \in {up[me]} |-> task_CHILD_COMPLETED(s, x, p)]) @@ s, p)
HAND_FAILED_on(s, me, p) == s[me].state = "FAILED" /\ ~(workflow_root[me] = 1) /\ (~(workflow_root[me] = 1) /\ workflow_slot[me] = s[up[me]].attempt) /\ task_CHILD_FAILED(s, up[me], p) # NoLine
HAND_FAILED_do(s, me, p) == Entering(s, Taken([x \in {up[me]} |-> task_CHILD_FAILED(s, x, p)]) @@ s, p)
HAND_TIMED_OUT_on(s, me, p) == s[me].state = "TIMED_OUT" /\ ~(workflow_root[me] = 1) /\ (~(workflow_root[me] = 1) /\ workflow_slot[me] = s[up[me]].attempt) /\ task_CHILD_TIMED_OUT(s, up[me], p) # NoLine
HAND_TIMED_OUT_do(s, me, p) == Entering(s, Taken([x \in {up[me]} |-> task_CHILD_TIMED_OUT(s, x, p)]) @@ s, p)
HAND_TERMINATED_on(s, me, p) == s[me].state = "TERMINATED" /\ ~(workflow_root[me] = 1) /\ (~(workflow_root[me] = 1) /\ workflow_slot[me] = s[up[me]].attempt) /\ task_CHILD_TERMINATED(s, up[me], p) # NoLine
HAND_TERMINATED_do(s, me, p) == Entering(s, Taken([x \in {up[me]} |-> task_CHILD_TERMINATED(s, x, p)]) @@ s, p)
ASKED_COMPLETED_on(s, me, p) == s[me].state = "RUNNING" /\ (\E x \in tasks[me] : (s[x].state = "COMPLETED" /\ task_asks[x] = "COMPLETED")) /\ workflow_COMPLETE(s, me, p) # NoLine
ASKED_COMPLETED_do(s, me, p) == Entering(s, Taken([x \in {me} |-> workflow_COMPLETE(s, x, p)]) @@ s, p)
ASKED_FAILED_on(s, me, p) == s[me].state = "RUNNING" /\ (\E x \in tasks[me] : (s[x].state = "COMPLETED" /\ task_asks[x] = "FAILED")) /\ workflow_FAIL(s, me, p) # NoLine
ASKED_FAILED_do(s, me, p) == Entering(s, Taken([x \in {me} |-> workflow_FAIL(s, x, p)]) @@ s, p)
ASKED_TERMINATED_on(s, me, p) == s[me].state = "RUNNING" /\ (\E x \in tasks[me] : (s[x].state = "COMPLETED" /\ task_asks[x] = "TERMINATED")) /\ workflow_TERMINATE(s, me, p) # NoLine
ASKED_TERMINATED_do(s, me, p) == Entering(s, Taken([x \in {me} |-> workflow_TERMINATE(s, x, p)]) @@ s, p)
END_FAILED_on(s, me, p) == s[me].state = "RUNNING" /\ (\E x \in tasks[me] : (s[x].state \in {"FAILED", "FAILED_WITH_TERMINAL_ERROR"} /\ ~(task_optional[x] = 1) /\ task_permissive[x] = 0)) /\ workflow_FAIL(s, me, p) # NoLine
END_FAILED_do(s, me, p) == Entering(s, Taken([x \in {me} |-> workflow_FAIL(s, x, p)]) @@ s, p)
END_TIMED_OUT_on(s, me, p) == s[me].state = "RUNNING" /\ (\E x \in tasks[me] : (s[x].state = "TIMED_OUT" /\ ~(task_optional[x] = 1) /\ task_permissive[x] = 0)) /\ workflow_TIME_OUT(s, me, p) # NoLine
END_TIMED_OUT_do(s, me, p) == Entering(s, Taken([x \in {me} |-> workflow_TIME_OUT(s, x, p)]) @@ s, p)
END_TERMINATED_on(s, me, p) == s[me].state = "RUNNING" /\ (\E x \in tasks[me] : (s[x].state = "CANCELED" /\ ~(task_optional[x] = 1) /\ task_permissive[x] = 0)) /\ workflow_TERMINATE(s, me, p) # NoLine
END_TERMINATED_do(s, me, p) == Entering(s, Taken([x \in {me} |-> workflow_TERMINATE(s, x, p)]) @@ s, p)
END_PERMISSIVE_on(s, me, p) == s[me].state = "RUNNING" /\ (\A x \in tasks[me] : s[x].state \in {"COMPLETED", "COMPLETED_WITH_ERRORS", "SKIPPED", "FAILED", "FAILED_WITH_TERMINAL_ERROR", "TIMED_OUT", "CANCELED"}) /\ (\E x \in tasks[me] : s[x].state \in {"FAILED", "FAILED_WITH_TERMINAL_ERROR", "TIMED_OUT", "CANCELED"}) /\ workflow_FAIL(s, me, p) # NoLine
END_PERMISSIVE_do(s, me, p) == Entering(s, Taken([x \in {me} |-> workflow_FAIL(s, x, p)]) @@ s, p)
END_COMPLETED_on(s, me, p) == s[me].state = "RUNNING" /\ (\A x \in tasks[me] : s[x].state \in {"COMPLETED", "COMPLETED_WITH_ERRORS", "SKIPPED"}) /\ workflow_COMPLETE(s, me, p) # NoLine
END_COMPLETED_do(s, me, p) == Entering(s, Taken([x \in {me} |-> workflow_COMPLETE(s, x, p)]) @@ s, p)
UNCHOSEN_on(s, me, p) == s[me].state = "PENDING" /\ s[wf[me]].state = "RUNNING" /\ (\A x \in after[me] : (s[x].state \in {"COMPLETED", "COMPLETED_WITH_ERRORS", "SKIPPED"} \/ (s[x].state \in {"FAILED", "FAILED_WITH_TERMINAL_ERROR", "TIMED_OUT", "CANCELED"} /\ task_permissive[x] = 1))) /\ ~((task_branch[me] = 0 \/ (s[switch[me]].state = "COMPLETED" /\ task_choice[switch[me]] = task_branch[me]))) /\ task_SKIP(s, me, p) # NoLine
UNCHOSEN_do(s, me, p) == Entering(s, Taken([x \in {me} |-> task_SKIP(s, x, p)]) @@ s, p)
REJECT_on(s, me, p) == task_REJECT(s, me, p) # NoLine
REJECT_do(s, me, p) == Entering(s, Taken([x \in {me} |-> task_REJECT(s, x, p)]) @@ s, p)
SCHEDULE_on(s, me, p) == task_SCHEDULE(s, me, p) # NoLine
SCHEDULE_do(s, me, p) == Entering(s, Taken([x \in {me} |-> task_SCHEDULE(s, x, p)]) @@ s, p)
PASS_on(s, me, p) == task_PASS(s, me, p) # NoLine
PASS_do(s, me, p) == Entering(s, Taken([x \in {me} |-> task_PASS(s, x, p)]) @@ s, p)
LAUNCH_WAIT_on(s, me, p) == task_mode[me] = "WAIT" /\ task_LAUNCH(s, me, p) # NoLine
LAUNCH_WAIT_do(s, me, p) == Entering(s, Taken([x \in {me} |-> task_LAUNCH(s, x, p)]) @@ s, p)
LAUNCH_CHILD_on(s, me, p) == task_mode[me] = "WORKFLOW" /\ task_LAUNCH(s, me, p) # NoLine /\ workflow_START(s, child[me][s[me].attempt], p) # NoLine
LAUNCH_CHILD_do(s, me, p) == Entering(s, Taken([x \in {me} |-> task_LAUNCH(s, x, p)]) @@ Taken([x \in {child[me][s[me].attempt]} |-> workflow_START(s, x, p)]) @@ Taken([x \in tasks[child[me][s[me].attempt]] |-> task_CREATE(s, x, p)]) @@ s, p)
SIGNALLED_on(s, me, p) == s[me].state = "IN_PROGRESS" /\ s[me].signalled = 1 /\ task_SIGNAL(s, me, p) # NoLine
SIGNALLED_do(s, me, p) == Entering(s, Taken([x \in {me} |-> task_SIGNAL(s, x, p)]) @@ s, p)

RECURSIVE Settle(_)
Settle(s) ==
  LET p == [now |-> NOW] IN
  IF ~Assert(Between(s), "an invariant does not hold between two rules") THEN s
  ELSE IF {me \in workflow : HAND_COMPLETED_on(s, me, p)} # {} THEN Settle(HAND_COMPLETED_do(s, First({me \in workflow : HAND_COMPLETED_on(s, me, p)}), p))
  ELSE IF {me \in workflow : HAND_FAILED_on(s, me, p)} # {} THEN Settle(HAND_FAILED_do(s, First({me \in workflow : HAND_FAILED_on(s, me, p)}), p))
  ELSE IF {me \in workflow : HAND_TIMED_OUT_on(s, me, p)} # {} THEN Settle(HAND_TIMED_OUT_do(s, First({me \in workflow : HAND_TIMED_OUT_on(s, me, p)}), p))
  ELSE IF {me \in workflow : HAND_TERMINATED_on(s, me, p)} # {} THEN Settle(HAND_TERMINATED_do(s, First({me \in workflow : HAND_TERMINATED_on(s, me, p)}), p))
  ELSE IF {me \in workflow : ASKED_COMPLETED_on(s, me, p)} # {} THEN Settle(ASKED_COMPLETED_do(s, First({me \in workflow : ASKED_COMPLETED_on(s, me, p)}), p))
  ELSE IF {me \in workflow : ASKED_FAILED_on(s, me, p)} # {} THEN Settle(ASKED_FAILED_do(s, First({me \in workflow : ASKED_FAILED_on(s, me, p)}), p))
  ELSE IF {me \in workflow : ASKED_TERMINATED_on(s, me, p)} # {} THEN Settle(ASKED_TERMINATED_do(s, First({me \in workflow : ASKED_TERMINATED_on(s, me, p)}), p))
  ELSE IF {me \in workflow : END_FAILED_on(s, me, p)} # {} THEN Settle(END_FAILED_do(s, First({me \in workflow : END_FAILED_on(s, me, p)}), p))
  ELSE IF {me \in workflow : END_TIMED_OUT_on(s, me, p)} # {} THEN Settle(END_TIMED_OUT_do(s, First({me \in workflow : END_TIMED_OUT_on(s, me, p)}), p))
  ELSE IF {me \in workflow : END_TERMINATED_on(s, me, p)} # {} THEN Settle(END_TERMINATED_do(s, First({me \in workflow : END_TERMINATED_on(s, me, p)}), p))
  ELSE IF {me \in workflow : END_PERMISSIVE_on(s, me, p)} # {} THEN Settle(END_PERMISSIVE_do(s, First({me \in workflow : END_PERMISSIVE_on(s, me, p)}), p))
  ELSE IF {me \in workflow : END_COMPLETED_on(s, me, p)} # {} THEN Settle(END_COMPLETED_do(s, First({me \in workflow : END_COMPLETED_on(s, me, p)}), p))
  ELSE IF {me \in task : UNCHOSEN_on(s, me, p)} # {} THEN Settle(UNCHOSEN_do(s, First({me \in task : UNCHOSEN_on(s, me, p)}), p))
  ELSE IF {me \in task : REJECT_on(s, me, p)} # {} THEN Settle(REJECT_do(s, First({me \in task : REJECT_on(s, me, p)}), p))
  ELSE IF {me \in task : SCHEDULE_on(s, me, p)} # {} THEN Settle(SCHEDULE_do(s, First({me \in task : SCHEDULE_on(s, me, p)}), p))
  ELSE IF {me \in task : PASS_on(s, me, p)} # {} THEN Settle(PASS_do(s, First({me \in task : PASS_on(s, me, p)}), p))
  ELSE IF {me \in task : LAUNCH_WAIT_on(s, me, p)} # {} THEN Settle(LAUNCH_WAIT_do(s, First({me \in task : LAUNCH_WAIT_on(s, me, p)}), p))
  ELSE IF {me \in task : LAUNCH_CHILD_on(s, me, p)} # {} THEN Settle(LAUNCH_CHILD_do(s, First({me \in task : LAUNCH_CHILD_on(s, me, p)}), p))
  ELSE IF {me \in task : SIGNALLED_on(s, me, p)} # {} THEN Settle(SIGNALLED_do(s, First({me \in task : SIGNALLED_on(s, me, p)}), p))
  ELSE s

Init == v = Start
Next ==
  \/ \E me \in {"w"} : LET p == [now |-> NOW] IN
       START_on(v, me, p) = TRUE /\ v' = Settle(START_do(v, me, p))
  \/ \E me \in workflow : LET p == [now |-> NOW, origin |-> me] IN
       PAUSE_on(v, me, p) = TRUE /\ v' = Settle(PAUSE_do(v, me, p))
  \/ \E me \in workflow : LET p == [now |-> NOW, origin |-> me] IN
       RESUME_on(v, me, p) = TRUE /\ v' = Settle(RESUME_do(v, me, p))
  \/ \E me \in workflow : LET p == [now |-> NOW] IN
       TERMINATE_on(v, me, p) = TRUE /\ v' = Settle(TERMINATE_do(v, me, p))
  \/ \E me \in workflow : LET p == [now |-> NOW] IN
       TIME_OUT_on(v, me, p) = TRUE /\ v' = Settle(TIME_OUT_do(v, me, p))
  \/ \E me \in workflow : LET p == [now |-> NOW] IN
       OVERDUE_on(v, me, p) = TRUE /\ v' = Settle(OVERDUE_do(v, me, p))
  \/ \E me \in task : LET p == [now |-> NOW] IN
       POLL_on(v, me, p) = TRUE /\ v' = Settle(POLL_do(v, me, p))
  \/ \E me \in task : LET p == [now |-> NOW, run |-> v[wf[me]].run, handouts |-> v[me].handouts] IN
       HEARTBEAT_on(v, me, p) = TRUE /\ v' = Settle(HEARTBEAT_do(v, me, p))
  \/ \E me \in task : LET p == [now |-> NOW, run |-> v[wf[me]].run, handouts |-> v[me].handouts - 1] IN
       HEARTBEAT_on(v, me, p) = TRUE /\ Assert(FALSE, "INV-06: a stale lease was accepted") /\ v' = Settle(HEARTBEAT_do(v, me, p))
  \/ \E me \in task : LET p == [now |-> NOW, run |-> v[wf[me]].run + 1, handouts |-> v[me].handouts] IN
       HEARTBEAT_on(v, me, p) = TRUE /\ Assert(FALSE, "INV-06: a stale lease was accepted") /\ v' = Settle(HEARTBEAT_do(v, me, p))
  \/ \E me \in task : LET p == [now |-> NOW, run |-> v[wf[me]].run, handouts |-> v[me].handouts] IN
       COMPLETE_on(v, me, p) = TRUE /\ v' = Settle(COMPLETE_do(v, me, p))
  \/ \E me \in task : LET p == [now |-> NOW, run |-> v[wf[me]].run, handouts |-> v[me].handouts - 1] IN
       COMPLETE_on(v, me, p) = TRUE /\ Assert(FALSE, "INV-06: a stale lease was accepted") /\ v' = Settle(COMPLETE_do(v, me, p))
  \/ \E me \in task : LET p == [now |-> NOW, run |-> v[wf[me]].run + 1, handouts |-> v[me].handouts] IN
       COMPLETE_on(v, me, p) = TRUE /\ Assert(FALSE, "INV-06: a stale lease was accepted") /\ v' = Settle(COMPLETE_do(v, me, p))
  \/ \E me \in task : LET p == [now |-> NOW, run |-> v[wf[me]].run, handouts |-> v[me].handouts, retryable |-> 1] IN
       FAIL_on(v, me, p) = TRUE /\ v' = Settle(FAIL_do(v, me, p))
  \/ \E me \in task : LET p == [now |-> NOW, run |-> v[wf[me]].run, handouts |-> v[me].handouts, retryable |-> 0] IN
       FAIL_on(v, me, p) = TRUE /\ v' = Settle(FAIL_do(v, me, p))
  \/ \E me \in task : LET p == [now |-> NOW, run |-> v[wf[me]].run, handouts |-> v[me].handouts - 1, retryable |-> 1] IN
       FAIL_on(v, me, p) = TRUE /\ Assert(FALSE, "INV-06: a stale lease was accepted") /\ v' = Settle(FAIL_do(v, me, p))
  \/ \E me \in task : LET p == [now |-> NOW, run |-> v[wf[me]].run, handouts |-> v[me].handouts - 1, retryable |-> 0] IN
       FAIL_on(v, me, p) = TRUE /\ Assert(FALSE, "INV-06: a stale lease was accepted") /\ v' = Settle(FAIL_do(v, me, p))
  \/ \E me \in task : LET p == [now |-> NOW, run |-> v[wf[me]].run + 1, handouts |-> v[me].handouts, retryable |-> 1] IN
       FAIL_on(v, me, p) = TRUE /\ Assert(FALSE, "INV-06: a stale lease was accepted") /\ v' = Settle(FAIL_do(v, me, p))
  \/ \E me \in task : LET p == [now |-> NOW, run |-> v[wf[me]].run + 1, handouts |-> v[me].handouts, retryable |-> 0] IN
       FAIL_on(v, me, p) = TRUE /\ Assert(FALSE, "INV-06: a stale lease was accepted") /\ v' = Settle(FAIL_do(v, me, p))
  \/ \E me \in task : LET p == [now |-> NOW, run |-> v[wf[me]].run, handouts |-> v[me].handouts, delay |-> 0] IN
       POSTPONE_on(v, me, p) = TRUE /\ v' = Settle(POSTPONE_do(v, me, p))
  \/ \E me \in task : LET p == [now |-> NOW, run |-> v[wf[me]].run, handouts |-> v[me].handouts - 1, delay |-> 0] IN
       POSTPONE_on(v, me, p) = TRUE /\ Assert(FALSE, "INV-06: a stale lease was accepted") /\ v' = Settle(POSTPONE_do(v, me, p))
  \/ \E me \in task : LET p == [now |-> NOW, run |-> v[wf[me]].run + 1, handouts |-> v[me].handouts, delay |-> 0] IN
       POSTPONE_on(v, me, p) = TRUE /\ Assert(FALSE, "INV-06: a stale lease was accepted") /\ v' = Settle(POSTPONE_do(v, me, p))
  \/ \E me \in task : LET p == [now |-> NOW] IN
       SIGNAL_on(v, me, p) = TRUE /\ v' = Settle(SIGNAL_do(v, me, p))
  \/ \E me \in task : LET p == [now |-> NOW] IN
       SKIP_on(v, me, p) = TRUE /\ v' = Settle(SKIP_do(v, me, p))
  \/ \E me \in task : LET p == [now |-> NOW] IN
       EXPIRE_on(v, me, p) = TRUE /\ v' = Settle(EXPIRE_do(v, me, p))
  \/ \E me \in task : LET p == [now |-> NOW] IN
       ALERT_on(v, me, p) = TRUE /\ v' = Settle(ALERT_do(v, me, p))
  \/ \E me \in task : LET p == [now |-> NOW] IN
       ELAPSE_on(v, me, p) = TRUE /\ v' = Settle(ELAPSE_do(v, me, p))
  \/ \E me \in task : LET p == [now |-> NOW] IN
       OVERRUN_on(v, me, p) = TRUE /\ v' = Settle(OVERRUN_do(v, me, p))
  \/ \E me \in task : LET p == [now |-> NOW] IN
       WAKE_on(v, me, p) = TRUE /\ v' = Settle(WAKE_do(v, me, p))
Spec == Init /\ [][Next]_v
View == [x \in DOMAIN v |-> [f \in DOMAIN v[x] \ {"handouts", "claims"} |-> v[x][f]]]
====
