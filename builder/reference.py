"""docs/cli.md from the commands themselves, so that the page and `--help` cannot differ."""

import inspect

import click

from builder.cli import VERBS, cli

_EVERYWHERE = ("debug", "help")  # said once, above
_HEAD = """# Commands of `sealift`

<!-- Generated from the code: `make generate` writes this page, a test compares it. -->

Results go to stdout, talk to stderr. Exit codes: 0 done; 1 failed, damaged, malformed or missing; 2 wrong usage or
recipe; 3 refused for trust; 130 interrupted. Every verb knows `--help`, and `--debug`, which shows a traceback with an
error.
"""


def cli_page() -> str:
    """The whole page, in Markdown."""
    context = click.Context(cli, info_name="sealift")
    rows = [f"| [`{verb}`](#sealift-{verb}) | {text} |" for verb, text in VERBS.items()]
    parts = [_HEAD, "\n".join(["| verb | what it does |", "|---|---|", *rows, ""])]
    for verb in VERBS:
        command = cli.get_command(context, verb)
        assert command is not None
        parts.append(_section(verb, command, context))
    return "\n".join(parts)


def _section(verb: str, command: click.Command, parent: click.Context) -> str:
    context = click.Context(command, info_name=verb, parent=parent)
    usage = " ".join(["sealift", verb, *command.collect_usage_pieces(context)])
    text = inspect.cleandoc(command.help or "")
    told = [option for option in command.params if isinstance(option, click.Option) and option.name not in _EVERYWHERE]
    rows = [record for option in told if (record := option.get_help_record(context))]
    lines = [f"## sealift {verb}", "", "```", usage, "```", "", text, ""]
    if rows:
        lines += ["| option | meaning |", "|---|---|"]
        lines += [f"| `{_cell(name)}` | {_cell(meaning)} |" for name, meaning in rows]
        lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
