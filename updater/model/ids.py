"""Names of things, told apart by their type: 40 hex digits, and a directory's name."""

from typing import NewType

ObjectId = NewType("ObjectId", str)
DeploymentId = NewType("DeploymentId", str)
