"""Mutants that take, read or delete what is somebody else's."""

from tests.mutants.mutant import Mutant, product

_OWNERSHIP = "tests/unit/decide/test_ownership_and_deletion.py"
_FINDING = "tests/contract/personalize/test_finding.py"
_STORAGE = "tests/unit/storage/test_storage.py"

MUTANTS = (
    Mutant(
        name="unmarked-is-ours",
        harm="a mistyped name takes over what nobody marked",
        edits=(
            product(
                "decide/ownership.py",
                "        return None if _policy(situation) is AdoptionPolicy.ADOPT else _unmarked(observed)",
                "        return None",
            ),
        ),
        tests=(
            f"{_OWNERSHIP}::test_r6_what_stands_under_our_name_is_taken_only_as_the_table_says",
        ),
    ),
    Mutant(
        name="owner-without-cluster",
        harm="two clusters with equal names share and delete one object",
        edits=(
            product(
                "decide/ownership.py",
                "    owner = names.owner_in(observed.tags)\n",
                "    owner = names.owner_in({**observed.tags, names.TAG_CLUSTER: situation.identity.cluster})\n",
            ),
        ),
        tests=(_OWNERSHIP,),
    ),
    Mutant(
        name="others-are-deleted-with-ours",
        harm="deleting a resource deletes somebody else's object of its name",
        edits=(
            product(
                "decide/deletion.py",
                "    if ownership.foreign(situation, observed) is not None:\n        return _gone(situation)\n",
                "",
            ),
        ),
        tests=(f"{_OWNERSHIP}::test_r5_what_is_not_ours_survives_our_deletion",),
    ),
    Mutant(
        name="observe-acts",
        harm="what is to be only observed is changed",
        edits=(
            product(
                "decide/present.py",
                "            actions=tuple(a for a in decision.actions if not isinstance(a, EngineAction)),",
                "            actions=decision.actions,",
            ),
            product(
                "decide/drift.py",
                "    if situation.resource.spec.management_policy is ManagementPolicy.OBSERVE:\n        return _only_observed",
                "    if desired is None:\n        return _only_observed",
            ),
        ),
        tests=(f"{_OWNERSHIP}::test_observe_changes_nothing_whatever_differs",),
    ),
    Mutant(
        name="class-that-moved-is-followed",
        harm="an edited region makes everything anew in another one, and forgets the first",
        edits=(
            product(
                "decide/lifecycle.py",
                "        if was is not None and is_now is not None and was != is_now:",
                "        if was is None and is_now is not None and was != is_now:",
            ),
        ),
        tests=(f"{_OWNERSHIP}::test_another_region_in_the_class_stops_everything_and_says_so",),
    ),
    Mutant(
        name="others-account-proves-absence",
        harm="with another account's credentials everything looks deleted and is made again",
        edits=(
            product(
                "engines/personalize/finding.py",
                "        elif here not in {None, account}:",
                "        elif here is None:",
            ),
        ),
        tests=(
            f"{_FINDING}::test_r5_an_empty_account_says_nothing_of_what_is_recorded_in_another",
            f"{_FINDING}::test_a_record_of_another_account_is_never_taken_for_deleted",
        ),
    ),
    Mutant(
        name="in-cluster-update-takes-theirs",
        harm="an update writes over an object of the user's own in the namespace",
        edits=(
            product(
                "engines/incluster/engine.py",
                "            if found is not None and not _same_owner(found, one):",
                "            if found is None and not _same_owner(one, one):",
            ),
        ),
        tests=(
            "tests/unit/engines/incluster/test_deletion.py"
            "::test_r6_an_update_takes_no_object_of_somebody_else",
        ),
    ),
    Mutant(
        name="claim-of-a-living-owner",
        harm="a group of the same name in another cluster takes the data over",
        edits=(
            product(
                "workload/claims.py",
                "    if name_of(found) != name_of(wanted):\n",
                "    if found.namespace != wanted.namespace:\n",
            ),
        ),
        tests=(
            "tests/unit/storage/test_groups.py"
            "::test_the_first_claim_wins_and_may_be_repeated[folder]",
        ),
    ),
    Mutant(
        name="catalog-deletes-for-anybody",
        harm="any pod can delete a group's data",
        edits=(
            product(
                "serving/catalog.py",
                '        if method == "DELETE" and dict(scope["headers"]).get(_OWNER_HEADER) != self._owner:',
                '        if method == "PUT" and dict(scope["headers"]).get(_OWNER_HEADER) != self._owner:',
            ),
        ),
        tests=(
            "tests/serving/test_catalog.py::test_deletions_need_the_owner_and_heed_what_is_used",
        ),
    ),
    Mutant(
        name="source-inside-storage",
        harm="an import reads the data of another group",
        edits=(
            product(
                "storage/locations.py",
                "        if asked.startswith(root) or root.startswith(asked):",
                "        if asked == root:",
            ),
        ),
        tests=(f"{_STORAGE}::test_no_source_lies_where_groups_are_kept",),
    ),
    Mutant(
        name="links-lead-out-of-the-volume",
        harm="a link on a volume reads any file of the pod",
        edits=(
            product(
                "storage/folder.py",
                """        if real != self._real and not real.startswith(f"{self._real.rstrip('/')}/"):""",
                """        if not real.startswith("/"):""",
            ),
        ),
        tests=(f"{_STORAGE}::test_a_folder_is_not_left_by_dots_or_links",),
    ),
    Mutant(
        name="last-claim-wins",
        harm="of two groups of one name the later takes the data of the first",
        edits=(
            product(
                "storage/folder.py",
                "            except FileExistsError:\n                return False\n            except OSError as error:",
                "            except FileExistsError:\n                unfinished.replace(path)\n            except OSError as error:",
            ),
        ),
        tests=(f"{_STORAGE}::test_only_the_first_of_many_writers_writes_what_was_absent[folder]",),
    ),
    Mutant(
        name="log-of-another-is-compacted",
        harm="files of a group that was taken over are merged and deleted",
        edits=(
            product(
                "serving/compaction.py",
                "        if read(self._files, self._places.owner, Owner) != self._owner:",
                "        if read(self._files, self._places.owner, Owner) is None:",
            ),
        ),
        tests=(
            "tests/unit/serving/test_compaction.py::test_a_group_of_another_s_is_let_alone[folder]",
        ),
    ),
)
