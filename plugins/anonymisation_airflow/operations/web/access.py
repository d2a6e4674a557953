"""Access rules. Airflow's auth manager decides at every request; forms of other sites are refused.

read pages                         users who may read the DAG's runs
call a picture ok, mark a region   users who may change the DAG's runs
see originals and the audit log    administrators, with the simple auth manager; with another one, users who may read
                                   the custom view named ORIGINALS
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

from anonymisation_airflow.deployment import DAG_ID

ORIGINALS: Final = "Anonymisation originals"
TOKEN_SECONDS: Final = 12 * 3600
_ADMIN: Final = "ADMIN"

may_read = requires_access_dag("GET", DagAccessEntity.RUN, DAG_ID)
may_review = requires_access_dag("PUT", DagAccessEntity.RUN, DAG_ID)


def reviews_allowed(user: BaseUser) -> bool:
    """Whether the user may call pictures ok and mark regions on them."""
    return get_auth_manager().is_authorized_dag(
        method="PUT", access_entity=DagAccessEntity.RUN, details=DagDetails(id=DAG_ID), user=user
    )


def originals_allowed(user: BaseUser) -> bool:
    """Whether the user may see originals."""
    manager = get_auth_manager()
    if isinstance(manager, SimpleAuthManager):  # grants every custom view to every viewer
        return str(getattr(user, "role", None) or "").upper() == _ADMIN
    return bool(manager.is_authorized_custom_view(method="GET", resource_name=ORIGINALS, user=user))


def register_permission() -> None:
    """Register the permission to see originals with FAB, which grants only registered permissions.

    Other auth managers need no registration: the simple one has fixed roles, and others keep their own lists.
    """
    try:
        from airflow.providers.fab.www.security_appless import ApplessAirflowSecurityManager
    except ImportError:
        return
    if type(get_auth_manager()).__module__.startswith("airflow.providers.fab."):
        with create_session() as session:
            ApplessAirflowSecurityManager(session=session).create_permission("can_read", ORIGINALS)


def may_see_originals(user: GetUserDep) -> None:
    """Let only users through who may see originals.

    Raises:
        HTTPException: 403 for all other users.
    """
    if not originals_allowed(user):
        raise HTTPException(403, "Forbidden: originals are for administrators")


def form_token(user: BaseUser) -> str:
    """Return the token that a form sends back to prove its origin. The token expires after half a day."""
    return _serializer().dumps(user.get_id())


def same_site(request: Request, user: GetUserDep, csrf_token: Annotated[str, Form()] = "") -> None:
    """Let a change through only if the request comes from a page of this site that was shown to the same user.

    Raises:
        HTTPException: 403 for all other requests.
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
    """Whether the Origin, which browsers send with every form, is this host or the host of the configured base_url."""
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
