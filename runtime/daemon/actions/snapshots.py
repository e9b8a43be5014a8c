"""The stage `snapshots`: etcd's database to a file, as the configuration's schedule says, and the oldest ones away."""

import asyncio
import time
from datetime import datetime
from typing import Final

from bundles.errors import SealiftError
from bundles.talk import human_bytes
from runtime.daemon.context import Node
from runtime.daemon.runner import Control
from runtime.etcd.gateway import local_gateway
from runtime.etcd.schedule import parse_schedule
from runtime.etcd.snapshots import prune, save

_LONGEST: Final = 60.0  # seconds between two looks at the clock, which somebody may set


async def take_snapshots(node: Node, control: Control) -> str:
    """Runs until it is cancelled. A snapshot that fails is told, and the next one comes at its time."""
    plan = node.config.snapshots
    schedule = parse_schedule(plan.schedule)
    if not plan.enabled or schedule.after(datetime.now()) is None:
        control.up("switched off")
        await asyncio.Event().wait()
    last = datetime.now()
    while True:
        due = schedule.after(last)
        assert due is not None
        control.up(f"next at {due:%Y-%m-%d %H:%M}")
        while (now := datetime.now()) < due:
            await asyncio.sleep(min(_LONGEST, (due - now).total_seconds() + 0.01))
        last = now  # one, not several, after the machine slept
        await _take(node)


async def _take(node: Node) -> None:
    plan = node.config.snapshots
    try:
        taken = await save(local_gateway(node.config), node.config, plan.name, int(time.time()))
        gone = await asyncio.to_thread(prune, node.config, plan.name, plan.retention)
    except SealiftError as exc:
        node.say(f"warning: no snapshot of etcd: {exc.message}")
        return
    node.say(f"snapshot {taken.path}, {human_bytes(taken.size)}" + (f"; {len(gone)} older deleted" if gone else ""))
