"""The adapters: which answers, what each was made from, and what it changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import streamlit as st

from rag.client import Client
from rag.domain import Adapter, AdapterState
from ui.complaints import complaints
from ui.measured import Measured, measured
from ui.moments import counted, moment
from ui.run_view import gate_view, table
from ui.untrusted import label

_COLOURS = {
    AdapterState.CANDIDATE: "blue",
    AdapterState.PROMOTED: "green",
    AdapterState.RETIRED: "gray",
}
_DEEPEST = 6


def adapters_view(
    client: Client, adapters: Sequence[Adapter], collections: Mapping[str, str], admin: bool
) -> None:
    """`collections` maps ids to names."""
    st.subheader("Adapters", anchor=False)
    if not adapters:
        st.caption("None is registered yet; `attest tune` makes one.")
    for adapter in adapters:
        with st.expander(f"{label(adapter.name)} · {adapter.state.value}"):
            st.badge(adapter.state.value, color=_COLOURS[adapter.state])  # type: ignore[arg-type]
            st.caption(_origin(adapter, collections))
            for name, rows in effects(adapter.card):
                st.markdown(f"**{label(name)}**")
                st.table(table(rows), border="horizontal")
            gate_view(adapter.gate)
            with st.popover("Card", icon=":material/description:"):
                st.json(dict(adapter.card))
            if admin:
                _change(client, adapter)


def _origin(adapter: Adapter, collections: Mapping[str, str]) -> str:
    if adapter.collection is None:
        scope = "every collection"
    else:
        scope = label(collections.get(adapter.collection, adapter.collection))
    documents = len({source.document for source in adapter.sources})
    return (
        f"For {scope} · base {label(adapter.base)} · weights {label(adapter.digest[:12])} · made "
        f"{moment(adapter.created)} · trained on {counted(documents, 'document')} of the library"
    )


def effects(card: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Measured]]]:
    """The tables of measured values in a card, wherever they stand in it, by the keys that lead
    there: rows with a value and the n it rests on."""
    rows = {
        str(name): measured(row)
        for name, row in card.items()
        if isinstance(row, Mapping) and {"value", "n"} <= set(row)
    }
    if rows:
        yield path or "measured", rows
    if path.count(" › ") < _DEEPEST:
        for name, inner in card.items():
            if isinstance(inner, Mapping) and name not in rows:
                yield from effects(inner, f"{path} › {name}" if path else str(name))


def _change(client: Client, adapter: Adapter) -> None:
    """Promote what does not answer yet; take back what does."""
    with complaints():
        if adapter.state is AdapterState.PROMOTED:
            back = f"rollback-{adapter.name}"
            if st.button("Roll back", key=back, icon=":material/undo:"):
                client.roll_adapter_back(adapter.name)
                st.rerun()
        elif not adapter.passed:
            st.caption("It can be promoted once a gate has let it pass.")
        elif st.button("Promote", key=f"promote-{adapter.name}", icon=":material/publish:"):
            client.promote_adapter(adapter.name)
            st.rerun()
