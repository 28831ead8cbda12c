"""Which Arrow types a frame may have: those that come back from every tier as they were put."""

from __future__ import annotations

import pyarrow as pa

from sluice_cache.errors import InvalidFrame

_SCALAR = (
    pa.types.is_null,
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_fixed_size_binary,
    pa.types.is_date,
    pa.types.is_time,
    pa.types.is_timestamp,
    pa.types.is_duration,
)
_LIST = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)


def check_schema(schema: pa.Schema) -> None:
    """Pass a schema whose every column comes back from every tier.

    Raises:
        InvalidFrame: a column's type does not; unions, run-end encoding, calendar intervals, list views, structs
            without fields, and dictionaries of anything but single values are not kept.
    """
    for field in schema:
        if not _is_kept(field.type):
            raise InvalidFrame("chunk", f"column {field.name!r}: frames have no columns of type {field.type}")


def _is_kept(kind: pa.DataType) -> bool:
    if any(is_of(kind) for is_of in _SCALAR):
        return True
    if any(is_of(kind) for is_of in _LIST):
        return _is_kept(kind.value_type)
    if pa.types.is_struct(kind):
        return kind.num_fields > 0 and all(_is_kept(field.type) for field in kind)
    if pa.types.is_map(kind):
        return _is_kept(kind.key_type) and _is_kept(kind.item_type)
    if pa.types.is_dictionary(kind):
        return any(is_of(kind.value_type) for is_of in _SCALAR)
    return isinstance(kind, pa.BaseExtensionType) and _is_kept(kind.storage_type)
