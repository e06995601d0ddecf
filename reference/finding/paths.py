"""What is a path and what a module's name. Imports nothing, so that it can be asked before torch is there."""

from pathlib import Path

OWN = "scratch"


def is_path(spec: str) -> bool:
    """Whether `spec` names a file or a folder, there or not, rather than a module.

    `scratch` is the package's own, whatever a folder of that name holds here.
    """
    path = Path(spec)
    return spec != OWN and (path.suffix in (".py", ".ipynb") or "/" in spec or path.is_dir())
