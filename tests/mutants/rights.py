"""Mutants that take, read or delete what is somebody else's."""

from tests.mutants.mutant import Mutant, product

_OWNERSHIP = "tests/unit/decide/test_ownership_and_deletion.py"
_TENANCY = "tests/unit/decide/test_tenancy.py"
_TAKEN = "test_r6_what_another_owns_is_taken_by_the_owners_word_or_the_classs"
_FINDING = "tests/contract/personalize/test_finding.py"
_STORAGE = "tests/unit/storage/test_storage.py"
_SIGNING = "tests/contract/serving/test_signing.py"

MUTANTS = (
    Mutant(
        name="unmarked-is-ours",
        harm="a mistyped name takes over what nobody marked",
        edits=(
            product(
                "decide/ownership.py",
                "    if _policy(situation) is AdoptionPolicy.ADOPT and allowed:\n",
                "    if allowed:\n",
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
                "decide/owners.py",
                """    marked = names.owner_in(observed.tags) if observed.tags is not None else None
    if marked is not None or situation.owner is None:
""",
                """    here = {**(observed.tags or {}), names.TAG_CLUSTER: situation.identity.cluster}
    marked = names.owner_in(here) if observed.tags is not None else None
    if marked is not None or situation.owner is None:
""",
            ),
        ),
        tests=(_OWNERSHIP, f"{_TENANCY}::{_TAKEN}"),
    ),
    Mutant(
        name="takers-word-suffices",
        harm="a namespace takes and deletes what another owns by an annotation of its own",
        edits=(
            product(
                "decide/handover.py",
                "        if owner.annotations.get(ANNOTATION_RELEASE_TO) != claim.me:\n",
                "        if claim.adopt_from != claim.owner:\n",
            ),
        ),
        tests=(f"{_TENANCY}::{_TAKEN}",),
    ),
    Mutant(
        name="dead-clusters-are-anybodys",
        harm="any namespace takes what another cluster owns",
        edits=(
            product(
                "decide/handover.py",
                "    elif not own and cluster not in given.from_clusters:\n",
                "    elif not own and claim.adopt_from != claim.owner:\n",
            ),
        ),
        tests=(f"{_TENANCY}::{_TAKEN}",),
    ),
    Mutant(
        name="class-admits-everybody",
        harm="a namespace that a class does not admit spends its money",
        edits=(
            product(
                "decide/tenancy.py",
                "    if not _may_use(view.tenancy, namespace, labels or {}):\n",
                "    if namespace is None:\n",
            ),
        ),
        tests=(f"{_TENANCY}::test_a_class_is_used_by_the_namespaces_that_it_admits",),
    ),
    Mutant(
        name="any-external-name",
        harm="a namespace names, and so takes, the objects of others",
        edits=(
            product(
                "decide/tenancy.py",
                "        or given.allows_name(name)\n",
                "        or name\n",
            ),
        ),
        tests=(f"{_TENANCY}::test_r6_a_namespace_uses_its_own_names_and_those_it_is_given",),
    ),
    Mutant(
        name="anybody-observes",
        harm="a namespace reads the tracking id of another's events",
        edits=(
            product(
                "decide/tenancy.py",
                'owner.startswith(f"{situation.identity.cluster}/{resource.key.namespace}/"):',
                'owner.startswith(f"{situation.identity.cluster}/"):',
            ),
        ),
        tests=(f"{_TENANCY}::test_r14_what_others_own_is_shown_where_the_class_lets",),
    ),
    Mutant(
        name="anybody-builds-on-what-is-observed",
        harm="a campaign serves the model of another namespace",
        edits=(
            product(
                "decide/tenancy.py",
                """            and found.spec.management_policy is ManagementPolicy.OBSERVE
            and not names.has_own_name(found)
""",
                """            and found.spec.management_policy is None
            and not names.has_own_name(found)
""",
            ),
        ),
        tests=(f"{_TENANCY}::test_r6_what_is_only_observed_is_built_on_where_the_class_lets",),
    ),
    Mutant(
        name="mistyped-adoption-deletes",
        harm="deleting a resource that was mistyped deletes a live campaign",
        edits=(
            product(
                "decide/ownership.py",
                "    return made or untagged_part or _was_in_sync(situation) or _made_by_us(situation, observed)\n",
                "    return made or not made or untagged_part\n",
            ),
        ),
        tests=(f"{_TENANCY}::test_r5_what_was_never_ours_is_left_alone_whatever_the_policy",),
    ),
    Mutant(
        name="others-are-deleted-with-ours",
        harm="deleting a resource deletes somebody else's object of its name",
        edits=(
            product(
                "decide/deletion.py",
                """    if ownership.foreign(situation, observed) is not None:
        return _gone(situation)
    if not ownership.provably_ours(situation, observed):
""",
                """    if observed.state is None:
""",
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
                "decide/placement.py",
                "        if was is not None and is_now is not None and was != is_now:",
                "        if was is not None and is_now is None:",
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
            "::test_whoever_differs_in_any_part_of_its_name_is_another[folder]",
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
                "            if same_place(ours, s3, parts_of(key)):\n",
                "            if ours.prefix == key:\n",
            ),
        ),
        tests=(f"{_STORAGE}::test_no_source_lies_where_groups_are_kept",),
    ),
    Mutant(
        name="alias-of-the-storage",
        harm="an import reads the data of another group under another name of the endpoint",
        edits=(
            product(
                "storage/apart.py",
                '            return source.get("/".join((*parts_of(self.prefix), key))) == ours',
                '            return source.get("/".join((*parts_of(self.prefix), key))) is ours',
            ),
        ),
        tests=(
            "tests/unit/storage/test_apart.py"
            "::test_r14_an_alias_of_the_endpoint_is_known_by_the_group_s_own_file",
        ),
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
    # --- what asks for a credential ---------------------------------------------------------------
    Mutant(
        name="any-token-opens-the-catalog",
        harm="any pod reads and deletes a group's data",
        edits=(
            product(
                "serving/catalog.py",
                "        if not hmac.compare_digest(given, self._token):",
                "        if not hmac.compare_digest(given, given):",
            ),
        ),
        tests=(
            "tests/serving/test_catalog.py::test_r14_without_the_token_nobody_learns_or_deletes",
        ),
    ),
    Mutant(
        name="any-signature-is-right",
        harm="whoever knows an access key id signs in",
        edits=(
            product(
                "serving/signing.py",
                "        if not hmac.compare_digest(mac.hexdigest().encode(), signature):",
                "        if len(mac.hexdigest().encode()) != len(signature):",
            ),
        ),
        tests=(f"{_SIGNING}::test_what_was_changed_is_refused",),
    ),
    Mutant(
        name="body-is-not-signed",
        harm="somebody on the way changes what a client sends",
        edits=(
            product(
                "serving/signing.py",
                "        digest = hashlib.sha256(body).hexdigest().encode()\n",
                """        digest = headers.get(
            b"x-amz-content-sha256", hashlib.sha256(body).hexdigest().encode()
        )
""",
            ),
        ),
        tests=(f"{_SIGNING}::test_the_body_must_be_signed",),
    ),
    Mutant(
        name="signatures-last-for-ever",
        harm="a request that was overheard once is sent again years later",
        edits=(
            product(
                "serving/signing.py",
                "        if -SKEW_SECONDS <= now - signed <= SKEW_SECONDS and stamp[:8] == date:",
                "        if -SKEW_SECONDS <= now - signed and stamp[:8] == date:",
            ),
        ),
        tests=(f"{_SIGNING}::test_a_skewed_clock_is_told_both_times",),
    ),
    Mutant(
        name="taken-away-key-still-opens",
        harm="a key that was taken out of the Secret works until the pod restarts",
        edits=(
            product(
                "serving/signing.py",
                "        if known is None or known.secret != self._secret_of(known.key_id) or _TOKEN in headers:",
                "        if known is None or _TOKEN in headers:",
            ),
            product(
                "serving/clients.py",
                "        if client is None or (names and not client.may(operation, self._noun, names)):",
                "        if client and names and not client.may(operation, self._noun, names):",
            ),
        ),
        tests=(f"{_SIGNING}::test_keys_come_change_and_go_without_a_restart",),
    ),
    Mutant(
        name="keys-are-not-limited",
        harm="a key for one campaign opens all",
        edits=(
            product(
                "serving/clients.py",
                "        if client is None or (names and not client.may(operation, self._noun, names)):",
                "        if client is None:",
            ),
        ),
        tests=(f"{_SIGNING}::test_a_key_is_limited",),
    ),
    Mutant(
        name="pods-may-call-anybody",
        harm="a pod that was broken into reaches the whole cluster",
        edits=(
            product(
                "engines/incluster/traffic.py",
                'or ["Ingress", "Egress"]',
                'or ["Ingress"]',
            ),
        ),
        tests=(
            "tests/unit/engines/incluster/test_traffic.py"
            "::test_r14_every_pod_is_closed_in_both_directions_by_default",
        ),
    ),
    # --- what clients send ------------------------------------------------------------------------
    Mutant(
        name="a-session-is-a-user",
        harm="whoever names a session like a user writes and takes that user's history",
        edits=(
            product(
                "serving/events.py",
                "        return self.user or anonymous(self.session)",
                "        return self.user or self.session",
            ),
        ),
        tests=("tests/serving/test_events.py",),
    ),
    Mutant(
        name="tags-of-others-are-removed",
        harm="cost allocation tags that somebody set by hand vanish",
        edits=(
            product(
                "decide/tags.py",
                "    stale = sorted(_remembered(situation.resource) & observed.tags.keys() - all_.keys())",
                "    stale = sorted(observed.tags.keys() - all_.keys())",
            ),
        ),
        tests=("tests/simulation/test_tags.py::test_a_tag_of_somebody_else_stays",),
    ),
)
