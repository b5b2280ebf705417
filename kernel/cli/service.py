"""Commands that run until they are stopped: worker, daemon."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import attrs
import click

from kernel.cli.common import Place, StoreCommand, notices_option, warn, warn_of_notices
from kernel.cli.handlers import functions_of
from kernel.cli.text import faint, number, safe, say, when
from kernel.engine.daemon import Daemon
from kernel.engine.entities import moment
from kernel.engine.kernel import Kernel
from kernel.engine.worker import Notice, Worker
from kernel.errors import InvalidInput, quoted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopped_by_signals(stop: Callable[[int], None]) -> Iterator[None]:
    """Call `stop` with 1 at the first signal that asks to stop, with 2 at the second, and so on.

    On a thread of its own: the one that the signal interrupts may hold the very lock that `stop` needs.
    """
    count = 0

    def handle(_: int, __: FrameType | None) -> None:
        nonlocal count
        count += 1
        threading.Thread(target=stop, args=(count,), daemon=True).start()

    before = {each: signal.signal(each, handle) for each in SIGNALS}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def teller(k: Kernel, place: Place) -> Callable[[Notice], None]:
    """Tells notices as lines with the time; with --json on standard error."""

    def tell(notice: Notice) -> None:
        say(f"{faint(when(moment(k.clock.now())))}  {safe(notice.text)}", err=place.as_json)

    return tell


@click.command(cls=StoreCommand)
@click.argument("module")
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only the function of this type; repeatable.")
@click.option("--threads", type=click.IntRange(1, 1000), metavar="N", default=4, show_default=True,
              help="Tasks that are worked on at a time.")
@click.option("--name", metavar="NAME", help="Of the worker, in history; host and process when not given.")
@click.option("--grace", type=click.FloatRange(0, 86_400), metavar="S", default=30.0, show_default=True,
              help="Seconds that functions have to end when it is stopped.")
@click.pass_context
def worker(
    ctx: click.Context, place: Place, module: str, types: tuple[str, ...], threads: int, name: str | None, grace: float
) -> None:
    """Work on tasks with the functions of a Python module.

    MODULE is found from the current folder, too, and imported. Its function named like a task's type gets the task's input
    and returns its output; with a second parameter it gets the attempt, too, whose check() raises when the task was canceled.
    Taken are the functions of the module's __all__, or else its own public ones. What a function raises fails the attempt;
    kernel.Postpone(seconds) hands the task back for later. One that returns kernel.Done(output, spawn=[kernel.TaskDef(...)])
    adds tasks to the workflow.

    Runs until SIGINT or SIGTERM; then it takes no more tasks, and leaves when the functions under way have ended, or at a
    second signal. Exits with 1 when it left some.
    """
    functions = functions_of(module)
    unknown = [each for each in types if each not in functions]
    if unknown or not functions:
        raise InvalidInput(f"the functions of module {quoted(module)}", allowed=tuple(functions),
                           why=f"there is none named {quoted(unknown[0])}" if unknown else "there are none")
    chosen = {each: functions[each] for each in types or functions}
    with place.open() as k:
        tell = teller(k, place)
        crew = Worker(k, chosen, threads=threads, name=name, grace=grace, notice=tell)

        def stop(count: int) -> None:
            tell(Notice("stop", f"stopping: {number(crew.busy, 'attempt')} under way" if count == 1 else "leaving now"))
            crew.stop(None if count == 1 else 0.0)

        with stopped_by_signals(stop):
            tell(Notice("start", f"worker {crew.name}: {', '.join(chosen)}; {number(threads, 'thread')}"))
            worked = crew.run()
    place.answer(worked, lambda: say(
        f"{worked.completed:,} completed, {worked.failed:,} failed, {worked.postponed:,} postponed, {worked.late:,} late, "
        f"{worked.abandoned:,} abandoned"))
    ctx.exit(int(worked.abandoned > 0))


@click.command(cls=StoreCommand)
@click.option("--health", type=click.FloatRange(0, 86_400, min_open=True), metavar="S", default=60.0, show_default=True,
              help="Seconds between the lines that say how things stand.")
@click.option("--idle", type=click.FloatRange(0, 3_600, min_open=True), metavar="S", default=1.0, show_default=True,
              help="Seconds between looks, at most, while nothing is due.")
@notices_option
def daemon(place: Place, health: float, idle: float, notices: str | None) -> None:
    """Fire timers and drain the outbox, for ever.

    Retries that are due, leases that expired, workflows that timed out, claims of relays that vanished; and deliveries of topic
    'archive' into --archive, of 'notify' into --notices. Several daemons may serve one store. Runs until SIGINT or SIGTERM; a
    pass under way is finished.
    """
    if place.archive is None:
        warn("without --archive DIR (or KERNEL_ARCHIVE) deliveries stay PENDING")
    with place.open(notices=notices) as k:
        warn_of_notices(k, notices)
        served = Daemon(k, health=health, idle=(min(idle, 0.05), idle), notice=teller(k, place))
        with stopped_by_signals(lambda _: served.stop()):
            done = served.run()
    place.answer(attrs.evolve(done, error=safe(done.error)), lambda: say(
        f"{done.fired:,} timers, {done.delivered:,} DELIVERED, {done.dead:,} DEAD"))
