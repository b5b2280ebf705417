/* one. Generated from the tables. */
byte workflow_w_state = 0;
byte workflow_w_run = 0;
byte workflow_w_paused_by = 17;
byte workflow_w_paused_at = 0;
byte workflow_w_deadline = 100;
byte workflow_w_changed = 0;
byte workflow_w_purged = 0;
byte task_w_a_state = 0;
byte task_w_a_attempt = 0;
byte task_w_a_not_before = 0;
byte task_w_a_expires = 100;
byte task_w_a_attempt_ends = 100;
byte task_w_a_total_ends = 100;
byte task_w_a_wakes = 100;
byte task_w_a_signalled = 0;
byte task_w_a_changed = 0;
byte delivery_w_archive_state = 0;
byte delivery_w_archive_attempt = 0;
byte delivery_w_archive_due = 0;
byte delivery_w_archive_expires = 100;
byte delivery_w_archive_error = 17;
byte delivery_w_archive_proof = 17;
byte delivery_w_archive_changed = 0;
byte task_w_a_handouts = 0;
byte delivery_w_archive_claims = 0;
byte c1;
byte v1_0;
byte v1_1;
byte v1_2;
byte v1_3;
byte v0_1;
byte old_workflow_w_state;
byte old_workflow_w_run;
byte old_task_w_a_state;
byte old_delivery_w_archive_state;
byte old_task_w_a_handouts;
short cmd;

active proctype kernel() {
end:
  do
  :: atomic {
      if
      :: ((workflow_w_purged == 0) && (workflow_w_state == 0)) -> cmd = 1
      :: (workflow_w_state == 1) -> cmd = 2
      :: (workflow_w_state == 2) -> cmd = 3
      :: ((workflow_w_state == 1) || (workflow_w_state == 2)) -> cmd = 4
      :: (!((1 < workflow_w_deadline)) && ((workflow_w_state == 1) || (workflow_w_state == 2))) -> cmd = 5
      :: ((task_w_a_state == 8) && (workflow_w_state == 1) && !((1 < task_w_a_not_before))) -> cmd = 6
      :: ((task_w_a_state == 9) && ((workflow_w_state == 1) || (workflow_w_state == 2))) -> cmd = 7
      :: ((task_w_a_state == 9) && ((workflow_w_state == 1) || (workflow_w_state == 2))) -> cmd = 8
      :: ((task_w_a_state == 9) && ((workflow_w_state == 1) || (workflow_w_state == 2)) && (task_w_a_attempt < 1)) -> cmd = 9
      :: ((task_w_a_state == 9) && ((workflow_w_state == 1) || (workflow_w_state == 2)) && !((task_w_a_attempt < 1))) -> cmd = 10
      :: ((task_w_a_state == 9) && ((workflow_w_state == 1) || (workflow_w_state == 2))) -> cmd = 11
      :: ((task_w_a_state == 9) && ((workflow_w_state == 1) || (workflow_w_state == 2))) -> cmd = 12
      :: (((task_w_a_state == 7) || (task_w_a_state == 8)) && ((workflow_w_state == 1) || (workflow_w_state == 2))) -> cmd = 13
      :: ((task_w_a_state == 8) && !((1 < task_w_a_expires)) && ((workflow_w_state == 1) || (workflow_w_state == 2)) && (!((task_w_a_state == 8)) || (workflow_w_state == 1)) && (task_w_a_attempt < 1) && (1 < task_w_a_total_ends)) -> cmd = 14
      :: ((task_w_a_state == 8) && !((1 < task_w_a_expires)) && ((workflow_w_state == 1) || (workflow_w_state == 2)) && (!((task_w_a_state == 8)) || (workflow_w_state == 1)) && !(((task_w_a_attempt < 1) && (1 < task_w_a_total_ends)))) -> cmd = 15
      :: ((task_w_a_state == 9) && !((1 < task_w_a_expires)) && ((workflow_w_state == 1) || (workflow_w_state == 2)) && (!((task_w_a_state == 8)) || (workflow_w_state == 1)) && (task_w_a_attempt < 1) && (1 < task_w_a_total_ends)) -> cmd = 16
      :: ((task_w_a_state == 9) && !((1 < task_w_a_expires)) && ((workflow_w_state == 1) || (workflow_w_state == 2)) && (!((task_w_a_state == 8)) || (workflow_w_state == 1)) && !(((task_w_a_attempt < 1) && (1 < task_w_a_total_ends)))) -> cmd = 17
      :: !((task_w_a_state == 0)) -> cmd = 18
      fi;
      d_step {
        old_workflow_w_state = workflow_w_state;
        old_workflow_w_run = workflow_w_run;
        old_task_w_a_state = task_w_a_state;
        old_delivery_w_archive_state = delivery_w_archive_state;
        old_task_w_a_handouts = task_w_a_handouts;
        skip
      };
      if
      :: 0 < cmd && cmd <= 16 ->
        d_step {
          if
          :: cmd == 1 -> printf("ACT START w\n"); c1 = (task_w_a_state == 0); workflow_w_run = 1; workflow_w_deadline = 100; workflow_w_changed = 1; workflow_w_state = 1; if :: c1 -> task_w_a_attempt = 1; task_w_a_changed = 1; task_w_a_state = 7 :: else -> skip fi
          :: cmd == 2 -> printf("ACT PAUSE w\n"); workflow_w_paused_by = 18; workflow_w_paused_at = 1; workflow_w_changed = 1; workflow_w_state = 2
          :: cmd == 3 -> printf("ACT RESUME w\n"); c1 = ((workflow_w_state == 2) && (workflow_w_paused_by == 18) && (task_w_a_state == 8)); v1_0 = (task_w_a_not_before + (1 - ((workflow_w_paused_at < task_w_a_changed) -> task_w_a_changed : workflow_w_paused_at))); v1_1 = (task_w_a_expires + (1 - ((workflow_w_paused_at < task_w_a_changed) -> task_w_a_changed : workflow_w_paused_at))); v1_2 = (task_w_a_attempt_ends + (1 - ((workflow_w_paused_at < task_w_a_changed) -> task_w_a_changed : workflow_w_paused_at))); v1_3 = (task_w_a_total_ends + (1 - ((workflow_w_paused_at < task_w_a_changed) -> task_w_a_changed : workflow_w_paused_at))); workflow_w_paused_by = 17; workflow_w_paused_at = 0; workflow_w_changed = 1; workflow_w_state = 1; if :: c1 -> task_w_a_not_before = v1_0; task_w_a_expires = v1_1; task_w_a_attempt_ends = v1_2; task_w_a_total_ends = v1_3; task_w_a_changed = 1; task_w_a_state = 8 :: else -> skip fi
          :: cmd == 4 -> printf("ACT TERMINATE w\n"); workflow_w_changed = 1; workflow_w_state = 6; if :: ((task_w_a_state == 7) || (task_w_a_state == 8) || (task_w_a_state == 9)) -> task_w_a_changed = 1; task_w_a_state = 13 :: else -> skip fi; if :: ((workflow_w_run == 1) && (delivery_w_archive_state == 0)) -> delivery_w_archive_due = 1; delivery_w_archive_changed = 1; delivery_w_archive_state = 7 :: else -> skip fi
          :: cmd == 5 -> printf("ACT TIME_OUT w\n"); workflow_w_changed = 1; workflow_w_state = 5; if :: ((task_w_a_state == 7) || (task_w_a_state == 8) || (task_w_a_state == 9)) -> task_w_a_changed = 1; task_w_a_state = 13 :: else -> skip fi; if :: ((workflow_w_run == 1) && (delivery_w_archive_state == 0)) -> delivery_w_archive_due = 1; delivery_w_archive_changed = 1; delivery_w_archive_state = 7 :: else -> skip fi
          :: cmd == 6 -> printf("ACT POLL w.a\n"); v0_1 = (((!((100 < task_w_a_attempt_ends)) && (task_w_a_attempt_ends < 100) && (((100 < task_w_a_attempt_ends) && (100 < task_w_a_total_ends)) || (!((100 < task_w_a_attempt_ends)) && (task_w_a_attempt_ends < task_w_a_total_ends)))) || (!((!((100 < task_w_a_attempt_ends)) && (task_w_a_attempt_ends < 100))) && (100 < task_w_a_total_ends))) -> ((!((100 < task_w_a_attempt_ends)) && (task_w_a_attempt_ends < 100)) -> ((100 < task_w_a_attempt_ends) -> 100 : task_w_a_attempt_ends) : 100) : task_w_a_total_ends); task_w_a_handouts = (task_w_a_handouts + 1); task_w_a_expires = v0_1; task_w_a_attempt_ends = ((task_w_a_attempt_ends < 100) -> task_w_a_attempt_ends : 100); task_w_a_changed = 1; task_w_a_state = 9
          :: cmd == 7 -> printf("ACT HEARTBEAT w.a\n"); task_w_a_expires = ((((100 < task_w_a_attempt_ends) && (100 < task_w_a_total_ends)) || (!((100 < task_w_a_attempt_ends)) && (task_w_a_attempt_ends < task_w_a_total_ends))) -> ((100 < task_w_a_attempt_ends) -> 100 : task_w_a_attempt_ends) : task_w_a_total_ends); task_w_a_changed = 1; task_w_a_state = 9
          :: cmd == 8 -> printf("ACT COMPLETE w.a\n"); task_w_a_changed = 1; task_w_a_state = 3
          :: cmd == 9 -> printf("ACT FAIL w.a\n"); task_w_a_not_before = 1; task_w_a_expires = ((100 < task_w_a_total_ends) -> 100 : task_w_a_total_ends); task_w_a_attempt_ends = 100; task_w_a_attempt = (task_w_a_attempt + 1); task_w_a_changed = 1; task_w_a_state = 8
          :: cmd == 10 -> printf("ACT FAIL w.a\n"); task_w_a_changed = 1; task_w_a_state = 4
          :: cmd == 11 -> printf("ACT FAIL w.a for good\n"); task_w_a_changed = 1; task_w_a_state = 12
          :: cmd == 12 -> printf("ACT POSTPONE w.a\n"); task_w_a_not_before = 1; task_w_a_expires = ((((100 < task_w_a_attempt_ends) && (100 < task_w_a_total_ends)) || (!((100 < task_w_a_attempt_ends)) && (task_w_a_attempt_ends < task_w_a_total_ends))) -> ((100 < task_w_a_attempt_ends) -> 100 : task_w_a_attempt_ends) : task_w_a_total_ends); task_w_a_changed = 1; task_w_a_state = 8
          :: cmd == 13 -> printf("ACT SKIP w.a\n"); task_w_a_changed = 1; task_w_a_state = 11
          :: cmd == 14 -> printf("ACT EXPIRE w.a\n"); task_w_a_not_before = 1; task_w_a_expires = ((100 < task_w_a_total_ends) -> 100 : task_w_a_total_ends); task_w_a_attempt_ends = 100; task_w_a_attempt = (task_w_a_attempt + 1); task_w_a_signalled = 0; task_w_a_changed = 1; task_w_a_state = 8
          :: cmd == 15 -> printf("ACT EXPIRE w.a\n"); task_w_a_changed = 1; task_w_a_state = 5
          :: cmd == 16 -> printf("ACT EXPIRE w.a\n"); task_w_a_not_before = 1; task_w_a_expires = ((100 < task_w_a_total_ends) -> 100 : task_w_a_total_ends); task_w_a_attempt_ends = 100; task_w_a_attempt = (task_w_a_attempt + 1); task_w_a_wakes = 100; task_w_a_changed = 1; task_w_a_state = 8
          fi;
          cmd = 0
        }
      :: 16 < cmd && cmd <= 32 ->
        d_step {
          if
          :: cmd == 17 -> printf("ACT EXPIRE w.a\n"); task_w_a_changed = 1; task_w_a_state = 5
          :: cmd == 18 -> printf("ACT WAKE w.a\n"); skip
          fi;
          cmd = 0
        }
      fi;
      d_step {
        do
        :: !(((!(((workflow_w_state == 3) || (workflow_w_state == 4) || (workflow_w_state == 5) || (workflow_w_state == 6))) || !(((task_w_a_state == 7) || (task_w_a_state == 8) || (task_w_a_state == 9)))) && (!((1 == workflow_w_run)) || (!((delivery_w_archive_state == 0)) && ((workflow_w_state == 3) || (workflow_w_state == 4) || (workflow_w_state == 5) || (workflow_w_state == 6))) || ((delivery_w_archive_state == 0) && !(((workflow_w_state == 3) || (workflow_w_state == 4) || (workflow_w_state == 5) || (workflow_w_state == 6))))) && (!((delivery_w_archive_state == 15)) || !((delivery_w_archive_proof == 17))) && (!(((task_w_a_state == 7) || (task_w_a_state == 8) || (task_w_a_state == 9))) || (workflow_w_state == 1) || (workflow_w_state == 2)) && !((2 < delivery_w_archive_attempt)) && (!((delivery_w_archive_state == 14)) || (0 < delivery_w_archive_attempt)) && (!((delivery_w_archive_state == 16)) || !((delivery_w_archive_error == 17))) && (!((task_w_a_state == 0)) || (workflow_w_state == 0)) && (!((workflow_w_state == 0)) || (task_w_a_state == 0)) && !(((workflow_w_state == 2) && !((workflow_w_paused_by == 18)))) && ((delivery_w_archive_state == 0) || !((workflow_w_run < 1)) || ((workflow_w_state == 0) && (1 < workflow_w_run))) && ((task_w_a_state == 0) || ((0 < task_w_a_attempt) && !((1 < task_w_a_attempt)))) && (!((workflow_w_state == 0)) || (workflow_w_run == 0)) && ((workflow_w_state == 0) || (0 < workflow_w_run)) && (!(((task_w_a_state == 0) || (task_w_a_state == 7))) || (task_w_a_not_before == 0)) && !((delivery_w_archive_attempt < 0)) && (!((delivery_w_archive_state == 0)) || (delivery_w_archive_attempt == 0)) && (!((delivery_w_archive_state == 7)) || (delivery_w_archive_attempt < 2)))) -> assert(false); break  /* an invariant, between two rules */
        :: ((workflow_w_state == 1) && ((task_w_a_state == 4) || (task_w_a_state == 12))) -> workflow_w_changed = 1; workflow_w_state = 4; if :: ((task_w_a_state == 7) || (task_w_a_state == 8) || (task_w_a_state == 9)) -> task_w_a_changed = 1; task_w_a_state = 13 :: else -> skip fi; if :: ((workflow_w_run == 1) && (delivery_w_archive_state == 0)) -> delivery_w_archive_due = 1; delivery_w_archive_changed = 1; delivery_w_archive_state = 7 :: else -> skip fi  /* END_FAILED w */
        :: ((workflow_w_state == 1) && (task_w_a_state == 5) && ((workflow_w_state == 1) || (workflow_w_state == 2))) -> workflow_w_changed = 1; workflow_w_state = 5; if :: ((task_w_a_state == 7) || (task_w_a_state == 8) || (task_w_a_state == 9)) -> task_w_a_changed = 1; task_w_a_state = 13 :: else -> skip fi; if :: ((workflow_w_run == 1) && (delivery_w_archive_state == 0)) -> delivery_w_archive_due = 1; delivery_w_archive_changed = 1; delivery_w_archive_state = 7 :: else -> skip fi  /* END_TIMED_OUT w */
        :: ((workflow_w_state == 1) && (task_w_a_state == 13) && ((workflow_w_state == 1) || (workflow_w_state == 2))) -> workflow_w_changed = 1; workflow_w_state = 6; if :: ((task_w_a_state == 7) || (task_w_a_state == 8) || (task_w_a_state == 9)) -> task_w_a_changed = 1; task_w_a_state = 13 :: else -> skip fi; if :: ((workflow_w_run == 1) && (delivery_w_archive_state == 0)) -> delivery_w_archive_due = 1; delivery_w_archive_changed = 1; delivery_w_archive_state = 7 :: else -> skip fi  /* END_TERMINATED w */
        :: ((workflow_w_state == 1) && ((task_w_a_state == 3) || (task_w_a_state == 10) || (task_w_a_state == 11) || (task_w_a_state == 4) || (task_w_a_state == 12) || (task_w_a_state == 5) || (task_w_a_state == 13)) && ((task_w_a_state == 4) || (task_w_a_state == 12) || (task_w_a_state == 5) || (task_w_a_state == 13))) -> workflow_w_changed = 1; workflow_w_state = 4; if :: ((task_w_a_state == 7) || (task_w_a_state == 8) || (task_w_a_state == 9)) -> task_w_a_changed = 1; task_w_a_state = 13 :: else -> skip fi; if :: ((workflow_w_run == 1) && (delivery_w_archive_state == 0)) -> delivery_w_archive_due = 1; delivery_w_archive_changed = 1; delivery_w_archive_state = 7 :: else -> skip fi  /* END_PERMISSIVE w */
        :: ((workflow_w_state == 1) && ((task_w_a_state == 3) || (task_w_a_state == 10) || (task_w_a_state == 11))) -> workflow_w_changed = 1; workflow_w_state = 3; if :: ((task_w_a_state == 7) || (task_w_a_state == 8) || (task_w_a_state == 9)) -> task_w_a_changed = 1; task_w_a_state = 13 :: else -> skip fi; if :: ((workflow_w_run == 1) && (delivery_w_archive_state == 0)) -> delivery_w_archive_due = 1; delivery_w_archive_changed = 1; delivery_w_archive_state = 7 :: else -> skip fi  /* END_COMPLETED w */
        :: ((task_w_a_state == 7) && (workflow_w_state == 1)) -> task_w_a_not_before = 1; task_w_a_expires = 100; task_w_a_total_ends = 100; task_w_a_changed = 1; task_w_a_state = 8  /* SCHEDULE w.a */
        :: else -> break
        od;
        assert(((!(((workflow_w_state == 3) || (workflow_w_state == 4) || (workflow_w_state == 5) || (workflow_w_state == 6))) || !(((task_w_a_state == 7) || (task_w_a_state == 8) || (task_w_a_state == 9)))) && (!((1 == workflow_w_run)) || (!((delivery_w_archive_state == 0)) && ((workflow_w_state == 3) || (workflow_w_state == 4) || (workflow_w_state == 5) || (workflow_w_state == 6))) || ((delivery_w_archive_state == 0) && !(((workflow_w_state == 3) || (workflow_w_state == 4) || (workflow_w_state == 5) || (workflow_w_state == 6))))) && (!((delivery_w_archive_state == 15)) || !((delivery_w_archive_proof == 17))) && (!((workflow_w_state == 1)) || (task_w_a_state == 8) || (task_w_a_state == 9)) && (!(((task_w_a_state == 7) || (task_w_a_state == 8) || (task_w_a_state == 9))) || (workflow_w_state == 1) || (workflow_w_state == 2)) && !((2 < delivery_w_archive_attempt)) && (!((delivery_w_archive_state == 14)) || (0 < delivery_w_archive_attempt)) && (!((delivery_w_archive_state == 16)) || !((delivery_w_archive_error == 17))) && (!((task_w_a_state == 0)) || (workflow_w_state == 0)) && (!((workflow_w_state == 0)) || (task_w_a_state == 0)) && !(((workflow_w_state == 2) && !((workflow_w_paused_by == 18)))) && ((delivery_w_archive_state == 0) || !((workflow_w_run < 1)) || ((workflow_w_state == 0) && (1 < workflow_w_run))) && ((task_w_a_state == 0) || ((0 < task_w_a_attempt) && !((1 < task_w_a_attempt)))) && (!((workflow_w_state == 0)) || (workflow_w_run == 0)) && ((workflow_w_state == 0) || (0 < workflow_w_run)) && (!(((task_w_a_state == 0) || (task_w_a_state == 7))) || (task_w_a_not_before == 0)) && !((delivery_w_archive_attempt < 0)) && (!((delivery_w_archive_state == 0)) || (delivery_w_archive_attempt == 0)) && (!((delivery_w_archive_state == 7)) || (delivery_w_archive_attempt < 2))));
        assert((((old_workflow_w_state == 0) || (old_workflow_w_run < workflow_w_run) || (workflow_w_state == 0) || ((old_workflow_w_state == 3) && (workflow_w_state == 3)) || ((old_workflow_w_state == 4) && (workflow_w_state == 4)) || ((old_workflow_w_state == 5) && (workflow_w_state == 5)) || ((old_workflow_w_state == 6) && (workflow_w_state == 6)) || !(((old_workflow_w_state == 3) || (old_workflow_w_state == 4) || (old_workflow_w_state == 5) || (old_workflow_w_state == 6)))) && ((old_task_w_a_state == 0) || (old_workflow_w_run < workflow_w_run) || (task_w_a_state == 0) || ((old_task_w_a_state == 3) && (task_w_a_state == 3)) || ((old_task_w_a_state == 10) && (task_w_a_state == 10)) || ((old_task_w_a_state == 11) && (task_w_a_state == 11)) || ((old_task_w_a_state == 4) && (task_w_a_state == 4)) || ((old_task_w_a_state == 12) && (task_w_a_state == 12)) || ((old_task_w_a_state == 5) && (task_w_a_state == 5)) || ((old_task_w_a_state == 13) && (task_w_a_state == 13)) || !(((old_task_w_a_state == 3) || (old_task_w_a_state == 10) || (old_task_w_a_state == 11) || (old_task_w_a_state == 4) || (old_task_w_a_state == 12) || (old_task_w_a_state == 5) || (old_task_w_a_state == 13)))) && ((old_workflow_w_state == 0) || !((!((old_workflow_w_state == 0)) && (workflow_w_state == 0))) || (((old_workflow_w_state == 3) || (old_workflow_w_state == 4) || (old_workflow_w_state == 5) || (old_workflow_w_state == 6)) && ((old_delivery_w_archive_state == 15) || (old_delivery_w_archive_state == 0)) && (!((!((old_workflow_w_state == 0)) && !((old_workflow_w_run < 1)))) || (old_delivery_w_archive_state == 15)) && (workflow_w_purged == 1))) && ((old_task_w_a_state == 0) || (old_workflow_w_run < workflow_w_run) || (task_w_a_state == 0) || (!((task_w_a_handouts < old_task_w_a_handouts)) && (!((!((old_task_w_a_state == 9)) && (task_w_a_state == 9))) || (old_task_w_a_handouts < task_w_a_handouts)))) && ((old_task_w_a_state == 0) || !((!((old_task_w_a_state == 9)) && (task_w_a_state == 9))) || (old_workflow_w_state == 1))));
        c1 = 0;
        v1_0 = 0;
        v1_1 = 0;
        v1_2 = 0;
        v1_3 = 0;
        v0_1 = 0;
        old_workflow_w_state = 0;
        old_workflow_w_run = 0;
        old_task_w_a_state = 0;
        old_delivery_w_archive_state = 0;
        old_task_w_a_handouts = 0;
        task_w_a_handouts = 0;
        delivery_w_archive_claims = 0;
      }
    }
  od
}
