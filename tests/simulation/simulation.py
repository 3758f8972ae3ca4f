"""One seed from its beginning to its end: storm, calm, silence, rebuilding, farewell."""

import asyncio
import logging
import random
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override

from reco.api.kinds import KINDS
from reco.api.vocabulary import ANNOTATION_RUN_NOW
from reco.decide import names
from reco.emulator.errors import ServiceError
from tests.simulation.ending import Ending
from tests.simulation.estate import User
from tests.simulation.loop import Life
from tests.simulation.rules import Rules
from tests.simulation.sabotage import Sabotage
from tests.simulation.world import OTHER_CLUSTER, Fuse, World

STEPS = 18
CALM = 4 * 3600.0
"""Virtual seconds within which everything must have come to be."""
SILENCE = 1500.0


@dataclass(slots=True)
class Report:
    """What became of a seed."""

    seed: int
    problems: list[str]
    lines: list[str] = field(repr=False)
    seconds: float = 0.0
    """Virtual seconds that passed."""
    mutations: int = 0


def simulate(seed: int, steps: int = STEPS) -> Report:
    """Run one seed."""
    world = World(seed)
    log = _Log(world)
    logger = logging.getLogger("reco")
    level = logger.level
    logger.setLevel(logging.ERROR)
    logger.addHandler(log)
    propagate, logger.propagate = logger.propagate, False
    try:
        simulation = _Simulation(world, steps)
        world.loop.run(simulation.run())
    finally:
        logger.removeHandler(log)
        logger.setLevel(level)
        logger.propagate = propagate
        world.emulator.close()
    for error in world.loop.errors:
        world.problems.append(f"error: {error.get('message')}: {error.get('exception')!r}")
    return Report(seed, world.problems, world.lines, world.loop.time(), simulation.rules.mutations)


class _Log(logging.Handler):
    """Takes what the operator logs as an error: nothing it does may end in one."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.ERROR)
        self._world = world

    @override
    def emit(self, record: logging.LogRecord) -> None:
        text = logging.Formatter().format(record)
        if not self._world.loop.ending:
            self._world.problem("R11", f"the operator logged an error: {text}")


class _Simulation:
    def __init__(self, world: World, steps: int) -> None:
        self.world = world
        self.steps = steps
        self.rng = random.Random(world.rng.getrandbits(64))
        self.user = world.user = User(world)
        self.rules = Rules(world)
        self.ending = Ending(world, self.rules, self.user)
        self.sabotage = Sabotage(world, self.rng)
        # Some process dies right before or, mostly, right after a call that costs money.
        point = random.Random(world.seed).choice((None, 1, 2, 2, 2, 4, 4, 6))
        world.fuse = Fuse(point, only="CreateSolutionVersion")

    async def run(self) -> None:
        world = self.world
        world.server.create_namespace("kube-system")
        self.user.draw()
        self._make_foreign()
        world.loop.spawn(None, self._collect_garbage())
        for replica in ("a", "b")[: self.rng.choice((1, 2, 2))]:
            world.start(replica)
        await self._storm()
        world.trace("--- calm ---")
        world.weather.calm()
        world.trainer.failing = 0.0
        world.emulator.remove_faults()
        world.resume_all()
        self.sabotage.end()
        self.user.settle_down()
        world.stop_automatic_trainings()
        ending = self.ending
        await self._until("everything is as wanted", ending.unfinished)
        if world.problems:
            return
        ending.check()
        await self._silence()
        if world.problems:
            return
        await self._train_on_schedule(ending)
        if world.problems:
            return
        if self.rng.random() < 0.5:
            await self._rebuild(ending)
        if world.problems:
            return
        await self._farewell(ending)

    async def _collect_garbage(self) -> None:
        while True:
            await asyncio.sleep(30.0)
            self.world.server.collect_garbage()

    # --- the storm ---------------------------------------------------------------------------

    async def _storm(self) -> None:
        rng, world = self.rng, self.world
        first = list(self.user.wanted)
        rng.shuffle(first)
        for key in first:
            self.user.apply(key)
            if rng.random() < 0.3:
                await asyncio.sleep(rng.expovariate(1 / 20.0))
        for _ in range(self.steps):
            await asyncio.sleep(rng.expovariate(1 / rng.choice((2.0, 30.0, 300.0))))
            acts = (
                (self.user.act, 10),
                (self._weather, 4),
                (self._kill, 1.5),
                (self._pause, 0.7),
                (self._sabotage, 2),
                (self._doom, 1),
                (self.sabotage.recreate, 0.7),
                (self.sabotage.hide_data, 0.7),
                (self.sabotage.retag, 0.7),
                (self.sabotage.set_clock, 0.4),
            )
            rng.choices([act for act, _ in acts], [weight for _, weight in acts])[0]()
        world.trace("the storm is over")

    def _weather(self) -> None:
        self.world.weather.draw(self.rng)
        self.world.trainer.failing = self.rng.choice((0.0, 0.0, 0.3))
        self.world.trace(f"weather: {self.world.weather}")

    def _kill(self) -> None:
        processes = [p for p in self.world.processes.values() if p.alive]
        if processes:
            self.rng.choice(processes).kill("killed")

    def _pause(self) -> None:
        processes = [p for p in self.world.processes.values() if p.domain.life is Life.RUNNING]
        if processes:
            self.world.loop.spawn(
                None, self.world.pause(self.rng.choice(processes), self.rng.uniform(1.0, 120.0))
            )

    def _doom(self) -> None:
        """Let a creation or an update fail: by the service's fault, or for good."""
        operation = self.rng.choice(
            ("CreateCampaign", "UpdateCampaign", "CreateSolutionVersion", "CreateDatasetImportJob")
        )
        transient = "The service failed for reasons of its own."
        final = "Dataset has fewer than 25 users with at least 2 interactions each"
        self.world.emulator.add_fault(
            {
                "kind": "failCreation",
                "operation": operation,
                "count": self.rng.choice((1, 1, 2)),
                "reason": self.rng.choice((transient, transient, final)),
            }
        )

    def _sabotage(self) -> None:
        """Change something in the engine behind the operator's back."""
        rng, world = self.rng, self.world
        kind = rng.choice(
            ("Campaign", "Campaign", "EventTracker", "Solution", "Dataset", "SolutionVersion")
        )
        found = world.external(kind)
        if not found:
            return
        one = rng.choice(found)
        try:
            match rng.randrange(3):
                case 0 if kind == "Campaign":
                    self._somebody("UpdateCampaign", campaignArn=one.arn, minProvisionedTPS=77)
                case 1:
                    self._somebody(
                        "UntagResource",
                        resourceArn=one.arn,
                        tagKeys=[names.TAG_UID, names.TAG_CLUSTER],
                    )
                case _ if kind == "SolutionVersion":
                    self._somebody("StopSolutionVersionCreation", solutionVersionArn=one.arn)
                case _:
                    member = kind[0].lower() + kind[1:]
                    self._somebody(f"Delete{kind}", **{f"{member}Arn": one.arn})
        except ServiceError as error:
            world.trace(f"somebody: refused: {error}")

    def _somebody(self, operation: str, **parameters: Any) -> dict[str, Any]:
        return self.world.execute("somebody", operation, parameters)

    def _make_foreign(self) -> None:
        """Let somebody else have taken a name or two."""
        for key in self.user.wanted:
            if key.kind == "DatasetGroup" and self.rng.random() < 0.1:
                tags = []
                if self.rng.random() < 0.5:
                    tags = [
                        {"tagKey": names.TAG_CLUSTER, "tagValue": OTHER_CLUSTER},
                        {"tagKey": names.TAG_NAMESPACE, "tagValue": key.namespace},
                        {"tagKey": names.TAG_NAME, "tagValue": key.name},
                        {"tagKey": names.TAG_UID, "tagValue": "other"},
                    ]
                made = self._somebody("CreateDatasetGroup", name=names.mapped_name(key), tags=tags)
                adopts = self.user.wanted[key]["spec"].get("adoptionPolicy") == "Adopt"
                if tags or not adopts:
                    self.rules.foreign.add(made["datasetGroupArn"])

    # --- afterwards --------------------------------------------------------------------------

    async def _until(self, what: str, unfinished: Any) -> None:
        world = self.world
        limit = world.loop.time() + CALM
        left: list[str] = []
        while world.loop.time() < limit:
            await asyncio.sleep(300.0)
            left = unfinished()
            if not left:
                await asyncio.sleep(100.0)
                left = unfinished()
                if not left:
                    world.trace(f"--- {what} ---")
                    return
        for one in left:
            world.problem("R10", f"after {CALM / 3600:.0f} h of calm: {one}")

    async def _silence(self) -> None:
        """R9: nothing is written and nothing is changed when nothing happens."""
        world, rules = self.world, self.rules
        await asyncio.sleep(1.2 * world.polling.sweep + 1000.0)
        writes, sent = rules.writes, sum(world.sent.values())
        trying = self.ending.progress.may_try_again()
        mutations, refused = rules.mutations - rules.refused, rules.refused
        before = len(world.lines)
        await asyncio.sleep(SILENCE)
        mutations = rules.mutations - rules.refused - mutations
        # A refusal that may have been mended unseen is tried again now and then, and so are faults.
        if (rules.writes > writes or mutations) and not trying:
            lines = [one for one in world.lines[before:] if " reco: " in one or " -> {" in one]
            world.problem(
                "R9",
                f"{rules.writes - writes} writes and {mutations} calls in silence: {lines[:5]}",
            )
        blocked = sum(
            1 for one in world.server.objects.values() if one["metadata"].get("deletionTimestamp")
        )
        if rules.refused - refused > blocked * 2.5 * SILENCE / world.backoff_cap:
            world.problem("R9", f"{rules.refused - refused} refused calls for {blocked} deletions")
        objects = sum(world.emulator.counts().values())
        lists = 8 * (2 + SILENCE / world.polling.slow)
        bound = lists * (1 + objects / world.emulator.settings.page_size)
        bound += objects * 4 * (1 + SILENCE / world.polling.sweep) + 65 * len(world.bucket.objects)
        bound *= 1.2
        if sum(world.sent.values()) - sent > bound:
            world.problem(
                "R8", f"{sum(world.sent.values()) - sent} calls in silence, at most {bound:.0f}"
            )

    async def _train_on_schedule(self, ending: Ending) -> None:
        """R4: whatever has happened before, a schedule trains what can be trained."""
        world = self.world
        world.trace("--- a schedule ---")
        due = ending.progress.trainable()
        since = len(world.calls)
        self.user.set_schedules("*/20 * * * *")
        await asyncio.sleep(45 * 60.0)
        self.user.set_schedules(None)
        for key, arn in due.items():
            trained = any(
                call.operation == "CreateSolutionVersion"
                and call.error is None
                and call.parameters["solutionArn"] == arn
                for call in world.calls[since:]
            )
            if not trained and ending.progress.trainable().get(key) == arn:
                world.problem("R4", f"{key} was not trained by its schedule")
        await self._until("the schedule has ended", ending.unfinished)

    async def _rebuild(self, ending: Ending) -> None:
        """R7: an empty cluster and the manifests make the same estate, and nothing twice.

        The manifests are those in Git, or all of a backup, which has everything but the statuses.
        Owner references come back as they were, right, or not at all.
        """
        world = self.world
        owners = self.rng.choice(("", "", "right", "outdated", "none"))
        world.trace(f"--- the cluster is lost; backup: {owners or 'Git'} ---")
        backup = self._backup() if owners else []
        before, calls = ending.externals(), len(world.calls)
        missing = ending.not_in_engine(backup)
        trained = {
            one.attributes["solutionArn"].partition(":solution/")[2]
            for one in world.external("SolutionVersion")
            if one.status == "ACTIVE"
        }
        # Whether a request in a manifest was ever heard is lost with the cluster.
        trained -= {
            names.mapped_name(key)
            for key, wanted in self.user.wanted.items()
            if ANNOTATION_RUN_NOW in wanted["metadata"].get("annotations", {})
        }
        for replica in list(world.processes):
            process = world.processes.pop(replica)
            process.kill("its cluster is lost")
        world.server.wipe()
        world.server.lease = None
        world.start("a")
        self.user.edited.clear()
        self._restore(backup, owners)
        self.user.apply_all()
        await self._until("the estate is rebuilt", ending.unfinished)
        if world.problems:
            return
        gone = before - ending.externals()
        if gone:
            world.problem("R7", f"gone: {sorted(gone)}")
        for call in world.calls[calls:]:
            if not call.operation.startswith("Create") or call.error is not None:
                continue
            name = call.parameters.get("name")
            solution = call.parameters.get("solutionArn", "").partition(":solution/")[2]
            if call.operation == "CreateSolutionVersion" and solution not in trained:
                continue  # there was no version to find again
            # Data may be newer than its last import; a name that exists can't be imported again.
            if call.operation != "CreateDatasetImportJob" and name not in missing:
                world.problem("R7", f"{call.operation} {dict(call.parameters)}")

    def _backup(self) -> list[dict[str, Any]]:
        """Return all objects, parents first."""
        objects = self.world.server.objects
        keys = sorted(objects, key=lambda key: (list(KINDS).index(key.kind), key))
        return [
            objects[key] for key in keys if not objects[key]["metadata"].get("deletionTimestamp")
        ]

    def _restore(self, backup: list[dict[str, Any]], owners: str) -> None:
        """Make the objects of a backup again, as new ones; see `_rebuild` for their owners."""
        server = self.world.server
        uids: dict[str, str] = {}
        for body in backup:
            metadata = dict(body["metadata"])
            if "namespace" in metadata:
                server.create_namespace(metadata["namespace"])
            if owners == "right":
                metadata["ownerReferences"] = [
                    {**owner, "uid": uids.get(owner["uid"], owner["uid"])}
                    for owner in metadata.get("ownerReferences", ())
                ]
            elif owners == "none":
                metadata.pop("ownerReferences", None)
            made = server.create({**body, "metadata": metadata})
            uids[metadata["uid"]] = made["metadata"]["uid"]

    async def _farewell(self, ending: Ending) -> None:
        """Delete everything, in any order: nothing gets stuck, and only what is retained stays."""
        world = self.world
        world.trace("--- farewell ---")
        ending.remember_what_stays()
        self.user.wanted.clear()
        if self.rng.random() < 0.3:
            for namespace in list(world.server.namespaces):
                if namespace != "kube-system":
                    world.server.delete_namespace(namespace)
        keys = sorted(world.server.objects)
        self.rng.shuffle(keys)
        for key in keys:
            self.user.delete(key)
            if self.rng.random() < 0.3:
                await asyncio.sleep(self.rng.expovariate(1 / 10.0))
        await self._until("everything is gone", ending.still_there)
        if not world.problems:
            ending.check_farewell()
