"""One transaction of the Redis store: plans become the operations of one script, which compares and then writes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any

from kernel.core.archive import ArchivePolicy
from kernel.core.checks import canonical
from kernel.core.content import to_content
from kernel.core.outbox import Swept, emitted, noticed, swept_cause
from kernel.core.plan import Cascade, Plan, Subject, Tally
from kernel.core.program import standard_program
from kernel.core.records import root_of
from kernel.core.structure import Definition
from kernel.engine.ports import LateRecord, Recorded
from kernel.engine.reading import registered_otherwise
from kernel.errors import GuardRefused, quoted
from kernel.spec.language import NEVER, Lock
from kernel.spec.vocabulary import ENDED
from kernel.stores.redis_held import mark, pairs
from kernel.stores.redis_lately import UNSURE, Left
from kernel.stores.redis_part import Part
from kernel.stores.redis_rows import TEXTS, changed_at, field_of, packed_lines, packed_record
from kernel.stores.redis_snapshot import RedisSnapshot
from kernel.stores.redis_writer import RedisWriter

DIGITS = 11
"""Of the number of a definition, hexadecimal ones of its digest: when a server lost what was registered last, nothing else gets
that number. Lua prints numbers of so many digits as they are. As many tell one sequence of registrations from another.
"""
LONGEST_REMEMBERED = 10_000
"""Characters of a value that is remembered."""
NONE_YET = Tally()
"""What cascades reached, before the script has run."""
Told = tuple[str, str, str, dict[str, str]]
"""What a workflow tells that a cascade moves: topic, due; of a notice its status, and its cause by the state before."""


class RedisTransaction(RedisWriter):
    """What happens between the first look and the script."""

    __slots__ = ()

    def snapshot(self, subject: Subject, lock: Lock = Lock.TREE) -> RedisSnapshot:
        """The rows of the subject's tree, for a decision on it; nothing is locked, all that it reads is compared."""
        return RedisSnapshot(self, subject)

    # ---- what holds for every tree ---------------------------------------------------------------------------------------
    def register(self, definition: Definition, at: int) -> None:
        """Keep a definition."""
        source, names = definition.source, self.head(0, "names")
        known = self.definition(source.name, source.version)
        if known is not None and known.digest != definition.digest:
            raise registered_otherwise(source.name, source.version)
        if known is None:
            part, head, content = self.part(0), self.head(0, "head"), canonical(to_content(source))
            place, text = field_of(source.name, source.version), canonical([definition.digest, content])
            definitions = self.head(0, "definitions")
            number = int(definition.digest[:DIGITS], 16)
            while self.field(definitions, str(number)) not in (None, text):
                number += 1
            self.fields(names, place)
            before = self.field(head, "registered") or ""
            self.put(part, names, {place: str(number)})
            self.put(part, definitions, {str(number): text})
            self.put(part, head, {"registered": hashlib.sha256(f"{before}{definition.digest}".encode()).hexdigest()[:DIGITS]})
            self.store.learn(number, definition.digest, content)

    def set_archive_policy(self, policy: ArchivePolicy | None, since: int) -> None:
        """A policy for every definition, or none: in each partition from a time on that no tree in it has reached."""
        content = "" if policy is None else canonical(to_content(policy))
        heads = [self.head(number, "head") for number in range(self.store.partitions)]
        latest = [int(self.fields(head, "latest")[0] or "-1") for head in heads]
        start = max([since, *(time + 1 for time in latest)])
        for number, head in enumerate(heads):
            known = dict(self.policies(number))
            if content == (known[max(known)] if known else ""):  # it was set here before somebody came between
                continue
            known[max([start, *known])] = content
            self.put(self.part(number), head, {"policies": canonical(sorted((str(s), c) for s, c in known.items()))})

    # ---- commands --------------------------------------------------------------------------------------------------------
    def record(self, root: str, command_id: str, found: Recorded) -> None:
        """Keep what is known of a command, in place of what was kept."""
        self.command_id, self.workflow_id = command_id, self.workflow_id or root
        partitions: Iterable[int] = [self.store.partition(root)] if root else (
            self.parts or range(self.store.partitions))
        for partition in list(partitions):
            key, plan = self.head(partition, f"c:{root}"), self.latest.get(root)
            self.fields(key, command_id)
            text = packed_record(found)
            self.note(key, {command_id: text})
            version = str(plan.tree.version) if plan is not None and plan.command.id == command_id else ""
            self.part(partition).now.records += ((root, command_id, str(found.at), version, text),)

    def forget(self, before: int, limit: int) -> int:
        """Remove the records of commands that are as old as that, or older, at most `limit`; gives how many."""
        old: list[tuple[float, str, int]] = []
        for number in range(self.store.partitions):
            key = self.head(number, "ct")
            flat = self.link.call(key, "ZRANGEBYSCORE", key, "-inf", before, "WITHSCORES", "LIMIT", 0, limit)
            old += [(float(score), place, number) for place, score in zip(flat[::2], flat[1::2], strict=True)]
        old = sorted(old)[:limit]
        for _, place, number in old:
            root, command_id = place.split("\0")
            self.drop(self.part(number), self.head(number, f"c:{root}"), command_id)
            self.part(number).leave(self.head(number, "ct"), place)
        return len(old)

    def keep_late(self, record: LateRecord, most: int) -> None:
        """Keep a late result."""
        root = root_of(record.workflow)
        key, part = self.key(root, "l"), self.part(self.store.partition(root))
        of_task = [each for each in self.late(record.workflow) if each.no == record.no and each[:5] != record[:5]]
        self.put(part, key, {canonical(record[:5]): canonical(record[5:])})
        for old in sorted([*of_task, record], key=lambda each: (each.at, each[1:5]))[:-most]:
            self.drop(part, key, canonical(old[:5]))

    # ---- writing a plan --------------------------------------------------------------------------------------------------
    def write(self, plan: Plan) -> Tally:
        """Write everything that a plan holds. What its cascades reach is known when the script has run."""
        tree, command, root = plan.tree, plan.command, plan.tree.root
        part = self.part(self.store.partition(root))
        if plan.workflows:
            self.store.remember(plan)
        stands = self.trees.get(root)
        if tree.tasks > (stands[3] if stands else 0) and tree.tasks > self.store.policy.tree_tasks:
            raise _too_large(command.name, plan, self.store.policy.tree_tasks)
        self.command_id, self.workflow_id = command.id, command.subject.workflow
        part.begin(plan)
        part.commands[root, command.id] = None
        for change in plan.changes:
            if change.kind == "task":
                part.moves[change.workflow] = part.moves.get(change.workflow, 0) + change.count
        part.roots[root] = plan.now if root not in part.roots else min(plan.now, part.roots[root])
        self.latest[root] = plan
        if plan.created_deliveries and any(delivery.version for delivery in plan.created_deliveries):
            part.named |= {root}
        if plan.purged is not None:
            self.strict.add(root)
            self.moved |= {root}
            part.sweep("P", root, canonical(plan.purged))
            return NONE_YET
        self._write_tree(part, plan, stands)
        if plan.reopened:
            self._reopen(part, plan)
        for cascade in plan.first:
            self._cascade(part, cascade, plan)
        self._write_rows(part, plan)
        part.now.lines = packed_lines(plan.changes, plan.tree.run, plan.now, plan.command.actor, plan.command.id)
        for cascade in plan.last:
            self._cascade(part, cascade, plan)
        if plan.payloads:
            self._write_payloads(part, plan)
        return NONE_YET

    def _write_tree(self, part: Part, plan: Plan, stands: tuple[int, int, int, int, int] | None) -> None:
        tree = plan.tree
        if stands is None or stands[0] != tree.run or stands[3] != tree.tasks:
            key = f"{part.prefix}t:{tree.root}"
            if stands is None:
                self.field(key, "run")
                part.enter(f"{part.prefix}trees", tree.root, 0)
            elif stands[3] != tree.tasks and "tasks" not in self.own.get(key, ()):
                self.compare(key, "tasks", str(stands[3]))  # as the decision knew it, whatever it is by now
            self.put_tree(part, tree.root, {"run": str(tree.run), "tasks": str(tree.tasks)})
            self.absent -= {tree.root}
        _, version, _, _, lines = stands or (0, 0, 0, 0, 0)
        self.trees[tree.root] = tree.run, version + int(plan.raises), tree.clock, tree.tasks, lines + len(plan.changes)

    def _write_rows(self, part: Part, plan: Plan) -> None:
        for workflow in plan.created_workflows:
            self.create(part, workflow)
        if plan.created_tasks:
            self.create_tasks(part, plan.created_tasks)
        for workflow in plan.workflows:
            self.update(part, workflow)
        for task in plan.tasks:
            self.update_task(part, task)
        for delivery in plan.created_deliveries:
            part.count("deliveries", 1)
            self.put_delivery(part, delivery)
        for delivery in plan.deliveries:
            self.put_delivery(part, delivery)

    def _reopen(self, part: Part, plan: Plan) -> None:
        """Leave what is set aside to the run before, and take what re-opened workflows keep into the next one."""
        run, aside = plan.tree.run, []
        self.strict.add(plan.tree.root)
        self.moved |= {plan.tree.root}
        for row in sorted(plan.aside, key=attrgetter("id")):
            aside.append([row.id, str(row.run), row.state, len(row.prepared.facts)])
            self.leave(part, row.id, row.run, run - 1)
        part.sweep("A", run, plan.command.name, canonical(aside))
        for begun in plan.reopened:
            row = begun.workflow
            self.leave(part, row.id, begun.was, run - 1)
            self.create(part, row)
            self.whole -= {self.key(plan.tree.root, kind, f"{row.run}:{row.id}") for kind in "wv"}
            part.sweep("K", row.id, begun.was, row.run, ",".join(map(str, begun.left)), ",".join(map(str, begun.again)))
            part.count("tasks", row.prepared.size - len(begun.again))

    def _write_payloads(self, part: Part, plan: Plan) -> None:
        last = {payload[:3]: payload.text for payload in plan.payloads}  # what is taken away may be given again
        for (workflow, no, what), text in last.items():
            key = f"{part.prefix}v:{TEXTS[plan.tree.run]}:{workflow}"
            if text is None:
                self.drop(part, key, f"{no}:{what}")
            else:
                self.put(part, key, {f"{no}:{what}": text})

    # ---- cascades --------------------------------------------------------------------------------------------------------
    def _cascade(self, part: Part, cascade: Cascade, plan: Plan) -> None:
        """Move every row behind the link, in the script."""
        row, policy = cascade.line.row, self.store.policy
        content: dict[str, Any] = {
            "kind": cascade.kind, "event": cascade.event, "link": cascade.link, "workflow": cascade.workflow,
            "run": str(plan.tree.run), "target": row.target, "sources": dict.fromkeys(row.source, 1), "by": cascade.by,
            "reason": cascade.reason, "origin": cascade.given.get("origin", ""), "sends": policy.sends,
            "lease": str(policy.lease), "ends": cascade.kind == "workflow" and row.target in ENDED,
        }
        if cascade.emits:
            content["told"] = self._told(cascade, plan)
        part.sweep("X", canonical(content))
        self.moved |= {plan.tree.root}

    def _told(self, cascade: Cascade, plan: Plan) -> dict[str, list[Told]]:
        """Who is told of the workflows that a cascade moves, for each definition that is known."""
        line, archiving = cascade.line, self.archiving(plan.tree.root, plan.now) if "outbox" in cascade.emits else None
        causes = {source: swept_cause(cascade, source, plan) for source in line.row.source}
        found = dict[str, list[Told]]()
        for prepared, number in list(self.store.numbers.items()):
            given = standard_program(), Swept(line.target), prepared, ("", plan.tree.run), plan.now, self.store.policy
            rows = list(emitted(*given, archiving)) if "outbox" in cascade.emits else []
            if "notices" in cascade.emits and prepared.notify:
                rows += noticed(*given, plan.tree.version, "")
            found[str(number)] = [(row.topic, str(row.due), row.status, causes if row.version else {})
                                  for row in sorted(rows, key=lambda row: row.name)]
        return found

    def comparisons(self) -> Iterator[tuple[int, list[Any]]]:
        """For each partition, what would show that something of what was read has changed; nothing after a single look."""
        if self.looks < 2 and not self.recalled:
            return
        for partition in range(self.store.partitions):
            found = [""]
            self._compared(partition, None, found)
            if len(found) > len(("schema", "trees", "fields")):
                yield partition, [*found, str(len(self.first) // 2), *self.first, "0", "0", "0", "0"]

    def left(self, root: str, version: int, lines: int, moved: Sequence[str] = (), later: str = "") -> Left:
        """What a commit left of a tree, as far as is known. `moved`: counters, where others had moved them, too; `later`: the
        time that was written, where that of the decision was too early.
        """
        prefix, counted, known = self.prefix(root), self.trees[root], self.held
        tree = f"{prefix}t:{root}"
        held = {tree: known[tree]}
        for owner, run in self.columns:
            if owner == root or root_of(owner) == root:
                rows, payloads = f"{prefix}w:{TEXTS[run]}:{owner}", f"{prefix}v:{TEXTS[run]}:{owner}"
                if rows in known:
                    held[rows] = known[rows]
                texts = known.get(payloads)
                if texts is not None and not (
                        any(texts.values()) and max(map(len, filter(None, texts.values()))) > LONGEST_REMEMBERED):
                    held[payloads] = texts
        if later:
            now = str(self.latest[root].now)
            for key, fields in held.items():
                fields.update({name: changed_at(fields[name], now, later) for name in self.own.get(key, ())})
        if moved:
            held[tree].update(pairs(moved))
        if counted[1] != version or counted[4] != lines:
            counted = counted[0], version, counted[2], counted[3], UNSURE
        own = self.rows if len(self.trees) == 1 else {
            place: row for place, row in self.rows.items() if root_of(place[0]) == root}
        return Left(counted, held, frozenset(self.whole.intersection(held)), lines, {root: own})

    def sure(self, key: str) -> Iterator[str]:
        """Fields of a hash that are as this transaction has them, once it is committed: it compared or wrote them."""
        yield from (name for of, name in self.seen if of == key)
        yield from self.own.get(key, ())

    # ---- what the script is told -----------------------------------------------------------------------------------------
    def operations(self, partition: int) -> list[str]:
        """Everything that one run of the script compares and writes."""
        part = self.parts[partition]
        found = [TEXTS[self.store.schema]]
        self._compared(partition, part, found)
        found.append("1" if self.first else "0")
        found += self.first
        found.append(TEXTS[len(part.commands)])
        for pair in part.commands:
            found += pair  # or it was given up meanwhile
        if part.sweeps:
            part.operations(found)
        else:
            part.told(found)
        return found

    def _compared(self, partition: int, part: Part | None, found: list[str]) -> None:
        """What a decision has read of a partition, as the script is told: of trees, of their counters, and of all else."""
        trees, words, counters = self.original, [*self.compared], dict[str, list[str]]()
        if self.store.partitions > 1:
            prefix = self.store.prefixes[partition]
            trees = {root: counted for root, counted in trees.items() if self.store.partition(root) == partition}
            words = [word for first in range(0, len(words), 3) if str(words[first]).startswith(prefix)
                     for word in words[first:first + 3]]
        if part is not None:
            for (workflow, of), (name, counts) in self.read.items():
                if (workflow, of) not in self.made:
                    counted = counters.setdefault(root_of(workflow), [])
                    counted += (name, counts, self.after.get((workflow, of), counts), TEXTS[part.moves.get(workflow, 0)])
        found.append(TEXTS[len(trees)])
        for root, (run, version, _, _, lines) in trees.items():
            is_strict = part is None or root in self.strict
            found += (root, TEXTS[run], str(NEVER if part is None else part.roots.get(root, NEVER)),
                      str(version) if part is None or is_strict or root in part.named else "", str(lines) if is_strict else "")
            moved = counters.get(root, [])
            found.append(TEXTS[len(moved) // 4])
            found += moved
        words[2::3] = map(mark, words[2::3])
        found.append(TEXTS[len(words) // 3])
        found += words  # type: ignore[arg-type]


def _too_large(name: str, plan: Plan, most: int) -> GuardRefused:
    return GuardRefused(
        f"{name} of workflow {quoted(plan.command.subject.workflow)}", guard="tree not too large",
        stands=f"its tree would have {plan.tree.tasks} tasks",
        why=f"a script that ends a tree of more than {most} tasks would block the server for too long",
        hint="start several workflows, or use a store that holds larger trees")
