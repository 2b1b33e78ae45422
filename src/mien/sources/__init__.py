"""Where photos come from, an adapter a file.

An adapter is a function, registered under the entry point group `mien.sources` by the kind that mien.toml names:

    open_source(name: str, options: Mapping[str, object], web: Web, album: Path) -> Source

`name` is the source's in mien.toml, `options` its keys that are not of `mien.settings.SourceSettings`, `web` the one
way to what HTTP serves, and `album` the folder to which relative paths are relative. Everything that an adapter reads
is somebody else's: names are only ever handed on, links only to `web`, and paths are read through `common.read_below`.

    folder.py bucket.py manifest.py feed.py site.py        the adapters, which do not know each other
    common.py lists.py patterns.py table.py                what they share

`Options` and `read_options` can be imported from here, as docs/collecting.md promises to those who write an adapter of
their own.
"""

from mien.sources.common import Options, read_options

__all__ = ["Options", "read_options"]
