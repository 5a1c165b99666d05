"""The budgets, each beside the peers of the same run; samples become a table."""

from bench import table

_SECONDS = (
    (
        "update: fetch, verify, stage",
        "update",
        "<= 1.0 x",
        {"ostree": "ostree update"},
    ),
    ("its processor time", "update cpu", "", {"ostree": "ostree update cpu"}),
    (
        "update: stage alone",
        "update, stage",
        "<= 0.45 x",
        {
            "git, synced": "git update, synced",
            "git": "git update, stage",
            "cp, synced": "cp update, synced",
        },
    ),
    (
        "first release: stage alone",
        "full, stage",
        "<= 0.45 x",
        {
            "git, synced": "git full, synced",
            "git": "git full, stage",
            "ostree, synced": "ostree full, synced",
            "ostree": "ostree full, stage",
            "cp, synced": "cp full, synced",
        },
    ),
    ("first release: all of it", "full", "", {"ostree": "ostree full"}),
    (
        "publish, first",
        "publish first",
        "<= 1.0 x",
        {"git": "git publish first", "ostree": "ostree publish first"},
    ),
    (
        "publish, next",
        "publish next",
        "<= 1.0 x",
        {"git": "git publish next", "ostree": "ostree publish next"},
    ),
    ("publish, nothing new", "publish again", "", {"git": "git publish again"}),
    ("status", "status", "<= 0.15 s", {}),
    ("check, nothing new", "check", "<= 0.4 s", {}),
    ("check, one of 1,000 entries new", "check of an entry", "<= 0.5 s", {}),
    ("check, log of 1,000, nothing new", "signed check", "<= 0.5 s", {}),
    ("check, log of 1,000 at first", "first check", "", {}),
    ("diff, summary", "diff", "<= 0.5 s", {}),
    ("blame of a file of a package", "blame", "<= 0.2 s", {}),
    ("when, over 300 releases here", "when", "<= 1 s", {}),
    ("when, over a repository of 300", "when in a repository", "<= 1 s", {}),
    ("log -- PATH, over 300 releases", "log of a path", "", {}),
    ("update, twice the files", "update twice", "<= 1.1 x", {"once": "update"}),
    (
        "its processor time",
        "update twice cpu",
        "<= 1.1 x",
        {"once": "update cpu"},
    ),
    (
        "the same, stage alone",
        "update twice, stage",
        "<= 1.1 x",
        {"once": "update, stage"},
    ),
    (
        "update over HTTP (git: fetch)",
        "update over HTTP",
        "",
        {"git": "git fetch over HTTP"},
    ),
    ("update of 100 files", "few", "", {"all": "update"}),
    ("the same, twice the files", "few twice", "<= 1.1 x", {"once": "few"}),
    ("its processor time", "few twice cpu", "<= 1.1 x", {"once": "few cpu"}),
)
_BYTES = (
    (
        "bytes fetched for the update",
        "bytes",
        "<= 1.0 x",
        {"git": "git bytes", "ostree": "ostree bytes"},
    ),
)
_CHECK = (
    ("bytes of a check, one entry new", "check bytes", "<= 50 kB", {}),
    ("bytes of the first check", "first check bytes", "", {}),
)
_DISK = (
    ("disk beside, 1 release", "full, beside", "<= 2 %", {}),
    ("disk beside, 2 releases", "update, beside", "<= 2 %", {}),
    ("disk beside, many updates", "many, beside", "<= 2 %", {}),
)


def rows(samples, largest):
    """The lines of the table.

    Args:
        samples: what was measured.
        largest: bytes of the largest file, which decides how much memory is allowed.
    """
    allowed = f"<= {(1.5 * largest + 80e6) / 1e6:.0f} MB"
    memory = (
        ("memory of apply, first release", "full memory", allowed, {}),
        ("memory of apply, update", "update memory", allowed, {}),
        ("memory of publish", "publish memory", "", {}),
        ("memory of diff, summary", "diff memory", "<= 150 MB", {}),
    )
    groups = (
        ("MB", _BYTES),
        ("kB", _CHECK),
        ("s", _SECONDS),
        ("MB", memory),
        ("%", _DISK),
    )
    return [
        row
        for unit, lines in groups
        for line in lines
        for row in _lines(samples, unit, *line)
    ]


def _lines(samples, unit, what, name, budget, peers):
    """One line for each peer; the budget stands in the first."""
    found = [(label, *samples.summary(peer)) for label, peer in peers.items()]
    for number, peer in enumerate(found or [None]):
        yield table.Row(
            "" if number else what,
            unit,
            *samples.summary(name),
            peer,
            "" if number else budget,
        )
