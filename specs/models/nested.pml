/* nested. Generated from the tables. */
byte workflow_w_state = 0;
byte workflow_w_run = 0;
byte workflow_w_paused_by = 17;
byte workflow_w_paused_at = 0;
byte workflow_w_deadline = 100;
byte workflow_w_changed = 0;
byte workflow_w_purged = 0;
byte task_w_s_state = 0;
byte task_w_s_attempt = 0;
byte task_w_s_not_before = 0;
byte task_w_s_expires = 100;
byte task_w_s_attempt_ends = 100;
byte task_w_s_total_ends = 100;
byte task_w_s_wakes = 100;
byte task_w_s_signalled = 0;
byte task_w_s_changed = 0;
byte workflow_w_s_state = 0;
byte workflow_w_s_run = 0;
byte workflow_w_s_paused_by = 17;
byte workflow_w_s_paused_at = 0;
byte workflow_w_s_deadline = 100;
byte workflow_w_s_changed = 0;
byte workflow_w_s_purged = 0;
byte task_w_s_a_state = 0;
byte task_w_s_a_attempt = 0;
byte task_w_s_a_not_before = 0;
byte task_w_s_a_expires = 100;
byte task_w_s_a_attempt_ends = 100;
byte task_w_s_a_total_ends = 100;
byte task_w_s_a_wakes = 100;
byte task_w_s_a_signalled = 0;
byte task_w_s_a_changed = 0;
byte delivery_w_s_archive_state = 0;
byte delivery_w_s_archive_attempt = 0;
byte delivery_w_s_archive_due = 0;
byte delivery_w_s_archive_expires = 100;
byte delivery_w_s_archive_error = 17;
byte delivery_w_s_archive_proof = 17;
byte delivery_w_s_archive_changed = 0;
byte delivery_w_archive_state = 0;
byte delivery_w_archive_attempt = 0;
byte delivery_w_archive_due = 0;
byte delivery_w_archive_expires = 100;
byte delivery_w_archive_error = 17;
byte delivery_w_archive_proof = 17;
byte delivery_w_archive_changed = 0;
byte task_w_s_handouts = 0;
byte task_w_s_a_handouts = 0;
byte delivery_w_s_archive_claims = 0;
byte delivery_w_archive_claims = 0;
byte c1;
byte c2;
byte v2_0;
byte v2_1;
byte v2_2;
byte v2_3;
byte c3;
byte v3_0;
byte v3_1;
byte v3_2;
byte v3_3;
byte v1_0;
byte v1_1;
byte v1_2;
byte v1_3;
byte f0;
byte c0;
byte v0_1;
byte v0_0;
byte old_workflow_w_state;
byte old_workflow_w_run;
byte old_workflow_w_s_state;
byte old_workflow_w_s_run;
byte old_task_w_s_state;
byte old_task_w_s_a_state;
byte old_delivery_w_s_archive_state;
byte old_delivery_w_archive_state;
byte old_task_w_s_handouts;
byte old_task_w_s_a_handouts;
short cmd;

active proctype kernel() {
end:
  do
  :: atomic {
      if
      :: ((workflow_w_purged == 0) && (workflow_w_state == 0)) -> cmd = 1
      :: (workflow_w_state == 1) -> cmd = 2
      :: (workflow_w_s_state == 1) -> cmd = 3
      :: (workflow_w_state == 2) -> cmd = 4
      :: ((workflow_w_state == 1) && (workflow_w_s_state == 2)) -> cmd = 5
      :: ((workflow_w_state == 1) || (workflow_w_state == 2)) -> cmd = 6
      :: ((workflow_w_s_state == 1) || (workflow_w_s_state == 2)) -> cmd = 7
      :: (!((1 < workflow_w_deadline)) && ((workflow_w_state == 1) || (workflow_w_state == 2))) -> cmd = 8
      :: (!((1 < workflow_w_s_deadline)) && ((workflow_w_s_state == 1) || (workflow_w_s_state == 2))) -> cmd = 9
      :: ((task_w_s_a_state == 8) && (workflow_w_s_state == 1) && !((1 < task_w_s_a_not_before))) -> cmd = 10
      :: ((task_w_s_a_state == 9) && ((workflow_w_s_state == 1) || (workflow_w_s_state == 2))) -> cmd = 11
      :: ((task_w_s_a_state == 9) && ((workflow_w_s_state == 1) || (workflow_w_s_state == 2))) -> cmd = 12
      :: ((task_w_s_a_state == 9) && ((workflow_w_s_state == 1) || (workflow_w_s_state == 2)) && (task_w_s_a_attempt < 1)) -> cmd = 13
      :: ((task_w_s_a_state == 9) && ((workflow_w_s_state == 1) || (workflow_w_s_state == 2)) && !((task_w_s_a_attempt < 1))) -> cmd = 14
      :: ((task_w_s_a_state == 9) && ((workflow_w_s_state == 1) || (workflow_w_s_state == 2))) -> cmd = 15
      :: ((task_w_s_a_state == 9) && ((workflow_w_s_state == 1) || (workflow_w_s_state == 2))) -> cmd = 16
      :: (((task_w_s_state == 7) || (task_w_s_state == 8)) && ((workflow_w_state == 1) || (workflow_w_state == 2))) -> cmd = 17
      :: (((task_w_s_a_state == 7) || (task_w_s_a_state == 8)) && ((workflow_w_s_state == 1) || (workflow_w_s_state == 2))) -> cmd = 18
      :: ((task_w_s_state == 8) && !((1 < task_w_s_expires)) && ((workflow_w_state == 1) || (workflow_w_state == 2)) && (!((task_w_s_state == 8)) || (workflow_w_state == 1)) && (task_w_s_attempt < 1) && (1 < task_w_s_total_ends)) -> cmd = 19
      :: ((task_w_s_state == 8) && !((1 < task_w_s_expires)) && ((workflow_w_state == 1) || (workflow_w_state == 2)) && (!((task_w_s_state == 8)) || (workflow_w_state == 1)) && !(((task_w_s_attempt < 1) && (1 < task_w_s_total_ends)))) -> cmd = 20
      :: ((task_w_s_a_state == 8) && !((1 < task_w_s_a_expires)) && ((workflow_w_s_state == 1) || (workflow_w_s_state == 2)) && (!((task_w_s_a_state == 8)) || (workflow_w_s_state == 1)) && (task_w_s_a_attempt < 1) && (1 < task_w_s_a_total_ends)) -> cmd = 21
      :: ((task_w_s_a_state == 8) && !((1 < task_w_s_a_expires)) && ((workflow_w_s_state == 1) || (workflow_w_s_state == 2)) && (!((task_w_s_a_state == 8)) || (workflow_w_s_state == 1)) && !(((task_w_s_a_attempt < 1) && (1 < task_w_s_a_total_ends)))) -> cmd = 22
      :: ((task_w_s_a_state == 9) && !((1 < task_w_s_a_expires)) && ((workflow_w_s_state == 1) || (workflow_w_s_state == 2)) && (!((task_w_s_a_state == 8)) || (workflow_w_s_state == 1)) && (task_w_s_a_attempt < 1) && (1 < task_w_s_a_total_ends)) -> cmd = 23
      :: ((task_w_s_a_state == 9) && !((1 < task_w_s_a_expires)) && ((workflow_w_s_state == 1) || (workflow_w_s_state == 2)) && (!((task_w_s_a_state == 8)) || (workflow_w_s_state == 1)) && !(((task_w_s_a_attempt < 1) && (1 < task_w_s_a_total_ends)))) -> cmd = 24
      :: ((task_w_s_state == 9) && !((1 < task_w_s_expires)) && (task_w_s_attempt == 1) && ((workflow_w_s_state == 1) || (workflow_w_s_state == 2))) -> cmd = 25
      :: !((task_w_s_state == 0)) -> cmd = 26
      :: !((task_w_s_a_state == 0)) -> cmd = 27
      fi;
      d_step {
        old_workflow_w_state = workflow_w_state;
        old_workflow_w_run = workflow_w_run;
        old_workflow_w_s_state = workflow_w_s_state;
        old_workflow_w_s_run = workflow_w_s_run;
        old_task_w_s_state = task_w_s_state;
        old_task_w_s_a_state = task_w_s_a_state;
        old_delivery_w_s_archive_state = delivery_w_s_archive_state;
        old_delivery_w_archive_state = delivery_w_archive_state;
        old_task_w_s_handouts = task_w_s_handouts;
        old_task_w_s_a_handouts = task_w_s_a_handouts;
        skip
      };
      if
      :: 0 < cmd && cmd <= 16 ->
        d_step {
          if
          :: cmd == 1 -> printf("ACT START w\n"); c1 = (task_w_s_state == 0); workflow_w_run = 1; workflow_w_deadline = 100; workflow_w_changed = 1; workflow_w_state = 1; if :: c1 -> task_w_s_attempt = 1; task_w_s_changed = 1; task_w_s_state = 7 :: else -> skip fi
          :: cmd == 2 -> printf("ACT PAUSE w\n"); c1 = (workflow_w_s_state == 1); workflow_w_paused_by = 18; workflow_w_paused_at = 1; workflow_w_changed = 1; workflow_w_state = 2; if :: c1 -> workflow_w_s_paused_by = 18; workflow_w_s_paused_at = 1; workflow_w_s_changed = 1; workflow_w_s_state = 2 :: else -> skip fi
          :: cmd == 3 -> printf("ACT PAUSE w/s\n"); workflow_w_s_paused_by = 19; workflow_w_s_paused_at = 1; workflow_w_s_changed = 1; workflow_w_s_state = 2
          :: cmd == 4 -> printf("ACT RESUME w\n"); c1 = ((workflow_w_s_paused_by == 18) && (workflow_w_s_state == 2)); c2 = ((workflow_w_state == 2) && (workflow_w_paused_by == 18) && (task_w_s_state == 8)); v2_0 = (task_w_s_not_before + (1 - ((workflow_w_paused_at < task_w_s_changed) -> task_w_s_changed : workflow_w_paused_at))); v2_1 = (task_w_s_expires + (1 - ((workflow_w_paused_at < task_w_s_changed) -> task_w_s_changed : workflow_w_paused_at))); v2_2 = (task_w_s_attempt_ends + (1 - ((workflow_w_paused_at < task_w_s_changed) -> task_w_s_changed : workflow_w_paused_at))); v2_3 = (task_w_s_total_ends + (1 - ((workflow_w_paused_at < task_w_s_changed) -> task_w_s_changed : workflow_w_paused_at))); c3 = ((workflow_w_s_state == 2) && (workflow_w_s_paused_by == 18) && (task_w_s_a_state == 8)); v3_0 = (task_w_s_a_not_before + (1 - ((workflow_w_s_paused_at < task_w_s_a_changed) -> task_w_s_a_changed : workflow_w_s_paused_at))); v3_1 = (task_w_s_a_expires + (1 - ((workflow_w_s_paused_at < task_w_s_a_changed) -> task_w_s_a_changed : workflow_w_s_paused_at))); v3_2 = (task_w_s_a_attempt_ends + (1 - ((workflow_w_s_paused_at < task_w_s_a_changed) -> task_w_s_a_changed : workflow_w_s_paused_at))); v3_3 = (task_w_s_a_total_ends + (1 - ((workflow_w_s_paused_at < task_w_s_a_changed) -> task_w_s_a_changed : workflow_w_s_paused_at))); workflow_w_paused_by = 17; workflow_w_paused_at = 0; workflow_w_changed = 1; workflow_w_state = 1; if :: c1 -> workflow_w_s_paused_by = 17; workflow_w_s_paused_at = 0; workflow_w_s_changed = 1; workflow_w_s_state = 1 :: else -> skip fi; if :: c2 -> task_w_s_not_before = v2_0; task_w_s_expires = v2_1; task_w_s_attempt_ends = v2_2; task_w_s_total_ends = v2_3; task_w_s_changed = 1; task_w_s_state = 8 :: else -> skip fi; if :: c3 -> task_w_s_a_not_before = v3_0; task_w_s_a_expires = v3_1; task_w_s_a_attempt_ends = v3_2; task_w_s_a_total_ends = v3_3; task_w_s_a_changed = 1; task_w_s_a_state = 8 :: else -> skip fi
          :: cmd == 5 -> printf("ACT RESUME w/s\n"); c1 = ((workflow_w_s_state == 2) && (workflow_w_s_paused_by == 19) && (task_w_s_a_state == 8)); v1_0 = (task_w_s_a_not_before + (1 - ((workflow_w_s_paused_at < task_w_s_a_changed) -> task_w_s_a_changed : workflow_w_s_paused_at))); v1_1 = (task_w_s_a_expires + (1 - ((workflow_w_s_paused_at < task_w_s_a_changed) -> task_w_s_a_changed : workflow_w_s_paused_at))); v1_2 = (task_w_s_a_attempt_ends + (1 - ((workflow_w_s_paused_at < task_w_s_a_changed) -> task_w_s_a_changed : workflow_w_s_paused_at))); v1_3 = (task_w_s_a_total_ends + (1 - ((workflow_w_s_paused_at < task_w_s_a_changed) -> task_w_s_a_changed : workflow_w_s_paused_at))); workflow_w_s_paused_by = 17; workflow_w_s_paused_at = 0; workflow_w_s_changed = 1; workflow_w_s_state = 1; if :: c1 -> task_w_s_a_not_before = v1_0; task_w_s_a_expires = v1_1; task_w_s_a_attempt_ends = v1_2; task_w_s_a_total_ends = v1_3; task_w_s_a_changed = 1; task_w_s_a_state = 8 :: else -> skip fi
          :: cmd == 6 -> printf("ACT TERMINATE w\n"); f0 = 0; workflow_w_changed = 1; workflow_w_state = 6; if :: ((workflow_w_s_state == 1) || (workflow_w_s_state == 2)) -> workflow_w_s_changed = 1; workflow_w_s_state = 6; f0 = 1 :: else -> skip fi; c0 = ((task_w_s_state == 7) || (task_w_s_state == 8) || (task_w_s_state == 9)); c1 = ((task_w_s_a_state == 7) || (task_w_s_a_state == 8) || (task_w_s_a_state == 9)); if :: c0 -> task_w_s_changed = 1; task_w_s_state = 13 :: else -> skip fi; if :: c1 -> task_w_s_a_changed = 1; task_w_s_a_state = 13 :: else -> skip fi; if :: ((workflow_w_run == 1) && (delivery_w_archive_state == 0)) -> delivery_w_archive_due = 1; delivery_w_archive_changed = 1; delivery_w_archive_state = 7 :: else -> skip fi; if :: f0 -> if :: ((workflow_w_s_run == 1) && (delivery_w_s_archive_state == 0)) -> delivery_w_s_archive_due = 1; delivery_w_s_archive_changed = 1; delivery_w_s_archive_state = 7 :: else -> skip fi :: else -> skip fi
          :: cmd == 7 -> printf("ACT TERMINATE w/s\n"); workflow_w_s_changed = 1; workflow_w_s_state = 6; if :: ((task_w_s_a_state == 7) || (task_w_s_a_state == 8) || (task_w_s_a_state == 9)) -> task_w_s_a_changed = 1; task_w_s_a_state = 13 :: else -> skip fi; if :: ((workflow_w_s_run == 1) && (delivery_w_s_archive_state == 0)) -> delivery_w_s_archive_due = 1; delivery_w_s_archive_changed = 1; delivery_w_s_archive_state = 7 :: else -> skip fi
          :: cmd == 8 -> printf("ACT TIME_OUT w\n"); f0 = 0; workflow_w_changed = 1; workflow_w_state = 5; if :: ((workflow_w_s_state == 1) || (workflow_w_s_state == 2)) -> workflow_w_s_changed = 1; workflow_w_s_state = 6; f0 = 1 :: else -> skip fi; c0 = ((task_w_s_state == 7) || (task_w_s_state == 8) || (task_w_s_state == 9)); c1 = ((task_w_s_a_state == 7) || (task_w_s_a_state == 8) || (task_w_s_a_state == 9)); if :: c0 -> task_w_s_changed = 1; task_w_s_state = 13 :: else -> skip fi; if :: c1 -> task_w_s_a_changed = 1; task_w_s_a_state = 13 :: else -> skip fi; if :: ((workflow_w_run == 1) && (delivery_w_archive_state == 0)) -> delivery_w_archive_due = 1; delivery_w_archive_changed = 1; delivery_w_archive_state = 7 :: else -> skip fi; if :: f0 -> if :: ((workflow_w_s_run == 1) && (delivery_w_s_archive_state == 0)) -> delivery_w_s_archive_due = 1; delivery_w_s_archive_changed = 1; delivery_w_s_archive_state = 7 :: else -> skip fi :: else -> skip fi
          :: cmd == 9 -> printf("ACT TIME_OUT w/s\n"); workflow_w_s_changed = 1; workflow_w_s_state = 5; if :: ((task_w_s_a_state == 7) || (task_w_s_a_state == 8) || (task_w_s_a_state == 9)) -> task_w_s_a_changed = 1; task_w_s_a_state = 13 :: else -> skip fi; if :: ((workflow_w_s_run == 1) && (delivery_w_s_archive_state == 0)) -> delivery_w_s_archive_due = 1; delivery_w_s_archive_changed = 1; delivery_w_s_archive_state = 7 :: else -> skip fi
          :: cmd == 10 -> printf("ACT POLL w/s.a\n"); v0_1 = (((!((100 < task_w_s_a_attempt_ends)) && (task_w_s_a_attempt_ends < 100) && (((100 < task_w_s_a_attempt_ends) && (100 < task_w_s_a_total_ends)) || (!((100 < task_w_s_a_attempt_ends)) && (task_w_s_a_attempt_ends < task_w_s_a_total_ends)))) || (!((!((100 < task_w_s_a_attempt_ends)) && (task_w_s_a_attempt_ends < 100))) && (100 < task_w_s_a_total_ends))) -> ((!((100 < task_w_s_a_attempt_ends)) && (task_w_s_a_attempt_ends < 100)) -> ((100 < task_w_s_a_attempt_ends) -> 100 : task_w_s_a_attempt_ends) : 100) : task_w_s_a_total_ends); task_w_s_a_handouts = (task_w_s_a_handouts + 1); task_w_s_a_expires = v0_1; task_w_s_a_attempt_ends = ((task_w_s_a_attempt_ends < 100) -> task_w_s_a_attempt_ends : 100); task_w_s_a_changed = 1; task_w_s_a_state = 9
          :: cmd == 11 -> printf("ACT HEARTBEAT w/s.a\n"); task_w_s_a_expires = ((((100 < task_w_s_a_attempt_ends) && (100 < task_w_s_a_total_ends)) || (!((100 < task_w_s_a_attempt_ends)) && (task_w_s_a_attempt_ends < task_w_s_a_total_ends))) -> ((100 < task_w_s_a_attempt_ends) -> 100 : task_w_s_a_attempt_ends) : task_w_s_a_total_ends); task_w_s_a_changed = 1; task_w_s_a_state = 9
          :: cmd == 12 -> printf("ACT COMPLETE w/s.a\n"); task_w_s_a_changed = 1; task_w_s_a_state = 3
          :: cmd == 13 -> printf("ACT FAIL w/s.a\n"); task_w_s_a_not_before = 1; task_w_s_a_expires = ((100 < task_w_s_a_total_ends) -> 100 : task_w_s_a_total_ends); task_w_s_a_attempt_ends = 100; task_w_s_a_attempt = (task_w_s_a_attempt + 1); task_w_s_a_changed = 1; task_w_s_a_state = 8
          :: cmd == 14 -> printf("ACT FAIL w/s.a\n"); task_w_s_a_changed = 1; task_w_s_a_state = 4
          :: cmd == 15 -> printf("ACT FAIL w/s.a for good\n"); task_w_s_a_changed = 1; task_w_s_a_state = 12
          :: cmd == 16 -> printf("ACT POSTPONE w/s.a\n"); task_w_s_a_not_before = 1; task_w_s_a_expires = ((((100 < task_w_s_a_attempt_ends) && (100 < task_w_s_a_total_ends)) || (!((100 < task_w_s_a_attempt_ends)) && (task_w_s_a_attempt_ends < task_w_s_a_total_ends))) -> ((100 < task_w_s_a_attempt_ends) -> 100 : task_w_s_a_attempt_ends) : task_w_s_a_total_ends); task_w_s_a_changed = 1; task_w_s_a_state = 8
          fi;
          cmd = 0
        }
      :: 16 < cmd && cmd <= 32 ->
        d_step {
          if
          :: cmd == 17 -> printf("ACT SKIP w.s\n"); task_w_s_changed = 1; task_w_s_state = 11
          :: cmd == 18 -> printf("ACT SKIP w/s.a\n"); task_w_s_a_changed = 1; task_w_s_a_state = 11
          :: cmd == 19 -> printf("ACT EXPIRE w.s\n"); task_w_s_not_before = 1; task_w_s_expires = ((100 < task_w_s_total_ends) -> 100 : task_w_s_total_ends); task_w_s_attempt_ends = 100; task_w_s_attempt = (task_w_s_attempt + 1); task_w_s_signalled = 0; task_w_s_changed = 1; task_w_s_state = 8
          :: cmd == 20 -> printf("ACT EXPIRE w.s\n"); task_w_s_changed = 1; task_w_s_state = 5
          :: cmd == 21 -> printf("ACT EXPIRE w/s.a\n"); task_w_s_a_not_before = 1; task_w_s_a_expires = ((100 < task_w_s_a_total_ends) -> 100 : task_w_s_a_total_ends); task_w_s_a_attempt_ends = 100; task_w_s_a_attempt = (task_w_s_a_attempt + 1); task_w_s_a_signalled = 0; task_w_s_a_changed = 1; task_w_s_a_state = 8
          :: cmd == 22 -> printf("ACT EXPIRE w/s.a\n"); task_w_s_a_changed = 1; task_w_s_a_state = 5
          :: cmd == 23 -> printf("ACT EXPIRE w/s.a\n"); task_w_s_a_not_before = 1; task_w_s_a_expires = ((100 < task_w_s_a_total_ends) -> 100 : task_w_s_a_total_ends); task_w_s_a_attempt_ends = 100; task_w_s_a_attempt = (task_w_s_a_attempt + 1); task_w_s_a_wakes = 100; task_w_s_a_changed = 1; task_w_s_a_state = 8
          :: cmd == 24 -> printf("ACT EXPIRE w/s.a\n"); task_w_s_a_changed = 1; task_w_s_a_state = 5
          :: cmd == 25 -> printf("ACT OVERRUN w.s\n"); workflow_w_s_changed = 1; workflow_w_s_state = 5; if :: ((task_w_s_a_state == 7) || (task_w_s_a_state == 8) || (task_w_s_a_state == 9)) -> task_w_s_a_changed = 1; task_w_s_a_state = 13 :: else -> skip fi; if :: ((workflow_w_s_run == 1) && (delivery_w_s_archive_state == 0)) -> delivery_w_s_archive_due = 1; delivery_w_s_archive_changed = 1; delivery_w_s_archive_state = 7 :: else -> skip fi
          :: cmd == 26 -> printf("ACT WAKE w.s\n"); skip
          :: cmd == 27 -> printf("ACT WAKE w/s.a\n"); skip
          fi;
          cmd = 0
        }
      fi;
      d_step {
        do
        :: !(((!(((workflow_w_state == 3) || (workflow_w_state == 4) || (workflow_w_state == 5) || (workflow_w_state == 6))) || (!(((task_w_s_state == 7) || (task_w_s_state == 8) || (task_w_s_state == 9))) && !(((workflow_w_s_state == 1) || (workflow_w_s_state == 2))))) && (!(((workflow_w_s_state == 3) || (workflow_w_s_state == 4) || (workflow_w_s_state == 5) || (workflow_w_s_state == 6))) || !(((task_w_s_a_state == 7) || (task_w_s_a_state == 8) || (task_w_s_a_state == 9)))) && (!((1 == workflow_w_run)) || (!((delivery_w_archive_state == 0)) && ((workflow_w_state == 3) || (workflow_w_state == 4) || (workflow_w_state == 5) || (workflow_w_state == 6))) || ((delivery_w_archive_state == 0) && !(((workflow_w_state == 3) || (workflow_w_state == 4) || (workflow_w_state == 5) || (workflow_w_state == 6))))) && (!((1 == workflow_w_s_run)) || (!((delivery_w_s_archive_state == 0)) && ((workflow_w_s_state == 3) || (workflow_w_s_state == 4) || (workflow_w_s_state == 5) || (workflow_w_s_state == 6))) || ((delivery_w_s_archive_state == 0) && !(((workflow_w_s_state == 3) || (workflow_w_s_state == 4) || (workflow_w_s_state == 5) || (workflow_w_s_state == 6))))) && (!((delivery_w_archive_state == 15)) || !((delivery_w_archive_proof == 17))) && (!((delivery_w_s_archive_state == 15)) || !((delivery_w_s_archive_proof == 17))) && (!((workflow_w_s_state == 1)) || (workflow_w_state == 1)) && (!(((workflow_w_s_state == 1) || (workflow_w_s_state == 2))) || ((task_w_s_state == 9) && (1 == task_w_s_attempt) && ((workflow_w_state == 1) || (workflow_w_state == 2)) && (workflow_w_s_run == workflow_w_run))) && (!(((task_w_s_state == 7) || (task_w_s_state == 8) || (task_w_s_state == 9))) || (workflow_w_state == 1) || (workflow_w_state == 2)) && (!(((task_w_s_a_state == 7) || (task_w_s_a_state == 8) || (task_w_s_a_state == 9))) || (workflow_w_s_state == 1) || (workflow_w_s_state == 2)) && !((2 < delivery_w_archive_attempt)) && (!((delivery_w_archive_state == 14)) || (0 < delivery_w_archive_attempt)) && (!((delivery_w_archive_state == 16)) || !((delivery_w_archive_error == 17))) && !((2 < delivery_w_s_archive_attempt)) && (!((delivery_w_s_archive_state == 14)) || (0 < delivery_w_s_archive_attempt)) && (!((delivery_w_s_archive_state == 16)) || !((delivery_w_s_archive_error == 17))) && (!((task_w_s_state == 0)) || (workflow_w_state == 0)) && (!((workflow_w_state == 0)) || (task_w_s_state == 0)) && (!((task_w_s_a_state == 0)) || (workflow_w_s_state == 0)) && (!((workflow_w_s_state == 0)) || (task_w_s_a_state == 0)) && (!((workflow_w_state == 0)) || (workflow_w_s_state == 0)) && ((workflow_w_s_state == 0) || (1 < task_w_s_attempt) || ((1 == task_w_s_attempt) && !(((task_w_s_state == 0) || (task_w_s_state == 7) || (task_w_s_state == 8))))) && (!(((1 == task_w_s_attempt) && (workflow_w_s_state == 3))) || (task_w_s_state == 9) || (task_w_s_state == 3)) && (!(((1 == task_w_s_attempt) && (workflow_w_s_state == 4))) || (task_w_s_state == 9) || (task_w_s_state == 4) || (task_w_s_state == 10)) && (!(((1 == task_w_s_attempt) && (workflow_w_s_state == 5))) || (task_w_s_state == 9) || (task_w_s_state == 5) || (task_w_s_state == 10)) && (!(((1 == task_w_s_attempt) && (workflow_w_s_state == 6))) || (task_w_s_state == 9) || (task_w_s_state == 13) || (task_w_s_state == 10)) && (!((task_w_s_state == 9)) || !((((task_w_s_attempt == 1) && (workflow_w_s_state == 0)) || !((task_w_s_attempt == 1))))) && !(((workflow_w_state == 2) && !((workflow_w_paused_by == 18)))) && (!(((workflow_w_s_state == 2) && !((workflow_w_s_paused_by == 19)))) || ((workflow_w_state == 2) && (workflow_w_s_paused_by == workflow_w_paused_by))) && !((workflow_w_run < workflow_w_s_run)) && (!(((workflow_w_s_state == 1) || (workflow_w_s_state == 2))) || (workflow_w_s_run == workflow_w_run)) && ((delivery_w_archive_state == 0) || !((workflow_w_run < 1)) || ((workflow_w_state == 0) && (1 < workflow_w_run))) && ((delivery_w_s_archive_state == 0) || !((workflow_w_s_run < 1)) || ((workflow_w_s_state == 0) && (1 < workflow_w_run))) && ((task_w_s_state == 0) || ((0 < task_w_s_attempt) && !((1 < task_w_s_attempt)))) && ((task_w_s_a_state == 0) || ((0 < task_w_s_a_attempt) && !((1 < task_w_s_a_attempt)))) && (!((workflow_w_state == 0)) || (workflow_w_run == 0)) && ((workflow_w_state == 0) || (0 < workflow_w_run)) && (!((workflow_w_s_state == 0)) || (workflow_w_s_run == 0)) && ((workflow_w_s_state == 0) || (0 < workflow_w_s_run)) && (!(((task_w_s_state == 0) || (task_w_s_state == 7))) || (task_w_s_not_before == 0)) && (!(((task_w_s_a_state == 0) || (task_w_s_a_state == 7))) || (task_w_s_a_not_before == 0)) && !((delivery_w_archive_attempt < 0)) && (!((delivery_w_archive_state == 0)) || (delivery_w_archive_attempt == 0)) && (!((delivery_w_archive_state == 7)) || (delivery_w_archive_attempt < 2)) && !((delivery_w_s_archive_attempt < 0)) && (!((delivery_w_s_archive_state == 0)) || (delivery_w_s_archive_attempt == 0)) && (!((delivery_w_s_archive_state == 7)) || (delivery_w_s_archive_attempt < 2)))) -> assert(false); break  /* an invariant, between two rules */
        :: ((workflow_w_s_state == 3) && (1 == task_w_s_attempt) && (task_w_s_state == 9) && ((workflow_w_state == 1) || (workflow_w_state == 2))) -> task_w_s_changed = 1; task_w_s_state = 3  /* HAND_COMPLETED w/s */
        :: ((workflow_w_s_state == 4) && (1 == task_w_s_attempt) && (task_w_s_state == 9) && ((workflow_w_state == 1) || (workflow_w_state == 2)) && (task_w_s_attempt < 1)) -> task_w_s_not_before = 1; task_w_s_expires = ((100 < task_w_s_total_ends) -> 100 : task_w_s_total_ends); task_w_s_attempt_ends = 100; task_w_s_attempt = (task_w_s_attempt + 1); task_w_s_wakes = 100; task_w_s_changed = 1; task_w_s_state = 8  /* HAND_FAILED w/s */
        :: ((workflow_w_s_state == 4) && (1 == task_w_s_attempt) && (task_w_s_state == 9) && ((workflow_w_state == 1) || (workflow_w_state == 2)) && !((task_w_s_attempt < 1))) -> task_w_s_changed = 1; task_w_s_state = 4  /* HAND_FAILED w/s */
        :: ((workflow_w_s_state == 5) && (1 == task_w_s_attempt) && (task_w_s_state == 9) && ((workflow_w_state == 1) || (workflow_w_state == 2)) && (task_w_s_attempt < 1) && (1 < task_w_s_total_ends)) -> task_w_s_not_before = 1; task_w_s_expires = ((100 < task_w_s_total_ends) -> 100 : task_w_s_total_ends); task_w_s_attempt_ends = 100; task_w_s_attempt = (task_w_s_attempt + 1); task_w_s_wakes = 100; task_w_s_changed = 1; task_w_s_state = 8  /* HAND_TIMED_OUT w/s */
        :: ((workflow_w_s_state == 5) && (1 == task_w_s_attempt) && (task_w_s_state == 9) && ((workflow_w_state == 1) || (workflow_w_state == 2)) && !(((task_w_s_attempt < 1) && (1 < task_w_s_total_ends)))) -> task_w_s_changed = 1; task_w_s_state = 5  /* HAND_TIMED_OUT w/s */
        :: ((workflow_w_s_state == 6) && (1 == task_w_s_attempt) && (task_w_s_state == 9) && ((workflow_w_state == 1) || (workflow_w_state == 2))) -> task_w_s_changed = 1; task_w_s_state = 13  /* HAND_TERMINATED w/s */
        :: ((workflow_w_state == 1) && ((task_w_s_state == 4) || (task_w_s_state == 12))) -> f0 = 0; workflow_w_changed = 1; workflow_w_state = 4; if :: ((workflow_w_s_state == 1) || (workflow_w_s_state == 2)) -> workflow_w_s_changed = 1; workflow_w_s_state = 6; f0 = 1 :: else -> skip fi; c0 = ((task_w_s_state == 7) || (task_w_s_state == 8) || (task_w_s_state == 9)); c1 = ((task_w_s_a_state == 7) || (task_w_s_a_state == 8) || (task_w_s_a_state == 9)); if :: c0 -> task_w_s_changed = 1; task_w_s_state = 13 :: else -> skip fi; if :: c1 -> task_w_s_a_changed = 1; task_w_s_a_state = 13 :: else -> skip fi; if :: ((workflow_w_run == 1) && (delivery_w_archive_state == 0)) -> delivery_w_archive_due = 1; delivery_w_archive_changed = 1; delivery_w_archive_state = 7 :: else -> skip fi; if :: f0 -> if :: ((workflow_w_s_run == 1) && (delivery_w_s_archive_state == 0)) -> delivery_w_s_archive_due = 1; delivery_w_s_archive_changed = 1; delivery_w_s_archive_state = 7 :: else -> skip fi :: else -> skip fi  /* END_FAILED w */
        :: ((workflow_w_s_state == 1) && ((task_w_s_a_state == 4) || (task_w_s_a_state == 12))) -> workflow_w_s_changed = 1; workflow_w_s_state = 4; if :: ((task_w_s_a_state == 7) || (task_w_s_a_state == 8) || (task_w_s_a_state == 9)) -> task_w_s_a_changed = 1; task_w_s_a_state = 13 :: else -> skip fi; if :: ((workflow_w_s_run == 1) && (delivery_w_s_archive_state == 0)) -> delivery_w_s_archive_due = 1; delivery_w_s_archive_changed = 1; delivery_w_s_archive_state = 7 :: else -> skip fi  /* END_FAILED w/s */
        :: ((workflow_w_state == 1) && (task_w_s_state == 5) && ((workflow_w_state == 1) || (workflow_w_state == 2))) -> f0 = 0; workflow_w_changed = 1; workflow_w_state = 5; if :: ((workflow_w_s_state == 1) || (workflow_w_s_state == 2)) -> workflow_w_s_changed = 1; workflow_w_s_state = 6; f0 = 1 :: else -> skip fi; c0 = ((task_w_s_state == 7) || (task_w_s_state == 8) || (task_w_s_state == 9)); c1 = ((task_w_s_a_state == 7) || (task_w_s_a_state == 8) || (task_w_s_a_state == 9)); if :: c0 -> task_w_s_changed = 1; task_w_s_state = 13 :: else -> skip fi; if :: c1 -> task_w_s_a_changed = 1; task_w_s_a_state = 13 :: else -> skip fi; if :: ((workflow_w_run == 1) && (delivery_w_archive_state == 0)) -> delivery_w_archive_due = 1; delivery_w_archive_changed = 1; delivery_w_archive_state = 7 :: else -> skip fi; if :: f0 -> if :: ((workflow_w_s_run == 1) && (delivery_w_s_archive_state == 0)) -> delivery_w_s_archive_due = 1; delivery_w_s_archive_changed = 1; delivery_w_s_archive_state = 7 :: else -> skip fi :: else -> skip fi  /* END_TIMED_OUT w */
        :: ((workflow_w_s_state == 1) && (task_w_s_a_state == 5) && ((workflow_w_s_state == 1) || (workflow_w_s_state == 2))) -> workflow_w_s_changed = 1; workflow_w_s_state = 5; if :: ((task_w_s_a_state == 7) || (task_w_s_a_state == 8) || (task_w_s_a_state == 9)) -> task_w_s_a_changed = 1; task_w_s_a_state = 13 :: else -> skip fi; if :: ((workflow_w_s_run == 1) && (delivery_w_s_archive_state == 0)) -> delivery_w_s_archive_due = 1; delivery_w_s_archive_changed = 1; delivery_w_s_archive_state = 7 :: else -> skip fi  /* END_TIMED_OUT w/s */
        :: ((workflow_w_state == 1) && (task_w_s_state == 13) && ((workflow_w_state == 1) || (workflow_w_state == 2))) -> f0 = 0; workflow_w_changed = 1; workflow_w_state = 6; if :: ((workflow_w_s_state == 1) || (workflow_w_s_state == 2)) -> workflow_w_s_changed = 1; workflow_w_s_state = 6; f0 = 1 :: else -> skip fi; c0 = ((task_w_s_state == 7) || (task_w_s_state == 8) || (task_w_s_state == 9)); c1 = ((task_w_s_a_state == 7) || (task_w_s_a_state == 8) || (task_w_s_a_state == 9)); if :: c0 -> task_w_s_changed = 1; task_w_s_state = 13 :: else -> skip fi; if :: c1 -> task_w_s_a_changed = 1; task_w_s_a_state = 13 :: else -> skip fi; if :: ((workflow_w_run == 1) && (delivery_w_archive_state == 0)) -> delivery_w_archive_due = 1; delivery_w_archive_changed = 1; delivery_w_archive_state = 7 :: else -> skip fi; if :: f0 -> if :: ((workflow_w_s_run == 1) && (delivery_w_s_archive_state == 0)) -> delivery_w_s_archive_due = 1; delivery_w_s_archive_changed = 1; delivery_w_s_archive_state = 7 :: else -> skip fi :: else -> skip fi  /* END_TERMINATED w */
        :: ((workflow_w_s_state == 1) && (task_w_s_a_state == 13) && ((workflow_w_s_state == 1) || (workflow_w_s_state == 2))) -> workflow_w_s_changed = 1; workflow_w_s_state = 6; if :: ((task_w_s_a_state == 7) || (task_w_s_a_state == 8) || (task_w_s_a_state == 9)) -> task_w_s_a_changed = 1; task_w_s_a_state = 13 :: else -> skip fi; if :: ((workflow_w_s_run == 1) && (delivery_w_s_archive_state == 0)) -> delivery_w_s_archive_due = 1; delivery_w_s_archive_changed = 1; delivery_w_s_archive_state = 7 :: else -> skip fi  /* END_TERMINATED w/s */
        :: ((workflow_w_state == 1) && ((task_w_s_state == 3) || (task_w_s_state == 10) || (task_w_s_state == 11) || (task_w_s_state == 4) || (task_w_s_state == 12) || (task_w_s_state == 5) || (task_w_s_state == 13)) && ((task_w_s_state == 4) || (task_w_s_state == 12) || (task_w_s_state == 5) || (task_w_s_state == 13))) -> f0 = 0; workflow_w_changed = 1; workflow_w_state = 4; if :: ((workflow_w_s_state == 1) || (workflow_w_s_state == 2)) -> workflow_w_s_changed = 1; workflow_w_s_state = 6; f0 = 1 :: else -> skip fi; c0 = ((task_w_s_state == 7) || (task_w_s_state == 8) || (task_w_s_state == 9)); c1 = ((task_w_s_a_state == 7) || (task_w_s_a_state == 8) || (task_w_s_a_state == 9)); if :: c0 -> task_w_s_changed = 1; task_w_s_state = 13 :: else -> skip fi; if :: c1 -> task_w_s_a_changed = 1; task_w_s_a_state = 13 :: else -> skip fi; if :: ((workflow_w_run == 1) && (delivery_w_archive_state == 0)) -> delivery_w_archive_due = 1; delivery_w_archive_changed = 1; delivery_w_archive_state = 7 :: else -> skip fi; if :: f0 -> if :: ((workflow_w_s_run == 1) && (delivery_w_s_archive_state == 0)) -> delivery_w_s_archive_due = 1; delivery_w_s_archive_changed = 1; delivery_w_s_archive_state = 7 :: else -> skip fi :: else -> skip fi  /* END_PERMISSIVE w */
        :: ((workflow_w_s_state == 1) && ((task_w_s_a_state == 3) || (task_w_s_a_state == 10) || (task_w_s_a_state == 11) || (task_w_s_a_state == 4) || (task_w_s_a_state == 12) || (task_w_s_a_state == 5) || (task_w_s_a_state == 13)) && ((task_w_s_a_state == 4) || (task_w_s_a_state == 12) || (task_w_s_a_state == 5) || (task_w_s_a_state == 13))) -> workflow_w_s_changed = 1; workflow_w_s_state = 4; if :: ((task_w_s_a_state == 7) || (task_w_s_a_state == 8) || (task_w_s_a_state == 9)) -> task_w_s_a_changed = 1; task_w_s_a_state = 13 :: else -> skip fi; if :: ((workflow_w_s_run == 1) && (delivery_w_s_archive_state == 0)) -> delivery_w_s_archive_due = 1; delivery_w_s_archive_changed = 1; delivery_w_s_archive_state = 7 :: else -> skip fi  /* END_PERMISSIVE w/s */
        :: ((workflow_w_state == 1) && ((task_w_s_state == 3) || (task_w_s_state == 10) || (task_w_s_state == 11))) -> f0 = 0; workflow_w_changed = 1; workflow_w_state = 3; if :: ((workflow_w_s_state == 1) || (workflow_w_s_state == 2)) -> workflow_w_s_changed = 1; workflow_w_s_state = 6; f0 = 1 :: else -> skip fi; c0 = ((task_w_s_state == 7) || (task_w_s_state == 8) || (task_w_s_state == 9)); c1 = ((task_w_s_a_state == 7) || (task_w_s_a_state == 8) || (task_w_s_a_state == 9)); if :: c0 -> task_w_s_changed = 1; task_w_s_state = 13 :: else -> skip fi; if :: c1 -> task_w_s_a_changed = 1; task_w_s_a_state = 13 :: else -> skip fi; if :: ((workflow_w_run == 1) && (delivery_w_archive_state == 0)) -> delivery_w_archive_due = 1; delivery_w_archive_changed = 1; delivery_w_archive_state = 7 :: else -> skip fi; if :: f0 -> if :: ((workflow_w_s_run == 1) && (delivery_w_s_archive_state == 0)) -> delivery_w_s_archive_due = 1; delivery_w_s_archive_changed = 1; delivery_w_s_archive_state = 7 :: else -> skip fi :: else -> skip fi  /* END_COMPLETED w */
        :: ((workflow_w_s_state == 1) && ((task_w_s_a_state == 3) || (task_w_s_a_state == 10) || (task_w_s_a_state == 11))) -> workflow_w_s_changed = 1; workflow_w_s_state = 3; if :: ((task_w_s_a_state == 7) || (task_w_s_a_state == 8) || (task_w_s_a_state == 9)) -> task_w_s_a_changed = 1; task_w_s_a_state = 13 :: else -> skip fi; if :: ((workflow_w_s_run == 1) && (delivery_w_s_archive_state == 0)) -> delivery_w_s_archive_due = 1; delivery_w_s_archive_changed = 1; delivery_w_s_archive_state = 7 :: else -> skip fi  /* END_COMPLETED w/s */
        :: ((task_w_s_state == 7) && (workflow_w_state == 1)) -> task_w_s_not_before = 1; task_w_s_expires = 100; task_w_s_total_ends = 100; task_w_s_changed = 1; task_w_s_state = 8  /* SCHEDULE w.s */
        :: ((task_w_s_a_state == 7) && (workflow_w_s_state == 1)) -> task_w_s_a_not_before = 1; task_w_s_a_expires = 100; task_w_s_a_total_ends = 100; task_w_s_a_changed = 1; task_w_s_a_state = 8  /* SCHEDULE w/s.a */
        :: ((task_w_s_attempt == 1) && (task_w_s_state == 8) && (workflow_w_state == 1) && !((1 < task_w_s_not_before)) && (workflow_w_s_state == 0)) -> v0_0 = ((((task_w_s_attempt_ends < 100) && (task_w_s_attempt_ends < task_w_s_total_ends)) || (!((task_w_s_attempt_ends < 100)) && (100 < task_w_s_total_ends))) -> ((task_w_s_attempt_ends < 100) -> task_w_s_attempt_ends : 100) : task_w_s_total_ends); c2 = (task_w_s_a_state == 0); task_w_s_expires = v0_0; task_w_s_wakes = 100; task_w_s_attempt_ends = ((task_w_s_attempt_ends < 100) -> task_w_s_attempt_ends : 100); task_w_s_changed = 1; task_w_s_state = 9; workflow_w_s_run = workflow_w_run; workflow_w_s_deadline = 100; workflow_w_s_changed = 1; workflow_w_s_state = 1; if :: c2 -> task_w_s_a_attempt = 1; task_w_s_a_changed = 1; task_w_s_a_state = 7 :: else -> skip fi  /* LAUNCH_CHILD w.s */
        :: else -> break
        od;
        assert(((!(((workflow_w_state == 3) || (workflow_w_state == 4) || (workflow_w_state == 5) || (workflow_w_state == 6))) || (!(((task_w_s_state == 7) || (task_w_s_state == 8) || (task_w_s_state == 9))) && !(((workflow_w_s_state == 1) || (workflow_w_s_state == 2))))) && (!(((workflow_w_s_state == 3) || (workflow_w_s_state == 4) || (workflow_w_s_state == 5) || (workflow_w_s_state == 6))) || !(((task_w_s_a_state == 7) || (task_w_s_a_state == 8) || (task_w_s_a_state == 9)))) && (!((1 == workflow_w_run)) || (!((delivery_w_archive_state == 0)) && ((workflow_w_state == 3) || (workflow_w_state == 4) || (workflow_w_state == 5) || (workflow_w_state == 6))) || ((delivery_w_archive_state == 0) && !(((workflow_w_state == 3) || (workflow_w_state == 4) || (workflow_w_state == 5) || (workflow_w_state == 6))))) && (!((1 == workflow_w_s_run)) || (!((delivery_w_s_archive_state == 0)) && ((workflow_w_s_state == 3) || (workflow_w_s_state == 4) || (workflow_w_s_state == 5) || (workflow_w_s_state == 6))) || ((delivery_w_s_archive_state == 0) && !(((workflow_w_s_state == 3) || (workflow_w_s_state == 4) || (workflow_w_s_state == 5) || (workflow_w_s_state == 6))))) && (!((delivery_w_archive_state == 15)) || !((delivery_w_archive_proof == 17))) && (!((delivery_w_s_archive_state == 15)) || !((delivery_w_s_archive_proof == 17))) && (!((workflow_w_s_state == 1)) || (workflow_w_state == 1)) && (!(((1 == task_w_s_attempt) && (workflow_w_s_state == 3))) || (task_w_s_state == 3)) && (!(((1 == task_w_s_attempt) && (workflow_w_s_state == 4))) || (task_w_s_state == 4) || (task_w_s_state == 10)) && (!(((1 == task_w_s_attempt) && (workflow_w_s_state == 5))) || (task_w_s_state == 5) || (task_w_s_state == 10)) && (!(((1 == task_w_s_attempt) && (workflow_w_s_state == 6))) || (task_w_s_state == 13) || (task_w_s_state == 10)) && (!((task_w_s_state == 9)) || ((task_w_s_attempt == 1) && (workflow_w_s_state == 1)) || ((task_w_s_attempt == 1) && (workflow_w_s_state == 2))) && (!((workflow_w_state == 1)) || (task_w_s_state == 8) || (task_w_s_state == 9)) && (!((workflow_w_s_state == 1)) || (task_w_s_a_state == 8) || (task_w_s_a_state == 9)) && (!(((workflow_w_s_state == 1) || (workflow_w_s_state == 2))) || ((task_w_s_state == 9) && (1 == task_w_s_attempt) && ((workflow_w_state == 1) || (workflow_w_state == 2)) && (workflow_w_s_run == workflow_w_run))) && (!(((task_w_s_state == 7) || (task_w_s_state == 8) || (task_w_s_state == 9))) || (workflow_w_state == 1) || (workflow_w_state == 2)) && (!(((task_w_s_a_state == 7) || (task_w_s_a_state == 8) || (task_w_s_a_state == 9))) || (workflow_w_s_state == 1) || (workflow_w_s_state == 2)) && !((2 < delivery_w_archive_attempt)) && (!((delivery_w_archive_state == 14)) || (0 < delivery_w_archive_attempt)) && (!((delivery_w_archive_state == 16)) || !((delivery_w_archive_error == 17))) && !((2 < delivery_w_s_archive_attempt)) && (!((delivery_w_s_archive_state == 14)) || (0 < delivery_w_s_archive_attempt)) && (!((delivery_w_s_archive_state == 16)) || !((delivery_w_s_archive_error == 17))) && (!((task_w_s_state == 0)) || (workflow_w_state == 0)) && (!((workflow_w_state == 0)) || (task_w_s_state == 0)) && (!((task_w_s_a_state == 0)) || (workflow_w_s_state == 0)) && (!((workflow_w_s_state == 0)) || (task_w_s_a_state == 0)) && (!((workflow_w_state == 0)) || (workflow_w_s_state == 0)) && ((workflow_w_s_state == 0) || (1 < task_w_s_attempt) || ((1 == task_w_s_attempt) && !(((task_w_s_state == 0) || (task_w_s_state == 7) || (task_w_s_state == 8))))) && (!(((1 == task_w_s_attempt) && (workflow_w_s_state == 3))) || (task_w_s_state == 9) || (task_w_s_state == 3)) && (!(((1 == task_w_s_attempt) && (workflow_w_s_state == 4))) || (task_w_s_state == 9) || (task_w_s_state == 4) || (task_w_s_state == 10)) && (!(((1 == task_w_s_attempt) && (workflow_w_s_state == 5))) || (task_w_s_state == 9) || (task_w_s_state == 5) || (task_w_s_state == 10)) && (!(((1 == task_w_s_attempt) && (workflow_w_s_state == 6))) || (task_w_s_state == 9) || (task_w_s_state == 13) || (task_w_s_state == 10)) && (!((task_w_s_state == 9)) || !((((task_w_s_attempt == 1) && (workflow_w_s_state == 0)) || !((task_w_s_attempt == 1))))) && !(((workflow_w_state == 2) && !((workflow_w_paused_by == 18)))) && (!(((workflow_w_s_state == 2) && !((workflow_w_s_paused_by == 19)))) || ((workflow_w_state == 2) && (workflow_w_s_paused_by == workflow_w_paused_by))) && !((workflow_w_run < workflow_w_s_run)) && (!(((workflow_w_s_state == 1) || (workflow_w_s_state == 2))) || (workflow_w_s_run == workflow_w_run)) && ((delivery_w_archive_state == 0) || !((workflow_w_run < 1)) || ((workflow_w_state == 0) && (1 < workflow_w_run))) && ((delivery_w_s_archive_state == 0) || !((workflow_w_s_run < 1)) || ((workflow_w_s_state == 0) && (1 < workflow_w_run))) && ((task_w_s_state == 0) || ((0 < task_w_s_attempt) && !((1 < task_w_s_attempt)))) && ((task_w_s_a_state == 0) || ((0 < task_w_s_a_attempt) && !((1 < task_w_s_a_attempt)))) && (!((workflow_w_state == 0)) || (workflow_w_run == 0)) && ((workflow_w_state == 0) || (0 < workflow_w_run)) && (!((workflow_w_s_state == 0)) || (workflow_w_s_run == 0)) && ((workflow_w_s_state == 0) || (0 < workflow_w_s_run)) && (!(((task_w_s_state == 0) || (task_w_s_state == 7))) || (task_w_s_not_before == 0)) && (!(((task_w_s_a_state == 0) || (task_w_s_a_state == 7))) || (task_w_s_a_not_before == 0)) && !((delivery_w_archive_attempt < 0)) && (!((delivery_w_archive_state == 0)) || (delivery_w_archive_attempt == 0)) && (!((delivery_w_archive_state == 7)) || (delivery_w_archive_attempt < 2)) && !((delivery_w_s_archive_attempt < 0)) && (!((delivery_w_s_archive_state == 0)) || (delivery_w_s_archive_attempt == 0)) && (!((delivery_w_s_archive_state == 7)) || (delivery_w_s_archive_attempt < 2))));
        assert((((old_workflow_w_state == 0) || (old_workflow_w_run < workflow_w_run) || (workflow_w_state == 0) || ((old_workflow_w_state == 3) && (workflow_w_state == 3)) || ((old_workflow_w_state == 4) && (workflow_w_state == 4)) || ((old_workflow_w_state == 5) && (workflow_w_state == 5)) || ((old_workflow_w_state == 6) && (workflow_w_state == 6)) || !(((old_workflow_w_state == 3) || (old_workflow_w_state == 4) || (old_workflow_w_state == 5) || (old_workflow_w_state == 6)))) && ((old_workflow_w_s_state == 0) || (old_workflow_w_s_run < workflow_w_s_run) || (workflow_w_s_state == 0) || ((old_workflow_w_s_state == 3) && (workflow_w_s_state == 3)) || ((old_workflow_w_s_state == 4) && (workflow_w_s_state == 4)) || ((old_workflow_w_s_state == 5) && (workflow_w_s_state == 5)) || ((old_workflow_w_s_state == 6) && (workflow_w_s_state == 6)) || !(((old_workflow_w_s_state == 3) || (old_workflow_w_s_state == 4) || (old_workflow_w_s_state == 5) || (old_workflow_w_s_state == 6)))) && ((old_task_w_s_state == 0) || (old_workflow_w_run < workflow_w_run) || (task_w_s_state == 0) || ((old_task_w_s_state == 3) && (task_w_s_state == 3)) || ((old_task_w_s_state == 10) && (task_w_s_state == 10)) || ((old_task_w_s_state == 11) && (task_w_s_state == 11)) || ((old_task_w_s_state == 4) && (task_w_s_state == 4)) || ((old_task_w_s_state == 12) && (task_w_s_state == 12)) || ((old_task_w_s_state == 5) && (task_w_s_state == 5)) || ((old_task_w_s_state == 13) && (task_w_s_state == 13)) || !(((old_task_w_s_state == 3) || (old_task_w_s_state == 10) || (old_task_w_s_state == 11) || (old_task_w_s_state == 4) || (old_task_w_s_state == 12) || (old_task_w_s_state == 5) || (old_task_w_s_state == 13)))) && ((old_task_w_s_a_state == 0) || (old_workflow_w_s_run < workflow_w_s_run) || (task_w_s_a_state == 0) || ((old_task_w_s_a_state == 3) && (task_w_s_a_state == 3)) || ((old_task_w_s_a_state == 10) && (task_w_s_a_state == 10)) || ((old_task_w_s_a_state == 11) && (task_w_s_a_state == 11)) || ((old_task_w_s_a_state == 4) && (task_w_s_a_state == 4)) || ((old_task_w_s_a_state == 12) && (task_w_s_a_state == 12)) || ((old_task_w_s_a_state == 5) && (task_w_s_a_state == 5)) || ((old_task_w_s_a_state == 13) && (task_w_s_a_state == 13)) || !(((old_task_w_s_a_state == 3) || (old_task_w_s_a_state == 10) || (old_task_w_s_a_state == 11) || (old_task_w_s_a_state == 4) || (old_task_w_s_a_state == 12) || (old_task_w_s_a_state == 5) || (old_task_w_s_a_state == 13)))) && ((old_workflow_w_state == 0) || !((!((old_workflow_w_state == 0)) && (workflow_w_state == 0))) || (((old_workflow_w_state == 3) || (old_workflow_w_state == 4) || (old_workflow_w_state == 5) || (old_workflow_w_state == 6)) && !(((old_workflow_w_s_state == 1) || (old_workflow_w_s_state == 2))) && ((old_delivery_w_s_archive_state == 15) || (old_delivery_w_s_archive_state == 0)) && ((old_delivery_w_archive_state == 15) || (old_delivery_w_archive_state == 0)) && (!((!((old_workflow_w_s_state == 0)) && !((old_workflow_w_s_run < 1)))) || (old_delivery_w_s_archive_state == 15)) && (!((!((old_workflow_w_state == 0)) && !((old_workflow_w_run < 1)))) || (old_delivery_w_archive_state == 15)) && (workflow_w_purged == 1))) && ((old_task_w_s_state == 0) || (old_workflow_w_run < workflow_w_run) || (task_w_s_state == 0) || !((task_w_s_handouts < old_task_w_s_handouts))) && ((old_task_w_s_a_state == 0) || (old_workflow_w_s_run < workflow_w_s_run) || (task_w_s_a_state == 0) || (!((task_w_s_a_handouts < old_task_w_s_a_handouts)) && (!((!((old_task_w_s_a_state == 9)) && (task_w_s_a_state == 9))) || (old_task_w_s_a_handouts < task_w_s_a_handouts)))) && ((old_task_w_s_a_state == 0) || !((!((old_task_w_s_a_state == 9)) && (task_w_s_a_state == 9))) || (old_workflow_w_s_state == 1))));
        c1 = 0;
        c2 = 0;
        v2_0 = 0;
        v2_1 = 0;
        v2_2 = 0;
        v2_3 = 0;
        c3 = 0;
        v3_0 = 0;
        v3_1 = 0;
        v3_2 = 0;
        v3_3 = 0;
        v1_0 = 0;
        v1_1 = 0;
        v1_2 = 0;
        v1_3 = 0;
        f0 = 0;
        c0 = 0;
        v0_1 = 0;
        v0_0 = 0;
        old_workflow_w_state = 0;
        old_workflow_w_run = 0;
        old_workflow_w_s_state = 0;
        old_workflow_w_s_run = 0;
        old_task_w_s_state = 0;
        old_task_w_s_a_state = 0;
        old_delivery_w_s_archive_state = 0;
        old_delivery_w_archive_state = 0;
        old_task_w_s_handouts = 0;
        old_task_w_s_a_handouts = 0;
        task_w_s_handouts = 0;
        task_w_s_a_handouts = 0;
        delivery_w_s_archive_claims = 0;
        delivery_w_archive_claims = 0;
      }
    }
  od
}
