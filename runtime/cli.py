"""`sealift-node`: the command line of an airgapped host.

Results go to stdout, talk to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused for trust, 130
interrupted. This module is the only place of the runtime where an error becomes text and a code. Heavy modules are
loaded inside the commands: `--help` answers at once.
"""

import gc
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bundles.errors import UsageError, printable_lines
from bundles.masking import masked
from bundles.talk import Progress, error_json, error_text, error_trace, exit_code, make_progress
from runtime import options
from runtime.commands.agent import agent
from runtime.commands.audit import audit
from runtime.commands.certificate import certificate
from runtime.commands.environment import environment
from runtime.commands.etcd import etcd_member, etcd_snapshot
from runtime.commands.policy import policy as policy_group
from runtime.commands.prove import prove
from runtime.commands.pull import pull
from runtime.commands.reset import reset
from runtime.commands.secrets import secrets_encrypt
from runtime.commands.server import server
from runtime.commands.status import status
from runtime.commands.token import token
from runtime.commands.watch import watch
from runtime.layout import DEFAULT_SHIM_DIR, NodeLayout

if TYPE_CHECKING:
    from bundles.platform import Platform


def _version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"sealift-node {version('sealift')}")
        ctx.exit()


@click.group(name="sealift-node", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Say the version.")
def cli() -> None:
    """Bring an RKE2 node up from a sealed bundle, without any network.

    Exit codes: 0 done; 1 failed, damaged or missing; 2 wrong usage; 3 refused for trust; 130 interrupted.
    """


for _verb in (
    server,
    agent,
    status,
    environment,
    etcd_snapshot,
    etcd_member,
    certificate,
    secrets_encrypt,
    token,
    reset,
    pull,
    prove,
    policy_group,
    audit,
    watch,
):
    cli.add_command(_verb)


@cli.command()
@click.argument("path", metavar="BUNDLE", type=options.PATH)
@click.option("--quick", is_flag=True, help="Check every blob's digest, but decompress nothing.")
@options.trust_flags
@options.talk_flags
def verify(
    path: Path, quick: bool, key: Path | None, policy: Path | None, insecure: bool, progress: str, as_json: bool
) -> None:
    """Check a bundle (folder or .sealift file) for this machine, or one sealed archive (.tar).

    A bundle needs one of --key, --policy and --insecure-no-signature; without it the exit code is 3. An archive needs
    none: nothing in it says who made it.
    """
    if path.suffix == ".tar":
        from bundles.sealed.verify import verify_archive

        archive = verify_archive(path, quick=quick, progress=_progress(progress), platform=_platform())
        found = {image.reference: str(image.digest) for image in archive.images}
        _tell_result(
            {"archive": str(path), "ok": True, "quick": quick, "size": archive.size, "images": found},
            [f"ok: {reference} {digest}" for reference, digest in found.items()],
            as_json,
        )
        return
    from bundles import trust
    from bundles.talk import human_bytes
    from bundles.verify import verify_bundle

    trusted = trust.require(key=key, policy=policy, insecure=insecure)
    now = None if trusted.insecure else _now()
    report = verify_bundle(path, trusted, quick=quick, progress=_progress(progress), platform=_platform(), now=now)
    _warn_unsigned(trusted.insecure)
    _tell_result(
        {"bundle": str(path), "index": str(report.index_digest), "ok": True, "quick": quick, "size": report.size},
        [f"ok: {path}: {len(report.archives)} archives, {human_bytes(report.size)}"],
        as_json,
    )


@cli.command()
@click.argument("path", metavar="BUNDLE", type=options.PATH)
@options.data_dir
@options.gate_flags
@options.talk_flags
def stage(
    path: Path,
    data_dir: Path,
    key: Path | None,
    policy: Path | None,
    insecure: bool,
    override: str | None,
    progress: str,
    as_json: bool,
) -> None:
    """Check a bundle while it is copied, keep it, and put its archives where RKE2 looks for them.

    The policy in force decides (`sealift-node policy`); without one it needs --key, --policy or
    --insecure-no-signature, else the exit code is 3. To roll back, stage the older bundle again, which is still kept,
    and say why: --override REASON. Every decision is in the audit log.
    """
    from runtime.stage import stage as run_stage
    from runtime.trusting.gate import Asked, passing

    now = _now()
    layout = NodeLayout.at(data_dir)
    asked = Asked(key=key, policy=policy, insecure=insecure, override=override)
    with passing(layout, asked, event="stage", what=path, now=now, say=_say) as gate:
        _warn_unsigned(gate.trust.insecure)
        report = run_stage(
            path,
            layout,
            gate.trust,
            platform=_platform(),
            now=now,
            progress=_progress(progress),
            say=_say,
            gate=gate,
        )
    if report.expires is not None and report.expires < now:
        _say("warning: this bundle has expired")
    if report.before is not None and report.before != report.bundle:
        _say(f"replaces {report.before}, which stays kept")
    if not (report.copied or report.linked or report.retired):
        _say("already staged: nothing changed")
    for verb, names in (("linked", report.linked), ("retired", report.retired)):
        for name in names:
            _say(f"{verb} agent/images/{name}")
    result = {
        "bundle": report.bundle,
        "folder": str(report.folder),
        "copied": report.copied,
        "linked": list(report.linked),
        "retired": list(report.retired),
        "before": report.before,
        "runtime": report.runtime,
    }
    _tell_result(result, [str(report.folder)], as_json)


@cli.command()
@options.data_dir
@click.option("--runtime-image", metavar="REF", help="Unpack this image, spelled as RKE2's own --runtime-image.")
@click.option("--config", type=options.PATH, metavar="FILE", help="RKE2's configuration: image and registries.")
@click.option("--registries", type=options.PATH, metavar="FILE", help="A registries.yaml: its registries may be asked.")
@click.option("--insecure-no-signature", "insecure", is_flag=True, help="Take what a registry has, whoever made it.")
@click.option("--agent", is_flag=True, help="An agent: leave server/manifests alone.")
@click.option("--replace", is_flag=True, help="Unpack again over what stands there.")
@click.option("--shim-dir", type=options.PATH, default=str(DEFAULT_SHIM_DIR), hidden=True)
@options.talk_flags
def extract(
    data_dir: Path,
    runtime_image: str | None,
    config: Path | None,
    registries: Path | None,
    insecure: bool,
    agent: bool,
    replace: bool,
    shim_dir: Path,
    progress: str,
    as_json: bool,
) -> None:
    """Unpack the runtime image in agent/images: programs, charts, the `bin` link.

    Which image: --runtime-image, else the configuration's, else the admitted bundle's, else the only rke2-runtime
    image there is. An image that no archive has is pulled from the registries that --config or --registries name,
    never from others: it has to be the admitted bundle's, digest for digest, or --insecure-no-signature.
    """
    from runtime.choice import configured_image
    from runtime.daemon.actions.images import offered_words
    from runtime.extract import ExtractRequest
    from runtime.extract import extract as run_extract
    from runtime.pullingconf import network
    from runtime.trusting.standing import guard

    layout = NodeLayout.at(data_dir)
    guard(layout, now=_now(), say=_say)
    asked = network(
        config, registries, layout=layout, unsigned=insecure, env=os.environ, now=_now(), progress=_progress(progress)
    )
    request = ExtractRequest(
        runtime_image=runtime_image,
        configured_image=configured_image(config) if config else None,
        agent=agent,
        replace=replace,
        network=asked,
    )
    report = run_extract(request, layout, platform=_platform(), say=_say, shims=shim_dir)
    for line in offered_words(layout):
        _say(f"to choose here: {line}")
    for name in report.manifests:
        _say(f"wrote server/manifests/{name}")
    for name in report.cleaned.removed:
        _say(f"removed the old version {name}")
    for name in report.cleaned.kept:
        _say(f"kept the old version {name}" + ("" if report.cleaned.why_all else ": something runs from it"))
    result = {
        "reference": report.reference,
        "key": report.key,
        "folder": str(report.folder),
        "unpacked": report.unpacked,
        "digest": str(report.digest) if report.digest else None,
        "archive": str(report.archive) if report.archive else None,
        "pulled": report.pulled,
        "files": report.files,
        "manifests": list(report.manifests),
        "removed": list(report.cleaned.removed),
        "kept": list(report.cleaned.kept),
    }
    _tell_result(result, [str(report.folder)], as_json)


def _say(text: str) -> None:
    click.echo(printable_lines(text), err=True)


def _warn_unsigned(insecure: bool) -> None:
    if insecure:
        _say("warning: no signature was asked for: this bundle could be anybody's")


def _tell_result(result: dict[str, Any], lines: Sequence[str], as_json: bool) -> None:
    for line in [json.dumps(result)] if as_json else lines:
        click.echo(line)


def _progress(mode: str) -> Progress:
    import time

    return make_progress(mode, sys.stderr, time.monotonic)  # type: ignore[arg-type] # click checked the choice


def _now() -> int:
    import time

    return int(time.time())


def _platform() -> "Platform":
    from runtime.host import platform

    return platform()


def run(arguments: Sequence[str]) -> int:
    """Arguments -> exit code; errors become text on stderr, and JSON on stdout with `--json`."""
    try:
        result = cli.main(list(arguments), prog_name="sealift-node", standalone_mode=False)
    except click.exceptions.Abort:
        return _tell_error(KeyboardInterrupt(), arguments)
    except click.ClickException as exc:
        told = io.StringIO()
        exc.show(told)
        sys.stderr.write(masked(told.getvalue()))  # what was typed may hold a password
        return UsageError.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader of our output has gone: `sealift-node ... | head`
        return 1
    except (Exception, KeyboardInterrupt) as exc:
        return _tell_error(exc, arguments)
    return result if isinstance(result, int) else 0


def _tell_error(error: BaseException, arguments: Sequence[str]) -> int:
    if "--debug" in arguments:
        print(error_trace(error), end="", file=sys.stderr)
    if "--json" in arguments:
        print(json.dumps(error_json(error)))
    print(error_text(error), file=sys.stderr)
    return exit_code(error)


def main() -> None:
    """The console script."""
    code = run(sys.argv[1:])
    gc.freeze()  # the system takes it all back: to look for cycles first takes longer than many a command
    sys.exit(code)
