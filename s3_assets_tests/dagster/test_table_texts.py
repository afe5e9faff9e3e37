"""Events' texts are the serializer's own, whatever their metadata holds."""

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.dagster.table_texts import TableTexts

WORDS = st.text(max_size=8) | st.sampled_from(
    ['"records": []', "\0the table a", '{"__class__": "TextMetadataEntryData"}']
)
SCALARS = WORDS | st.integers() | st.floats(allow_nan=False) | st.booleans() | st.none()
COLUMNS = st.builds(
    dg.TableSchema,
    st.lists(st.builds(dg.TableColumn, WORDS, WORDS, WORDS | st.none()), max_size=3, unique_by=lambda one: one.name),
)


@st.composite
def tables(draw: st.DrawFn) -> dg.TableMetadataValue:
    """Any table, with records of its columns."""
    columns = draw(COLUMNS)
    record = st.fixed_dictionaries({column.name: SCALARS for column in columns.columns})
    return dg.MetadataValue.table([dg.TableRecord(one) for one in draw(st.lists(record, max_size=3))], columns)


VALUES = st.one_of(
    WORDS,
    st.integers(),
    st.floats(),
    st.dictionaries(WORDS, SCALARS, max_size=2).map(dg.MetadataValue.json),
    COLUMNS.map(dg.TableSchemaMetadataValue),
    tables(),
)
METADATA = st.dictionaries(WORDS | st.sampled_from(["a", "b"]), VALUES, max_size=5)


@pytest.mark.parametrize("kind", [dg.AssetMaterialization, dg.AssetObservation])
@given(every=st.lists(METADATA, min_size=1, max_size=3))
def test_an_event_has_the_text_that_the_serializer_writes(
    kind: type[dg.AssetMaterialization | dg.AssetObservation], every: list[dict]
) -> None:
    """Of one after the other, and of each again, when its columns are known; also where they are told by themselves."""
    texts = TableTexts()
    for metadata in (*every, *every):
        shown = [value for value in metadata.values() if isinstance(value, dg.TableMetadataValue)]
        columns = {f"columns {place}": table.schema for place, table in enumerate(shown)}
        event = kind("asset", description="what", partition="a|b", metadata={**metadata, **columns})
        assert texts.put_into(dg.serialize_value(texts.without_tables(event)), event) == dg.serialize_value(event)
