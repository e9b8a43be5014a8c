"""Charts as people publish them: packaged, in a repository's index, in a registry."""

import gzip

from bundles import jsontext, oci
from bundles.digest import Digest
from tests.support.fakeregistry import FakeRegistry
from tests.support.tars import member, tar

VALUES = b"image: rancher/dns:v1\nglobal: {systemDefaultRegistry: ''}\n"
POD = b"""\
apiVersion: v1
kind: Pod
metadata: {name: {{ .Release.Name }}}
spec:
  containers:
    - name: dns
      image: {{ with .Values.global.systemDefaultRegistry }}{{ . }}/{{ end }}{{ .Values.image }}
"""


def chart_tgz(name: str = "up-dns", version: str = "1.2.3") -> bytes:
    """A packaged chart as `helm package` makes it."""
    described = f"apiVersion: v2\nname: {name}\nversion: {version}\nannotations: {{artifacthub.io/license: MIT}}\n"
    return gzip.compress(
        tar(
            member(f"{name}/Chart.yaml", described.encode()),
            member(f"{name}/values.yaml", VALUES),
            member(f"{name}/templates/pod.yaml", POD),
        ),
        mtime=0,
    )


def index_yaml(name: str, version: str, url: str, tgz: bytes | None, more: str = "") -> bytes:
    """A repository's index with this chart among others."""
    digest = f"    digest: {Digest.of(tgz).hex}\n" if tgz is not None else ""
    return f"""\
apiVersion: v1
entries:
  other:
  - version: {version}
    urls: [other.tgz]
    created: "2026-01-01T00:00:00Z"
  {name}:
  - apiVersion: v2
    version: 9.9.9
    urls: [nine.tgz]
    maintainers: [{{name: a, email: b}}]
  - version: {version}
    name: {name}
{digest}    urls:
    - {url}
{more}generated: "2026-01-01T00:00:00Z"
""".encode()


def push_chart(registry: FakeRegistry, repository: str, tag: str, tgz: bytes, **changes: str) -> None:
    """What `helm push` leaves in a registry."""
    config = b'{"name":"up-dns","version":"1.2.3","apiVersion":"v2"}'
    described = {
        "schemaVersion": 2,
        "mediaType": oci.MANIFEST,
        "config": {
            "mediaType": changes.get("config", "application/vnd.cncf.helm.config.v1+json"),
            "digest": str(Digest.of(config)),
            "size": len(config),
        },
        "layers": [
            {
                "mediaType": changes.get("layer", "application/vnd.cncf.helm.chart.content.v1.tar+gzip"),
                "digest": str(Digest.of(tgz)),
                "size": len(tgz),
            }
        ],
    }
    data = jsontext.encode_canonical(described)
    registry.blobs[repository, str(Digest.of(config))] = config
    registry.blobs[repository, str(Digest.of(tgz))] = tgz
    for reference in (tag, str(Digest.of(data))):
        registry.manifests[repository, reference] = (oci.MANIFEST, data)
