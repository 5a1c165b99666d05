"""The verbs that keep house: gc, config, doctor."""

import json
from argparse import Namespace
from typing import Any

from updater import config
from updater.cli.session import agent, settings
from updater.config import Loaded, Origin
from updater.report import objects, outcomes
from updater.report.words import plural, safe
from updater.settings import as_values, is_used

PROBLEMS = 1


def add(subparsers: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Put the verbs into the parser."""
    parser = subparsers.add_parser(
        "gc",
        help="remove deployments and objects that nothing needs",
        description="Remove old deployments beyond [deploy] keep, and what only they\n"
        "needed. What runs, is staged, pinned or the previous one stays.",
        epilog="example:\n  osupdate gc --dry-run",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would go")
    parser.set_defaults(func=run_gc)
    parser = subparsers.add_parser(
        "config",
        help="the settings that count, and where each comes from",
        description="Print the merged configuration with the file and line of each\n"
        "value. The output is a configuration file itself.",
        epilog="example:\n  osupdate config --check",
    )
    parser.add_argument(
        "--check", action="store_true", help="only look for mistakes; 2 if there are"
    )
    parser.set_defaults(func=run_config)
    parser = subparsers.add_parser(
        "doctor",
        help="look for what would make an update fail",
        description="Look at the configuration, the remote and its credentials, keys,\n"
        "clock, disk, objects and deployments. Changes nothing; asks no network.",
        epilog="example:\n  osupdate doctor",
    )
    parser.set_defaults(func=run_doctor)


def run_gc(args: Namespace) -> int:
    """`osupdate gc`."""
    outcome = agent(args).gc(dry_run=args.dry_run)
    if args.console.json:
        args.console.object(objects.collected(outcome, dry_run=args.dry_run))
    else:
        lines = outcomes.collected(outcome, dry_run=args.dry_run)
        args.console.lines(lines, answer=True)
    return 0


def run_doctor(args: Namespace) -> int:
    """`osupdate doctor`: 1 when there is a problem."""
    found = agent(args).doctor()
    if args.console.json:
        args.console.object(objects.doctor(found))
    else:
        args.console.lines(outcomes.findings(found), answer=True)
    return PROBLEMS if any(item.level == "problem" for item in found) else 0


def run_config(args: Namespace) -> int:
    """`osupdate config`."""
    loaded = config.load(args.root, args.config, strict=False)
    loaded = settings(args, strict=args.check or bool(loaded.doubts))
    if args.console.json:
        args.console.object(_config_object(loaded))
    elif args.check:
        files = plural(len(loaded.files), "file")
        args.console.lines([f"The configuration is good ({files})"], answer=True)
    else:
        args.console.lines(_config_lines(loaded))
    return 0


def _config_object(loaded: Loaded) -> dict[str, Any]:
    rows = []
    for table, values in as_values(loaded.settings).items():
        for key, value in values.items():
            name = f"{table}.{key}"
            origin = loaded.origins.get(name, Origin(None))
            rows.append(
                {
                    "key": name,
                    "value": value,
                    "file": origin.file,
                    "line": origin.line or None,
                    "used": is_used(name),
                }
            )
    return {
        "schema": "osupdate.config/1",
        "files": list(loaded.files),
        "warnings": list(loaded.warnings),
        "settings": rows,
    }


def _config_lines(loaded: Loaded) -> list[str]:
    lines = [f"# read: {safe(path)}" for path in loaded.files]
    lines = lines or ["# no configuration file: these are the defaults"]
    for table, values in as_values(loaded.settings).items():
        lines += ["", f"[{table}]"]
        for key, value in values.items():
            lines.append(_config_line(loaded, f"{table}.{key}", key, value))
    return lines


def _config_line(loaded: Loaded, name: str, key: str, value: Any) -> str:  # noqa: ANN401
    origin = loaded.origins.get(name, Origin(None))
    where = "default" if origin.file is None else f"{safe(origin.file)}:{origin.line}"
    notes = where if is_used(name) else f"{where}; not used by this version"
    if value is None:
        return f"# {key} is not set ({notes})"
    return f"{key} = {_toml(value)}  # {notes}"


def _toml(value: Any) -> str:  # noqa: ANN401 - any setting
    if isinstance(value, dict):
        inside = ", ".join(f"{key} = {_toml(item)}" for key, item in value.items())
        return f"{{ {inside} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value)
