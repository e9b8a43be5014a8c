"""`sealift verify`."""

import json
import sys
from pathlib import Path

import click

from builder import options


@click.command("verify")
@click.argument("path", type=options.PATH)
@click.option("--quick", is_flag=True, help="Check every blob's digest, but decompress nothing.")
@options.trust_flags
@options.progress_mode
@options.json_flag
@options.common
def command(
    path: Path, quick: bool, key: Path | None, policy: Path | None, insecure: bool, progress: str, as_json: bool
) -> None:
    """Check a bundle (a folder or a .sealift file), or one sealed archive (.tar).

    A bundle needs one of --key, --policy and --insecure-no-signature; without it the exit code is 3. An archive needs
    none: nothing in it says who made it.
    """
    if path.suffix == ".tar":
        _verify_archive(path, quick, progress, as_json)
        return
    from bundles import trust
    from bundles.verify import verify_bundle

    trusted = trust.require(key=key, policy=policy, insecure=insecure)
    report = verify_bundle(path, trusted, quick=quick, progress=options.byte_progress(progress))
    if as_json:
        said = {"bundle": path.name, "sha256": report.index_digest.hex, "ok": True, "quick": quick, "size": report.size}
        print(json.dumps(said | {"signers": sorted(map(str, report.decision.signers))}))
        return
    if trusted.insecure:
        print("warning: no signature was asked for: this bundle could be anybody's", file=sys.stderr)
    for one in report.decision.signatures:
        print(f"signed: {one.file} with {one.algorithm} key {one.key}" + (" (high s)" if one.high_s else ""))
    print(f"ok: {report.index.name} {report.index.version}: {len(report.archives)} archives, {report.size} bytes")


def _verify_archive(path: Path, quick: bool, progress: str, as_json: bool) -> None:
    from bundles.sealed.verify import verify_archive

    report = verify_archive(path, quick=quick, progress=options.byte_progress(progress))
    images = {image.reference: str(image.digest) for image in report.images}
    if as_json:
        print(json.dumps({"archive": path.name, "ok": True, "quick": quick, "size": report.size, "images": images}))
        return
    for reference, digest in images.items():
        print(f"ok: {reference} {digest}")
