"""The text of tables in the metadata of events, as Dagster's serializer writes it, for less.

The serializer takes a table apart value by value. Two tables are most of what an hour's event costs to write, and their
columns are alike in nearly all events of a batch. Here an event is serialized without its tables, and their texts are
put in: the same text, in half the time. How the serializer writes a table is not public:
`s3_assets_tests/dagster/test_table_texts.py` fails when Dagster changes it.
"""

import json
from itertools import chain
from uuid import uuid4

import dagster as dg

AssetEvent = dg.AssetMaterialization | dg.AssetObservation
TABLES = (dg.TableMetadataValue, dg.TableSchemaMetadataValue)


class TableTexts:
    """Of the events of a batch. It remembers the texts of the columns it met."""

    def __init__(self) -> None:
        """It knows none yet."""
        mark = dg.MetadataValue.text(uuid4().hex)  # which nobody else writes
        self._mark, self._marked = mark, dg.serialize_value(mark)
        self._known: dict[tuple[type, int], tuple[dg.TableSchema, str]] = {}  # held, or their ids could be others'

    def without_tables(self, event: AssetEvent) -> AssetEvent:
        """The same event with a mark in place of each table."""
        marked = {label: self._mark if isinstance(value, TABLES) else value for label, value in event.metadata.items()}
        return event.with_metadata(marked)

    def put_into(self, text: str, event: AssetEvent) -> str:
        """The text of `event`, given that of the same without its tables."""
        before, *rest = text.split(self._marked)
        tables = (self._text(value) for value in event.metadata.values() if isinstance(value, TABLES))
        return before + "".join(chain.from_iterable(zip(tables, rest, strict=True)))

    def _text(self, table: dg.TableMetadataValue | dg.TableSchemaMetadataValue) -> str:
        if isinstance(table, dg.TableSchemaMetadataValue):
            return self._with_columns(table)
        records = [{"__class__": "TableRecord", "data": record.data} for record in table.records]
        empty = self._with_columns(dg.MetadataValue.table([], table.schema))
        return empty.replace('"records": []', f'"records": {json.dumps(records, sort_keys=True)}', 1)

    def _with_columns(self, table: dg.TableMetadataValue | dg.TableSchemaMetadataValue) -> str:
        key = (type(table), id(table.schema))
        if key not in self._known:
            self._known[key] = table.schema, dg.serialize_value(table)
        return self._known[key][1]
