"""`sealift build`."""

import contextlib
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder import options

if TYPE_CHECKING:
    from builder.build import Built, Sources
    from builder.passphrase import PassphraseSource
    from builder.reach import Reach
    from builder.resolve import ResolveOptions
    from bundles.signing.keys import Signer
    from bundles.talk import Progress


@click.command("build")
@click.argument("recipe", metavar="RECIPE_DIR", type=options.FOLDER)
@click.option("--output", type=options.FOLDER, metavar="DIR", help="Where the bundle's folder goes.")
@click.option(
    "--jobs", type=click.IntRange(1, 256), metavar="N", help="Steps and threads at once.  [default: processors]"
)
@click.option(
    "--lock",
    "anew",
    is_flag=True,
    help="First pin what moves, as `sealift lock` does: where there is no lock, or where the recipe asks for something "
    "else.",
)
@click.option("--tags", is_flag=True, help="With --lock, as there: take mirrored images as their tags stand now.")
@click.option(
    "--same-version",
    is_flag=True,
    help="With --lock, as there: other content under the same version, mostly with --replace.",
)
@click.option("--offline", is_flag=True, help="Ask no network: fail at once when an input is missing.")
@options.platform_option
@options.inputs_option
@click.option("--require-sandbox", is_flag=True, help="Fail where steps cannot be kept from the network.")
@click.option("--check", is_flag=True, help="Then build all of it a second time, from nothing, and compare.")
@click.option(
    "--quick",
    is_flag=True,
    help="Leave what is inside mirrored layers to `sealift verify` and to nodes: their bytes are checked as they "
    "arrive, but not unpacked.",
)
@click.option(
    "--against",
    type=options.PATH,
    metavar="BUNDLE",
    help="Instead of writing a bundle, compare this one with what this machine builds, and sign it when it is equal.",
)
@click.option("--other-builder", is_flag=True, help="With --against: provenance and SBOMs may differ; yours is signed.")
@click.option(
    "--policy",
    type=options.PATH,
    metavar="FILE",
    help="Mirrored images must be signed as the `images` of this policy ask; a refusal exits with 3.",
)
@click.option("--sign", type=options.PATH, metavar="KEY", help="Then sign the bundle with this key, as `sealift sign`.")
@click.option("--signer", metavar="exec:PROGRAM", help="Instead of --sign KEY: this program signs.")
@click.option("--public", type=options.PATH, metavar="PUB", help="With --signer: the public half of its key.")
@click.option("--replace", is_flag=True, help="Put it in place of a bundle of the same version with other content.")
@options.passphrase_flags
@options.reach_options
@options.store_option
@options.progress_mode
@options.json_flag
@options.common
def command(
    recipe: Path,
    output: Path | None,
    jobs: int | None,
    anew: bool,
    tags: bool,
    same_version: bool,
    offline: bool,
    wanted: str | None,
    inputs: Path | None,
    require_sandbox: bool,
    check: bool,
    quick: bool,
    against: Path | None,
    other_builder: bool,
    policy: Path | None,
    sign: Path | None,
    signer: str | None,
    public: Path | None,
    replace: bool,
    password_file: Path | None,
    password_fd: int | None,
    password_env: str | None,
    reach: "Reach",
    store_root: Path | None,
    progress: str,
    as_json: bool,
) -> None:
    """Build a recipe into a sealed bundle; the last line of stdout is the bundle's folder.

    A recipe of several platforms gives one bundle for each, a line for each; this machine's own is the last.

    Uses locked inputs alone, reads no clock, and gives the same bytes for the same lock anywhere. What is finished
    stays in the store: after an error or an interrupt the same command goes on from there. With --sign the key is read
    first: a wrong passphrase is said before hours of work.

    --lock is `sealift lock` and `sealift build` in one: what was asked for to lock is not asked for again. The lock is
    written before anything is built; review it afterwards, like code.

    --check --against BUNDLE is for a second builder, who has the same recipe and lock: nothing is written, BUNDLE is
    compared byte for byte with what this machine builds, and with --sign or --signer it gets one signature more.
    """
    from builder.memory import return_large_buffers
    from builder.process import Cancel
    from builder.store import Store

    return_large_buffers()
    _refuse_contradictions(output, against, moving=anew, still=offline or inputs is not None, asks=tags or same_version)
    who = None
    if sign or signer or public:
        from builder.passphrase import PassphraseSource

        passphrase = PassphraseSource(file=password_file, fd=password_fd, variable=password_env)
        who = _signer(sign, signer, public, passphrase)
    env, cancel, store = dict(os.environ), Cancel(), Store(options.chosen_store(store_root))
    host = options.this_machine()
    with options.talking(progress) as talk, contextlib.ExitStack() as held:
        sources = None
        if anew:
            from builder.resolve import ResolveOptions

            held.enter_context(reach.kept(env))  # the build goes on with the connections that locking made
            resolving = ResolveOptions(
                store=store, host=host, env=env, now=int(time.time()), tags=tags, same_version=same_version,
                reach=reach, say=talk.say, cancel=cancel,
            )  # fmt: skip
            sources = _locked(recipe, resolving)
        from builder.against import Against
        from builder.build import BuildOptions, default_jobs
        from builder.builds import build_all
        from builder.inputs.archive import open_archive
        from bundles.trust import load_policy

        building = BuildOptions(
            output=output or Path(),
            store=store,
            talk=talk,
            host=host,
            env=env,
            jobs=jobs or default_jobs(),
            offline=offline,
            inputs=open_archive(inputs.absolute()) if inputs is not None else None,
            require_sandbox=require_sandbox,
            replace=replace,
            check=check,
            quick=quick,
            policy=load_policy(policy) if policy is not None else None,
            reach=reach,
            against=Against(bundle=against.absolute(), other_builder=other_builder) if against else None,
            cancel=cancel,
        )
        built = build_all(recipe, building, wanted, sources)
        if who is not None:
            _sign(built, who, talk.bytes)
    if as_json:
        for one in built:
            said = {"bundle": str(one.folder), "written": one.written, "version": one.index.version}
            click.echo(json.dumps(said | ({"platform": one.index.platform} if len(built) > 1 else {})))
    else:
        click.echo("\n".join(str(one.folder) for one in built))


def _refuse_contradictions(output: Path | None, against: Path | None, *, moving: bool, still: bool, asks: bool) -> None:
    """Options that cannot be meant together. `moving`: --lock; `still`: what wants a lock that stays; `asks`: what
    only locking can do.
    """
    from bundles.errors import UsageError

    if (output is None) == (against is None):
        raise UsageError("nothing says what to do with it", want="--output DIR, or --check --against BUNDLE")
    if against is not None and not against.is_dir():
        raise UsageError("not a bundle's folder", where=against, hint="unpack it (it is a tar), sign, pack it again")
    if moving and (still or against is not None):
        raise UsageError("what is locked anew is asked for", want="--lock without --offline, --inputs, --against")
    if asks and not moving:
        raise UsageError("a build keeps to its lock", want="--lock, with --tags or --same-version")


def _signer(
    sign: Path | None, signer: str | None, public: Path | None, passphrase: "PassphraseSource"
) -> "Signer | None":
    """The key or program that signs, asked for now."""
    from builder.signer import choose_signer

    return choose_signer(sign, signer, public, passphrase.asker(os.environ, what=str(sign)), os.environ)


def _locked(recipe: Path, resolving: "ResolveOptions") -> "Sources":
    """The recipe with its lock made anew."""
    from builder.build import sources_of
    from builder.relock import relock

    made = relock(recipe, resolving)
    for line in made.changes:
        resolving.say(f"lock: {line}")
    return sources_of(made.recipe, made.lock)


def _sign(built: Iterable["Built"], who: "Signer", progress: "Progress") -> None:
    """What was built gets its signature; what was compared with somebody else's build, one more."""
    from builder.signing import sign_bundle

    for one in built:
        if (same := one.confirmed) is not None:
            sign_bundle(one.folder, who, progress=progress, expected=same.index, own=same.own)
        else:
            sign_bundle(one.folder, who, progress=progress, quick=True)  # its diff ids were checked just now
