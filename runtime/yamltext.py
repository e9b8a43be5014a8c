"""YAML that two generations of parsers read alike: what looks like a number or a word of YAML 1.1 or 1.2 is quoted.

PyYAML quotes by YAML 1.1; the Go programs of Kubernetes read by a mixture with 1.2. A hash such as 1234e56 or a node
called `1e3` is a string to the one and a number to the other. Pure and deterministic.
"""

import re
from typing import Any, Final

import yaml

# Digits, signs and dots begin every number of either version; single letters are booleans to some.
_AMBIGUOUS: Final = re.compile(r"[-+.0-9].*|[a-zA-Z~]|", re.DOTALL)

# Line ends of YAML 1.1 that are none in 1.2, and a mark that some take away: only escaped they stay what they are.
_BREAKS: Final = re.compile("[\x85\u2028\u2029\ufeff]")


class _Dumper(yaml.SafeDumper):
    """Quotes strings that anybody could take for something else, and writes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if _AMBIGUOUS.fullmatch(text) or _BREAKS.search(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _string)


def yaml_text(document: object, *, sort_keys: bool = False) -> str:
    """Dicts, lists, strings, integers and booleans -> YAML in block style, one line per value, newline at the end.

    Keys keep their order unless `sort_keys`. Raises yaml.YAMLError for other types (a bug of ours).
    """
    text: str = yaml.dump(
        document,
        Dumper=_Dumper,
        sort_keys=sort_keys,
        default_flow_style=False,
        allow_unicode=True,
        width=1 << 30,  # never folded: a diff shows the argument that changed
    )
    return text
