"""Mutants that pay for something twice, or never again."""

from tests.mutants.mutant import Mutant, product

_TRAINING = "tests/unit/decide/test_training.py"
_RULES = "tests/unit/decide/test_training_rules.py"
_OWNERSHIP = "tests/unit/decide/test_ownership_and_deletion.py"
_MONEY = "tests/simulation/test_money.py"
_FINDING = "tests/contract/personalize/test_finding.py"

MUTANTS = (
    # --- calls whose outcome nobody knows ---------------------------------------------------------
    Mutant(
        name="no-intent-recorded",
        harm="a crash between call and record pays for a second training",
        edits=(
            product(
                "decide/absent.py",
                "        record_intent=situation.unproven,",
                "        record_intent=False,",
            ),
        ),
        # The drawn worlds must tell, and some of the first of CI's 300 do.
        tests=tuple(
            f"tests/simulation/test_seeds.py::test_every_rule_holds_in_every_world[{first}]"
            for first in (0, 10, 20, 30)
        ),
        says="was trained 2 times",
        seconds=900,
    ),
    Mutant(
        name="intent-recorded-after-the-call",
        harm="a crash right after the call pays for a second training",
        edits=(
            product(
                "loop/acting.py",
                """        if isinstance(action, CreateExternal) and action.record_intent:
            return await self._record_intent(resource, action)
        return resource
""",
                "        return resource\n",
            ),
            product(
                "loop/acting.py",
                """                recorded = {"external": {"name": desired.name, "arn": id_}}
""",
                """                recorded = {"external": {"name": desired.name, "arn": id_}}
                if action.record_intent:
                    resource = await self._record_intent(resource, action)
""",
            ),
        ),
        tests=("tests/simulation/test_paid_calls.py",),
    ),
    Mutant(
        name="pruned-intent-is-not-missed",
        harm="with CRDs of an older release every crash may pay for a second training",
        edits=(
            product(
                "loop/acting.py",
                '        if written.raw_status.get("intent") != intent:\n',
                "        if written is None:\n",
            ),
        ),
        tests=("tests/simulation/test_old_crds.py",),
    ),
    Mutant(
        name="decisions-are-not-confirmed",
        harm="what a user says while a call waits for its turn comes too late",
        edits=(
            product(
                "loop/confirming.py",
                "        if action not in lifecycle.decide(self.looker.renewed(situation, resource)).actions:\n",
                "        if action is None:\n",
            ),
        ),
        tests=(
            "tests/simulation/test_waiting_calls.py"
            "::test_a_finalizer_goes_by_the_policy_that_the_class_has_now",
            "tests/simulation/test_waiting_calls.py::test_an_update_heeds_a_pause_and_a_later_edit",
        ),
    ),
    Mutant(
        name="lagging-lists-are-believed",
        harm="what no list shows yet is trained again by the next leader",
        edits=(
            product(
                "decide/absent.py",
                """    if not situation.unproven:
        return None
""",
                """    if situation.now:
        return None
""",
            ),
        ),
        tests=(
            f"{_OWNERSHIP}::test_r4_an_intent_without_a_result_is_looked_into_before_another_call",
            "tests/simulation/test_paid_calls.py",
        ),
    ),
    Mutant(
        name="lists-are-settled-at-once",
        harm="a training that lists do not show yet counts as never started",
        edits=(
            product(
                "engines/personalize/finding.py",
                "    return Absent(settled=snapshot.started >= called + finder.settings.settle)",
                "    return Absent()",
            ),
        ),
        tests=(_FINDING,),
    ),
    Mutant(
        name="list-from-before-the-call",
        harm="a list that was started before a call hides what the call made",
        edits=(
            product(
                "engines/personalize/finding.py",
                "        serial = self.last_call(search).serial",
                "        serial = 0",
            ),
        ),
        tests=(_FINDING,),
    ),
    Mutant(
        name="intent-dropped-on-unknown-outcome",
        harm="a call whose answer was lost is made again at once",
        edits=(
            product(
                "decide/failures.py",
                "        failure.outcome_unknown or failure.error_class is ErrorClass.EXISTS",
                "        failure.error_class is ErrorClass.EXISTS",
            ),
        ),
        tests=("tests/simulation/test_paid_calls.py",),
    ),
    Mutant(
        name="let-go-before-lists-show-it",
        harm="a version applied again right after its deletion is trained again",
        edits=(
            product(
                "decide/deletion.py",
                "    wait = unlisted_for(situation) if doubtful else 0.0",
                "    wait = unlisted_for(situation) if not doubtful else 0.0",
            ),
        ),
        tests=(
            f"{_OWNERSHIP}"
            "::test_r4_a_version_is_let_go_only_once_whoever_applies_it_again_will_find_it",
        ),
    ),
    Mutant(
        name="changes-are-sent-again-by-the-client",
        harm="the SDK repeats a paid call whose answer was lost",
        edits=(
            product(
                "engines/personalize/aws.py",
                "        client = services.changes if errors.is_mutating(operation) else services.reads",
                "        client = services.reads",
            ),
        ),
        tests=(
            "tests/contract/personalize/test_aws.py"
            "::test_r4_a_lost_answer_to_a_change_is_told_as_such_and_not_repeated",
        ),
    ),
    # --- when to train ----------------------------------------------------------------------------
    Mutant(
        name="refused-holds-nothing",
        harm="a training that fails for its data is paid for at each scheduled time",
        edits=(
            product(
                "decide/outcomes.py",
                "    return ends is None or now < ends",
                "    return now is None",
            ),
        ),
        tests=(f"{_TRAINING}::test_r4_the_input_that_failed_is_not_trained_again_on_schedule",),
    ),
    Mutant(
        name="by-hand-holds-the-rest",
        harm="one failed try by hand ends all trainings that nobody asks for",
        edits=(
            product(
                "decide/runs.py",
                """    if run.annotations.get(ANNOTATION_TRIGGER) not in _AUTOMATIC or run.spec is None:
""",
                """    if run.spec is None:
""",
            ),
        ),
        tests=(f"{_TRAINING}::test_r4_a_try_by_hand_that_failed_holds_no_first_training_back",),
    ),
    Mutant(
        name="retries-without-end",
        harm="a training that fails by the service's fault is paid for again and again",
        edits=(
            product(
                "decide/outcomes.py",
                "        attempts=1 if long_lived else runs.attempt(newest),",
                "        attempts=1,",
            ),
        ),
        tests=(f"{_RULES}::test_transient_failures_are_tried_again_with_backoff",),
    ),
    Mutant(
        name="stopped-counts-as-refused",
        harm="a person who stops one training ends all scheduled ones",
        edits=(
            product(
                "decide/outcomes.py",
                "    Reason.STOPPED: RunOutcome.STOPPED,",
                "    Reason.STOPPED: RunOutcome.REFUSED,",
            ),
        ),
        tests=(f"{_MONEY}::test_a_training_that_a_person_stopped_holds_no_schedule_back",),
    ),
    Mutant(
        name="pause-is-caught-up-on",
        harm="un-suspending a Solution trains at once for times that have passed",
        edits=(
            product(
                "decide/triggers.py",
                "        if anew or last is None or",
                "        if last is None or",
            ),
        ),
        tests=(f"{_MONEY}::test_a_pause_that_ends_does_not_catch_up_on_scheduled_times",),
    ),
    Mutant(
        name="edited-schedule-is-caught-up-on",
        harm="each edit of a schedule pays for a training",
        edits=(
            product(
                "decide/triggers.py",
                "last is None or last.schedule != said or last.handled_through > now + CLOCK_SKEW:",
                "last is None or last.handled_through > now + CLOCK_SKEW:",
            ),
        ),
        tests=(f"{_MONEY}::test_an_edited_schedule_trains_at_its_next_time_and_no_earlier",),
    ),
    Mutant(
        name="recorded-future-stops-schedules",
        harm="a clock that was a year ahead once ends all trainings",
        edits=(
            product(
                "decide/triggers.py",
                " or last.handled_through > now + CLOCK_SKEW:",
                ":",
            ),
        ),
        tests=(f"{_MONEY}::test_a_clock_that_was_ahead_stops_no_schedule",),
    ),
    Mutant(
        name="tick-before-the-newest-start",
        harm="a first training is followed by one for a time before it",
        edits=(
            product(
                "decide/triggers.py",
                "through if newest is None else max(through, newest)",
                "through if newest is None else min(through, newest)",
            ),
        ),
        tests=(_TRAINING, _MONEY),
    ),
    Mutant(
        name="trains-while-training",
        harm="a schedule starts a second training while the first still runs",
        edits=(
            product(
                "decide/training_history.py",
                "        return next((v for v in self.versions if not runs.finished(v) and not runs.idle(v)), None)",
                "        return None",
            ),
        ),
        tests=(f"{_TRAINING}::test_r4_nothing_starts_while_a_training_runs",),
    ),
    Mutant(
        name="run-now-for-ever",
        harm="one annotation trains again and again",
        edits=(
            product(
                "decide/triggers.py",
                "    return None if asked is None or asked == handled else Trigger(",
                "    return None if asked is None or asked == handled == asked * 2 else Trigger(",
            ),
        ),
        tests=(f"{_TRAINING}::test_run_now_trains_once_for_each_value",),
    ),
    Mutant(
        name="new-data-is-not-asked-for",
        harm="onlyIfNewData saves nothing",
        edits=(
            product(
                "decide/training.py",
                "    if situation.resource.spec.training.only_if_new_data and not _new_data(history):",
                "    if situation.resource.spec.training.only_if_new_data and not history.versions:",
            ),
        ),
        tests=(f"{_TRAINING}::test_without_new_data_a_schedule_can_be_told_to_save_the_money",),
    ),
    Mutant(
        name="unknown-data-counts-as-changed",
        harm="deleting a Dataset's resource, or a restore, starts a paid training",
        edits=(
            product(
                "decide/inputs.py",
                "        before.data.get(key) != value for key, value in now.data.items()",
                "        now.data.get(key) != value for key, value in before.data.items()",
            ),
        ),
        tests=(
            f"{_RULES}::test_what_is_not_known_of_the_data_is_no_change",
            f"{_MONEY}::test_a_dataset_deleted_and_applied_again_starts_no_training",
        ),
    ),
    Mutant(
        name="remade-solution-is-not-trained",
        harm="a Solution that was deleted outside is made again and never trained",
        edits=(
            product(
                "decide/training_history.py",
                "    same = before.object_time in {None, made}",
                "    same = before.object_time is None or before.object_time <= made",
            ),
        ),
        tests=(f"{_RULES}::test_a_status_of_before_says_nothing_of_a_solution_made_anew",),
    ),
    Mutant(
        name="child-named-after-the-state-wanted",
        harm="data that returns to an earlier state is never imported again",
        edits=(
            product(
                "decide/triggers.py",
                '    return names.triggered_child(parent.key.name, f"{number}:{trigger.asked}")',
                "    return names.triggered_child(parent.key.name, trigger.asked)",
            ),
        ),
        tests=(f"{_MONEY}::test_data_that_returns_to_an_earlier_state_is_imported_again",),
    ),
    Mutant(
        name="known-versions-are-not-adopted",
        harm="a cluster rebuilt from Git pays for all its trainings again",
        edits=(
            product(
                "decide/training.py",
                "    newest = [v for v in external if v.state in LIVE]",
                "    newest = [v for v in external if v.state not in LIVE]",
            ),
        ),
        tests=(
            f"{_TRAINING}"
            "::test_r7_versions_that_the_engine_has_are_taken_over_instead_of_trained_again",
        ),
    ),
    # --- what is kept, and what is done again -----------------------------------------------------
    Mutant(
        name="failed-limit-plus-one",
        harm="one failed version more than the limit stays",
        edits=(
            product(
                "decide/runs.py",
                "    surplus += [run for run in owned if not good(run)][failed_limit:]",
                "    surplus += [run for run in owned if not good(run)][failed_limit + 1 :]",
            ),
        ),
        tests=(f"{_TRAINING}::test_history_limits_keep_exactly_the_newest_so_many",),
    ),
    Mutant(
        name="good-limit-minus-one",
        harm="a version that somebody may want to go back to is deleted early",
        edits=(
            product(
                "decide/runs.py",
                "    surplus = [run for run in owned if good(run)][good_limit:]",
                "    surplus = [run for run in owned if good(run)][max(0, good_limit - 1) :]",
            ),
        ),
        tests=(f"{_TRAINING}::test_history_limits_keep_exactly_the_newest_so_many",),
    ),
    Mutant(
        name="base-of-updates-is-pruned",
        harm="updates turn into full trainings, at their price",
        edits=(
            product(
                "decide/training.py",
                "    if _updates(situation.resource, versions):",
                "    if not _updates(situation.resource, versions):",
            ),
        ),
        tests=(f"{_RULES}::test_history_limits_keep_the_version_that_updates_start_from",),
    ),
    Mutant(
        name="failed-update-is-repeated",
        harm="a rollout that fails is started again at every look",
        edits=(
            product(
                "decide/drift.py",
                "        and update.state is State.FAILED\n",
                "        and update.state is State.DELETING\n",
            ),
        ),
        tests=("tests/unit/decide/test_state_table.py",),
    ),
    Mutant(
        name="trained-version-is-trained-again",
        harm="a Job that is started again trains a version that there is",
        edits=(
            product(
                "jobs/training.py",
                """    manifest = read(store, places.version(task.solution, task.version), VersionManifest)
    if manifest is None:
        _check_settings(task)
""",
                """    manifest = read(store, places.version(task.solution, task.version), VersionManifest)
    if manifest is not None or manifest is None:
        _check_settings(task)
""",
            ),
        ),
        tests=("tests/unit/jobs/test_train.py::test_a_trained_version_is_not_trained_again",),
    ),
    # --- two at once ------------------------------------------------------------------------------
    Mutant(
        name="no-fence",
        harm="a replica that lost the lease goes on paying",
        edits=(
            product(
                "loop/acting.py",
                """        if not self.fence():
            raise FenceLost
        if isinstance(action, CreateExternal)""",
                "        if isinstance(action, CreateExternal)",
            ),
            product(
                "loop/acting.py",
                """        if not self.fence():
            raise FenceLost
        log.info(""",
                "        log.info(",
            ),
        ),
        tests=(
            "tests/unit/loop/test_reconciler.py"
            "::test_r12_who_loses_the_lease_while_waiting_for_a_turn_changes_nothing",
        ),
    ),
    Mutant(
        name="two-leaders",
        harm="two replicas act at once while one is cut off",
        edits=(
            product(
                "loop/lease.py",
                "        self._valid_until = began + self._timing.renew_deadline",
                "        self._valid_until = began + 3 * self._timing.duration",
            ),
        ),
        tests=("tests/unit/loop/test_lease.py",),
    ),
    Mutant(
        name="two-workers-on-one-key",
        harm="two workers make one object twice",
        edits=(
            product(
                "loop/queue.py",
                "        if key in self._processing:\n",
                "        if key in self._deadlines:\n",
            ),
        ),
        tests=("tests/unit/loop/test_queue.py",),
    ),
)
