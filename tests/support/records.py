"""Records of deployments that are nowhere."""

from updater.model import Record


def record(version, number, commit=None, **kw):
    commit = commit or f"{number:x}" * 40
    return Record(
        **{
            "id": f"{number}-{commit[:7]}.0",
            "commit": commit[:40],
            "version": version,
            "number": number,
            "tag": None,
            "created": 1_770_000_000,
            "staged_at": 1_770_000_000,
            "size": 1,
            "headline": "",
            "signed": True,
        }
        | kw
    )
