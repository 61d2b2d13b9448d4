"""The place an origin names, if the settings allow it, and as whom a sync acts there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ingestion.origins.place import Place
from rag.allowed import AllowedHosts
from rag.domain import LOCAL_USER, Origin, OriginKind, Principal
from rag.errors import BadInput, NotFound, NotPermitted
from rag.ports import UnitOfWork

if TYPE_CHECKING:
    from rag.settings import Settings


def open_place(settings: Settings, origin: Origin) -> Place:
    """Nothing is read yet. Raises AddressRefused, BadInput, BadSettings."""
    if not origin.addresses or (len(origin.addresses) > 1 and origin.kind is not OriginKind.URLS):
        raise BadInput(f"a source of the kind {origin.kind.value} has exactly one address")
    items, size = settings.source_items, settings.max_upload_bytes
    if origin.kind is OriginKind.FOLDER:
        from ingestion.origins.folder import FolderPlace

        return FolderPlace(origin, settings.source_roots, items, size)
    if origin.kind is OriginKind.BUCKET:
        from ingestion.origins.bucket import BucketPlace

        return BucketPlace(origin, settings.source_buckets, _options(settings), items, size)
    from ingestion.origins.fetch import Fetcher
    from ingestion.origins.web import SitemapPlace, UrlsPlace

    hosts = AllowedHosts(settings.source_hosts)
    for address in origin.addresses:
        hosts.check(address)
    place = UrlsPlace if origin.kind is OriginKind.URLS else SitemapPlace
    return place(origin, Fetcher(hosts, settings.source_request_seconds), items, size)


def acting_for(work: UnitOfWork, origin: Origin) -> Principal:
    """Who added the origin, with the rights of today. Raises NotPermitted when that user is gone or
    disabled."""
    try:
        account = work.accounts.get(origin.user)
    except NotFound as exc:
        if origin.user == LOCAL_USER.user:
            return LOCAL_USER
        raise NotPermitted(_without_user(origin)) from exc
    if account.disabled:
        raise NotPermitted(_without_user(origin))
    return Principal(account.user, account.groups, account.admin)


def _without_user(origin: Origin) -> str:
    return (
        f"the user {origin.user!r}, who added this source, is gone or disabled; remove the source, "
        "keeping its documents, and have somebody else add it"
    )


def _options(settings: Settings) -> dict[str, dict[str, Any]]:
    secret = settings.source_bucket_options
    found: dict[str, dict[str, Any]] = (
        {} if secret is None else json.loads(secret.get_secret_value())
    )
    return found
