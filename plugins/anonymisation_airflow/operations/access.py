"""Who may see and change what, asked of Airflow's auth manager at every request; and where a change came from.

reading                           may read the DAG's runs
calling ok, marking more          may change the DAG's runs
originals, and who looked at them administrators; with another auth manager than the simple one, whoever has the
                                  permission to read the custom view named ORIGINALS
"""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from airflow.configuration import conf
from airflow.utils.session import create_session
from fastapi import Depends, Form, HTTPException, Request
from itsdangerous import BadSignature, URLSafeTimedSerializer

DAG_ID: Final = "anonymise_captures"
ORIGINALS: Final = "Anonymisation originals"
TOKEN_SECONDS: Final = 12 * 3600
_ADMIN: Final = "ADMIN"

may_read = requires_access_dag("GET", DagAccessEntity.RUN, DAG_ID)
may_review = requires_access_dag("PUT", DagAccessEntity.RUN, DAG_ID)


def reviews_allowed(user: BaseUser) -> bool:
    """Whether the user may call pictures ok and mark more on them."""
    return get_auth_manager().is_authorized_dag(
        method="PUT", access_entity=DagAccessEntity.RUN, details=DagDetails(id=DAG_ID), user=user
    )


def originals_allowed(user: BaseUser) -> bool:
    """Whether the user may see originals."""
    manager = get_auth_manager()
    if isinstance(manager, SimpleAuthManager):  # which grants every custom view to every viewer
        return str(getattr(user, "role", None) or "").upper() == _ADMIN
    return bool(manager.is_authorized_custom_view(method="GET", resource_name=ORIGINALS, user=user))


def register_permission() -> None:
    """Make FAB know the permission to see originals: it gives to roles only what it knows.

    With another auth manager there is nothing to do: the simple one has its roles, others keep lists of their own.
    """
    try:
        from airflow.providers.fab.www.security_appless import ApplessAirflowSecurityManager
    except ImportError:
        return
    if type(get_auth_manager()).__module__.startswith("airflow.providers.fab."):
        with create_session() as session:
            ApplessAirflowSecurityManager(session=session).create_permission("can_read", ORIGINALS)


def may_see_originals(user: GetUserDep) -> None:
    """Refuse everyone else.

    Raises:
        HTTPException: 403.
    """
    if not originals_allowed(user):
        raise HTTPException(403, "Forbidden: originals are for administrators")


def form_token(user: BaseUser) -> str:
    """What a form of this page must send back, to be told from forms of other sites; good for half a day."""
    return _serializer().dumps(user.get_id())


def same_site(request: Request, user: GetUserDep, csrf_token: Annotated[str, Form()] = "") -> None:
    """Let a change through only when a page of this very site, shown to this very user, asked for it.

    Raises:
        HTTPException: 403.
    """
    if not _is_own(request):
        raise HTTPException(403, "Forbidden: the request comes from another site")
    try:
        owner = _serializer().loads(csrf_token, max_age=TOKEN_SECONDS)
    except BadSignature:
        raise HTTPException(403, "Forbidden: the form is too old, or not from this page; reload it") from None
    if owner != user.get_id():
        raise HTTPException(403, "Forbidden: the form was made for another user; reload it")


def _is_own(request: Request) -> bool:
    """By the Origin that browsers send with every form; it must be this host, or that of the configured base_url."""
    origin = request.headers.get("origin", "")
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    own = {request.headers.get("host", ""), urlsplit(conf.get("api", "base_url", fallback="")).netloc} - {""}
    return urlsplit(origin).netloc in own


def _serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(conf.get("api", "secret_key"), salt="anonymisation-operations")


reading: Final = Depends(may_read)
reviewing: Final = (Depends(may_review), Depends(same_site))
seeing_originals: Final = Depends(may_see_originals)
