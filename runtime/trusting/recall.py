"""What an admission that was cut had still to remember, taken from the kept bundle: for whoever finishes it."""

import msgspec

from bundles import index
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.source import open_source
from bundles.trust import claims
from runtime.admitted import Admitted
from runtime.layout import NodeLayout
from runtime.trusting import memory
from runtime.trusting.places import TrustPlaces


def recall(layout: NodeLayout, record: Admitted) -> None:
    """Remembers the sequence of the bundle that `record` admits; what nobody signed raises nothing.

    The decision is in the audit log already. With the node's lock held. Raises FormatError when the kept bundle is
    another.
    """
    if record.decided is None or record.decided.unsigned:
        return
    with open_source(layout.bundles / record.bundle) as source:
        data, _ = source.envelope()
        if Digest.of(data) != record.index:
            got, want, hint = Digest.of(data), record.index, "stage the bundle again"
            raise FormatError("not the index that was admitted", where=source.where, got=got, want=want, hint=hint)
        document = index.decode(data, where=source.where)
    places = TrustPlaces.of(layout)
    before = memory.read(places.memory)
    line = memory.line_of(name=document.name, flavour=document.flavour, platform=document.platform)
    said = claims(document)
    highest = said.sequence if record.decided.overruled else max(said.sequence, before.sequences.get(line, 0))
    after = msgspec.structs.replace(before, sequences={**before.sequences, line: highest})
    if after != before:
        memory.write(places.memory, after)
