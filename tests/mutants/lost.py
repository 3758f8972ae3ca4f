"""Mutants that lose data, serve the wrong thing, or tell what is not so."""

from tests.mutants.mutant import Mutant, product

_OWNERSHIP = "tests/unit/decide/test_ownership_and_deletion.py"
_TRAINING = "tests/unit/decide/test_training.py"
_COMPACTION = "tests/unit/serving/test_compaction.py"
_STORAGE = "tests/unit/storage/test_storage.py"

MUTANTS = (
    # --- what serves ------------------------------------------------------------------------------
    Mutant(
        name="follows-a-failed-version",
        harm="a failed retraining takes a campaign's good version away",
        edits=(
            product(
                "decide/rollout.py",
                "    good = [v for v in versions if usable(v)]",
                "    good = list(versions)",
            ),
            product(
                "decide/references.py",
                "        if not usable(found):\n",
                "        if not (usable(found) or found.kind.runs_to_completion):\n",
            ),
        ),
        tests=("tests/unit/decide/test_rollout.py",),
    ),
    Mutant(
        name="chooses-a-failed-version",
        harm="a failed retraining holds a campaign up",
        edits=(
            product(
                "decide/rollout.py",
                "    good = [v for v in versions if usable(v)]",
                "    good = list(versions)",
            ),
        ),
        tests=("tests/unit/decide/test_rollout.py",),
    ),
    Mutant(
        name="serves-a-pinned-failed-version",
        harm="a campaign is pinned to a version that failed, and an update is sent for it",
        edits=(
            product(
                "decide/references.py",
                "        if not usable(found):\n",
                "        if not (usable(found) or found.kind.runs_to_completion):\n",
            ),
        ),
        tests=("tests/unit/decide/test_rollout.py",),
    ),
    Mutant(
        name="serves-before-siblings-are-seen",
        harm="a restore rolls campaigns back to an older model",
        edits=(
            product(
                "decide/rollout.py",
                "    if unknown is not None:\n",
                "    if unknown is not None and not good:\n",
            ),
        ),
        tests=("tests/simulation/test_restore.py", "tests/unit/decide/test_rollout.py"),
    ),
    Mutant(
        name="what-serves-is-pruned",
        harm="history limits delete the version that a campaign serves",
        edits=(
            product(
                "decide/runs.py",
                "        if run.deleted is None and run.key.name not in keep\n",
                "        if run.deleted is None\n",
            ),
        ),
        tests=(f"{_TRAINING}::test_history_limits_never_prune_what_serves_served_or_is_pinned",),
    ),
    # --- deletions --------------------------------------------------------------------------------
    Mutant(
        name="data-is-not-retained",
        harm="deleting a manifest deletes data and trainings",
        edits=(
            product(
                "decide/deletion.py",
                "    return DeletionPolicy.RETAIN if resource.kind.retained_by_default else DeletionPolicy.DELETE",
                "    return DeletionPolicy.DELETE",
            ),
        ),
        tests=(
            f"{_OWNERSHIP}"
            "::test_what_holds_data_or_cost_a_training_is_retained_unless_somebody_says_otherwise",
        ),
    ),
    Mutant(
        name="dependents-are-not-waited-for",
        harm="a group goes while campaigns still build on it",
        edits=(
            product(
                "decide/deletion.py",
                "    if situation.dependents:\n",
                "    if not situation.now:\n",
            ),
        ),
        tests=(f"{_OWNERSHIP}::test_r5_nothing_is_deleted_while_somebody_still_refers_to_it",),
    ),
    Mutant(
        name="unsettled-absence-lets-go",
        harm="what was started a moment ago is left running, and nothing stands for it",
        edits=(
            product(
                "decide/deletion.py", "    if absent.settled:\n", "    if absent is not None:\n"
            ),
        ),
        tests=(f"{_OWNERSHIP}::test_r5_what_lists_may_not_show_yet_is_not_let_go",),
    ),
    Mutant(
        name="in-cluster-data-without-deletion",
        harm="an object that is made anew takes its data with it",
        edits=(
            product(
                "engines/incluster/engine.py",
                "        if driver.delete_before is not None and resource.deleted is not None:",
                "        if driver.delete_before is not None:",
            ),
        ),
        tests=(
            "tests/unit/engines/incluster/test_deletion.py"
            "::test_r5_data_goes_by_a_deletion_timestamp_alone",
        ),
    ),
    Mutant(
        name="deletion-by-name-alone",
        harm="a resource that was just made again is deleted in place of the earlier one",
        edits=(
            product(
                "cluster/requests.py",
                '        "preconditions": {"uid": uid},\n',
                "",
            ),
        ),
        tests=("tests/cluster/test_store.py::test_only_the_resource_that_was_meant_is_deleted",),
    ),
    # --- statuses ---------------------------------------------------------------------------------
    Mutant(
        name="status-without-precondition",
        harm="a replica with old news writes over a newer status",
        edits=(
            product(
                "loop/reconciler.py",
                "            resource.key, change, resource.resource_version, dry_run=dry_run\n",
                "            resource.key, change, None, dry_run=dry_run\n",
            ),
        ),
        tests=("tests/unit/loop/test_reconciler.py",),
    ),
    Mutant(
        name="intent-without-precondition",
        harm="a replica with old news starts a training that another one started",
        edits=(
            product(
                "loop/acting.py",
                '            resource.key, {"intent": intent}, resource.resource_version\n',
                '            resource.key, {"intent": intent}, None\n',
            ),
        ),
        tests=("tests/unit/loop/test_reconciler.py",),
    ),
    Mutant(
        name="store-without-precondition",
        harm="every status write overrules what it has not seen",
        edits=(
            product(
                "loop/kubernetes.py",
                'body={"metadata": {"resourceVersion": resource_version}, "status": status_patch},',
                'body={"status": status_patch},',
            ),
        ),
        tests=(
            "tests/cluster/test_store.py::test_a_stale_status_is_refused_and_a_fresh_one_merged",
        ),
    ),
    Mutant(
        name="older-news-undo-a-write",
        harm="the operator acts on what it has itself changed since",
        edits=(
            product(
                "loop/cache.py",
                "            if pending is not None and self._clock() < pending.deadline:\n",
                "            if pending is not None and self._clock() > pending.deadline:\n",
            ),
        ),
        tests=("tests/unit/loop/test_cache.py",),
    ),
    Mutant(
        name="a-list-undoes-what-changed-since",
        harm="a slow list takes new resources out of the cache",
        edits=(
            product(
                "loop/cache.py",
                "            if key not in found and self._touched.get(key, 0) <= mark\n",
                "            if key not in found\n",
            ),
        ),
        tests=("tests/unit/loop/test_cache.py",),
    ),
    # --- events -----------------------------------------------------------------------------------
    Mutant(
        name="answered-before-it-is-kept",
        harm="events that were answered with 200 are lost when the online store is full or away",
        edits=(
            product(
                "serving/collector.py",
                "                await self._client.xadd(self._stream, fields)",
                "                asyncio.ensure_future(self._client.xadd(self._stream, fields))",
            ),
        ),
        tests=("tests/serving/test_collector.py",),
    ),
    Mutant(
        name="acknowledged-before-the-log",
        harm="events are lost when storage fails, or the consumer dies, before they are written",
        edits=(
            product(
                "serving/event_log.py",
                """        rows = await asyncio.to_thread(self._write, entries)
        await self._reader.acknowledge([entry.id for entry in entries])
""",
                """        await self._reader.acknowledge([entry.id for entry in entries])
        rows = await asyncio.to_thread(self._write, entries)
""",
            ),
        ),
        tests=("tests/serving/test_event_log.py",),
    ),
    Mutant(
        name="trimmed-before-it-is-done",
        harm="events that a consumer held when it died are gone from the stream",
        edits=(
            product(
                "serving/stream.py",
                "        oldest.append(_parts(_text(first)) if first else (delivered[0], delivered[1] + 1))",
                "        oldest.append((delivered[0], delivered[1] + 1))",
            ),
        ),
        tests=("tests/serving/test_event_log.py",),
    ),
    Mutant(
        name="events-counted-twice",
        harm="an event that is delivered again counts twice",
        edits=(
            product(
                "serving/history.py",
                "and not string.find(history, '\\n' .. start, 1, true) then",
                "then",
            ),
        ),
        tests=("tests/serving/test_events.py::test_events_become_history_and_log",),
    ),
    Mutant(
        name="clients-clocks-are-believed",
        harm="one event dated 2100 makes everything else old",
        edits=(
            product(
                "serving/events.py",
                "        sent_at=min(epoch_seconds(event.sentAt), now),",
                "        sent_at=epoch_seconds(event.sentAt),",
            ),
        ),
        tests=(
            "tests/contract/serving/test_requests.py"
            "::test_what_is_dated_later_than_it_came_counts_as_of_then",
        ),
    ),
    Mutant(
        name="valkey-everysec",
        harm="acknowledged events of the last second are lost when a node fails",
        edits=(
            product(
                "engines/incluster/groups.py",
                '        "--appendfsync": "always",',
                '        "--appendfsync": "everysec",',
            ),
        ),
        tests=("tests/serving/test_collector.py",),
    ),
    Mutant(
        name="store-of-ones-own-everysec",
        harm="nobody is told that a store of one's own loses events",
        edits=(
            product(
                "serving/collector.py",
                '    "appendfsync": ("always",',
                '    "appendfsync": ("everysec",',
            ),
        ),
        tests=("tests/serving/test_collector.py",),
    ),
    Mutant(
        name="valkey-evicts",
        harm="a full store drops events and histories instead of refusing new ones",
        edits=(
            product(
                "engines/incluster/groups.py",
                '        "--maxmemory-policy": "noeviction",',
                '        "--maxmemory-policy": "allkeys-lru",',
            ),
        ),
        tests=("tests/serving/test_collector.py",),
    ),
    # --- files ------------------------------------------------------------------------------------
    Mutant(
        name="no-fsync-of-contents",
        harm="a node that fails leaves files of the right name without contents",
        edits=(
            product(
                "storage/folder.py",
                "        file.flush()\n        os.fsync(file.fileno())\n",
                "        file.flush()\n",
            ),
        ),
        tests=("tests/unit/storage/test_durability.py",),
    ),
    Mutant(
        name="no-fsync-of-uploads",
        harm="a node that fails leaves a model's name without the model",
        edits=(
            product(
                "storage/folder.py",
                "                target.flush()\n                os.fsync(target.fileno())\n",
                "                target.flush()\n",
            ),
        ),
        tests=("tests/unit/storage/test_durability.py",),
    ),
    Mutant(
        name="no-fsync-of-names",
        harm="a node that fails forgets files that counted as written",
        edits=(
            product(
                "storage/folder.py",
                "    handle = os.open(folder, os.O_RDONLY)\n    try:\n        os.fsync(handle)\n",
                "    handle = os.open(folder, os.O_RDONLY)\n    try:\n        pass\n",
            ),
        ),
        tests=("tests/unit/storage/test_durability.py",),
    ),
    Mutant(
        name="replaced-whatever-it-holds",
        harm="of two imports that end together one does not count",
        edits=(
            product(
                "storage/folder.py",
                "                if path.read_bytes() != was:\n                    return False\n",
                "                path.read_bytes()\n",
            ),
        ),
        tests=(f"{_STORAGE}::test_a_file_is_replaced_only_while_it_is_what_was_read[folder]",),
    ),
    Mutant(
        name="merged-sources-go-at-once",
        harm="a training that reads meanwhile fails or misses events",
        edits=(
            product(
                "serving/compaction.py",
                "        if merge.made + KEPT_SECONDS <= now\n",
                "        if merge.made <= now\n",
            ),
        ),
        tests=(f"{_COMPACTION}::test_a_file_is_deleted_a_day_after_it_was_merged",),
    ),
    Mutant(
        name="manifest-before-the-model",
        harm="a version counts as trained whose model is not there",
        edits=(
            product(
                "jobs/training.py",
                """    store.upload(key, path)  # also over one that is there: it may be damaged
    write(store, places.version(manifest.solution, manifest.version), manifest)
""",
                """    write(store, places.version(manifest.solution, manifest.version), manifest)
    store.upload(key, path)  # also over one that is there: it may be damaged
""",
            ),
        ),
        tests=(
            "tests/unit/jobs/test_train.py"
            "::test_a_model_that_storage_does_not_take_makes_no_version",
        ),
    ),
    Mutant(
        name="bad-rows-are-imported",
        harm="data that breaks its schema replaces good data",
        edits=(
            product(
                "jobs/importing.py", "    if findings.rejected:\n", "    if findings is None:\n"
            ),
        ),
        tests=(
            "tests/unit/jobs/test_import.py"
            "::test_a_bad_row_refuses_the_import_and_says_which_row_and_what_is_allowed",
        ),
    ),
    Mutant(
        name="late-import-replaces-a-newer-one",
        harm="old data comes back when an earlier import is noticed late",
        edits=(
            product(
                "jobs/snapshots.py",
                """    if any(one.mode == "Full" and one.since > new.since for one in counting):
        return list(counting)
""",
                "",
            ),
        ),
        tests=(
            "tests/unit/jobs/test_import.py"
            "::test_what_was_asked_for_last_counts_whichever_ends_first",
        ),
    ),
    Mutant(
        name="damaged-model-serves",
        harm="a campaign answers from a model that was damaged on its way",
        edits=(
            product(
                "storage/digests.py",
                "    if found != digest:\n",
                "    if not found:\n",
            ),
        ),
        tests=(
            f"{_STORAGE}"
            "::test_a_large_file_goes_there_and_back_and_is_read_from_any_position[folder]",
        ),
    ),
)
