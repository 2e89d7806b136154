"""The story of ../run, told with what openapi-python-client makes."""

import hmac
import sys
import time
import uuid
from datetime import datetime, timezone
from http import HTTPStatus
from typing import TypeVar

import httpx

from nectr_client import AuthenticatedClient
from nectr_client.api.auth import create_token, get_me, log_out
from nectr_client.api.deliveries import get_delivery, list_deliveries, redeliver
from nectr_client.api.repositories import (
    connect_repository,
    disconnect_repository,
    get_profile,
    get_repository,
    list_files,
    list_repositories,
)
from nectr_client.api.reviews import get_review, list_reviews
from nectr_client.api.webhooks import receive_delivery
from nectr_client.models import (
    Delivery,
    DeliveryStatus,
    Error,
    Receipt,
    ReceiptStatus,
    Review,
    Severity,
    Verdict,
    WebhookBranch,
    WebhookPayload,
    WebhookPullRequest,
    WebhookRepository,
)
from nectr_client.types import UNSET, Response, Unset

T = TypeVar("T")


def ok(answer: Response[Error | T], status: HTTPStatus = HTTPStatus.OK) -> T:
    """What was asked for, or a failure in the server's words."""
    parsed = answer.parsed
    assert not isinstance(parsed, Error), parsed.detail
    assert answer.status_code == status and parsed is not None, answer
    return parsed


def refused(answer: Response[Error | T], status: HTTPStatus, detail: str) -> None:
    """Checks that the server said no in these words."""
    assert isinstance(answer.parsed, Error), answer
    assert (answer.status_code, answer.parsed.detail) == (status, detail), answer


def sign_in(url: str) -> AuthenticatedClient:
    """A browser's way: nectr, GitHub's authorize page, and back with a cookie; then a token for it."""
    with httpx.Client(follow_redirects=True) as browser:
        dashboard = browser.get(f"{url}/auth/github")
        assert dashboard.status_code == HTTPStatus.OK and dashboard.url.path == "/dashboard", dashboard
        cookie = f"access_token={browser.cookies['access_token']}"
    page = AuthenticatedClient(url, token=cookie, prefix="", auth_header_name="Cookie", headers={"Origin": url})
    token = ok(create_token.sync_detailed(client=page))
    assert token.token_type == "bearer"
    return AuthenticatedClient(url, token=token.access_token)


def all_deliveries(client: AuthenticatedClient) -> list[Delivery]:
    """Every page, one delivery each."""
    found: list[Delivery] = []
    cursor: str | None | Unset = UNSET
    while cursor is not None:
        page = ok(list_deliveries.sync_detailed(client=client, limit=1, cursor=cursor))
        found.extend(page.items)
        cursor = page.next_cursor or None
    return found


def wait_for(client: AuthenticatedClient, delivery: int) -> None:
    """Until the work on it is done."""
    patience = time.monotonic() + 30
    while True:
        now = ok(get_delivery.sync_detailed(delivery, client=client))
        if now.status is DeliveryStatus.COMPLETED:
            assert len(now.attempt_log) >= 2 and now.headers["x-github-event"] == "pull_request"
            return
        assert time.monotonic() < patience, f"delivery {delivery} is {now.status}: {now.last_error}"
        time.sleep(0.05)


def deliver(client: AuthenticatedClient, guid: str, secret: str) -> Response[Error | Receipt]:
    """As a webhook made by hand does it."""
    payload = WebhookPayload(
        action="opened",
        repository=WebhookRepository(id=1, full_name="acme/elsewhere"),
        pull_request=WebhookPullRequest(
            number=1,
            state="open",
            updated_at=datetime(2026, 1, 1, 12, tzinfo=timezone.utc),
            head=WebhookBranch(ref="new", sha="1" * 40),
            base=WebhookBranch(ref="main", sha="2" * 40),
        ),
    )
    sent = httpx.Request("POST", "/", json=payload.to_dict()).content
    return receive_delivery.sync_detailed(
        client=client,
        body=payload,
        x_git_hub_event="pull_request",
        x_git_hub_delivery=guid,
        x_hub_signature_256=f"sha256={hmac.new(secret.encode(), sent, 'sha256').hexdigest()}",
    )


def main(url: str) -> None:
    client = sign_in(url)
    me = ok(get_me.sync_detailed(client=client))
    assert me.github_username == "octavia"
    stranger = AuthenticatedClient(url, token="no token")
    refused(get_me.sync_detailed(client=stranger), HTTPStatus.UNAUTHORIZED, "Unauthorized")

    # What there is to see.
    shop = next(repo for repo in ok(list_repositories.sync_detailed(client=client)) if repo.full_name == "acme/shop")
    assert shop.is_connected
    deliveries = all_deliveries(client)
    assert len({delivery.guid for delivery in deliveries}) == 3
    review = ok(list_reviews.sync_detailed(client=client, verdict=Verdict.REQUEST_CHANGES)).items[0]
    whole = ok(get_review.sync_detailed(review.id, client=client))
    assert len(whole.findings) == whole.findings_count
    assert any(finding.severity is Severity.BLOCK for finding in whole.findings)
    # A review that came to nothing has no verdict: null must be read as well.
    assert Review.from_dict({**review.to_dict(), "verdict": None, "event": None}).verdict is None
    files = ok(list_files.sync_detailed("acme", "shop", client=client))
    assert len(files.files) == files.count
    profile = ok(get_profile.sync_detailed("acme", "shop", client=client))
    assert [share.language for share in profile.languages] == ["Rust", "TypeScript"]

    # A delivery is done again.
    requeued = ok(redeliver.sync_detailed(deliveries[0].id, client=client), HTTPStatus.ACCEPTED)
    assert requeued.delivery_id == deliveries[0].id
    wait_for(client, requeued.delivery_id)

    # The repository is disconnected, and connected again.
    assert ok(disconnect_repository.sync_detailed("acme", "shop", client=client)).status == "disconnected"
    gone = get_repository.sync_detailed("acme", "shop", client=client)
    refused(gone, HTTPStatus.NOT_FOUND, "Repo not connected")
    assert ok(connect_repository.sync_detailed("acme", "shop", client=client)).status == "connected"
    twice = connect_repository.sync_detailed("acme", "shop", client=client)
    refused(twice, HTTPStatus.BAD_REQUEST, "Repo already connected")

    # A delivery by a webhook made by hand: new, known, and not signed by whom it says.
    guid = str(uuid.uuid4())
    refused(deliver(client, guid, "guessed"), HTTPStatus.UNAUTHORIZED, "Invalid webhook signature")
    received = ok(deliver(client, guid, "demo"), HTTPStatus.ACCEPTED)
    assert received.status is ReceiptStatus.RECEIVED
    again = ok(deliver(client, guid, "demo"))
    assert (again.status, again.delivery_id) == (ReceiptStatus.DUPLICATE, received.delivery_id)

    assert ok(log_out.sync_detailed(client=client)).message == "Logged out"
    refused(get_me.sync_detailed(client=client), HTTPStatus.UNAUTHORIZED, "Unauthorized")
    print(f"ok   Python: {me.github_username}, {len(deliveries)} deliveries, {whole.findings_count} findings")


if __name__ == "__main__":
    main(sys.argv[1])
