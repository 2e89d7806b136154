//! Receiving deliveries: bytes from anybody, a 202 only for what is signed and on disk.
//!
//! The order is size, headers, secret, signature, and only then parse. Whoever is not proven learns nothing: a bad
//! signature, an unknown webhook and a repository nobody connected are answered alike.

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use poem::{Endpoint, IntoResponse, Request, Response, http::HeaderMap, web::Data};
use poem_openapi::{ApiResponse, Enum, Object, OpenApi, payload::Json, types::Example};
use tokio::sync::OnceCell;

use super::{
    Tag,
    body::Budget,
    error::{Problem, fails},
    incoming::{Hook, Incoming},
    raw_body::RawBody,
};
use crate::{
    accounts::secrets::{self, Candidate, Candidates, SecretsError, Seen},
    apart,
    app::{App, Handle},
    domain::{
        DeliveryId, PrNumber, RepoName,
        event::{Event, IgnoreReason, PullRequestEventKind},
    },
    inbox::{Accepted, IntakeError, NewDelivery, STORE_DEADLINE},
    store::installations::Freshness,
    telemetry::trace,
    webhook::{self, BadSignature, ParseError},
};

/// What became of a delivery.
#[derive(Debug, Object)]
#[oai(example, skip_serializing_if_is_none)]
struct Receipt {
    /// What became of it.
    status: ReceiptStatus,
    /// Our id of it; a ping has none.
    delivery_id: Option<i64>,
    /// Event, with its action where it has one.
    event: String,
    /// Why nobody will act on it, for `ignored`.
    reason: Option<String>,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum ReceiptStatus {
    Received,
    Duplicate,
    Ignored,
    Pong,
}

/// Answers to a delivery.
#[derive(Debug, ApiResponse)]
enum Answer {
    /// On disk, and going to be worked on.
    #[oai(status = 202)]
    Received(Json<Receipt>),
    /// Known already (`duplicate`), not for us (`ignored`, with a `reason`), or a ping (`pong`).
    #[oai(status = 200)]
    Settled(Json<Receipt>),
}

fails! {
    /// Receiving.
    ReceiveFails {
        400 "X-GitHub-Event must name one event, in lower case" | "X-GitHub-Delivery must be one GUID"
            | "the body is not what GitHub sends";
        401 "Invalid webhook signature";
        408 "The body did not arrive within 10 seconds";
        413 "The body is larger than 25 MiB";
        415 "Content-Type must be application/json or application/x-www-form-urlencoded"
            | "Send the body without Content-Encoding";
        503 "The delivery cannot be checked now, send it again" | "The delivery cannot be stored now, send it again"
            | "Too many large deliveries are arriving at once, send it again";
    }
}

/// Webhooks.
pub(super) struct WebhooksApi;

#[OpenApi(prefix_path = "/api/v1/webhooks", tag = "Tag::Webhooks")]
impl WebhooksApi {
    /// Receive a delivery from GitHub.
    ///
    /// For GitHub, not for people. The body must be signed with the webhook's secret.
    #[oai(
        path = "/github",
        method = "post",
        operation_id = "receive_delivery",
        request_header(name = "X-GitHub-Event", ty = "String", description = "Name of the event"),
        request_header(name = "X-GitHub-Delivery", ty = "String", description = "GUID of the event"),
        request_header(name = "X-GitHub-Hook-ID", ty = "Option<i64>", description = "Which webhook sends"),
        request_header(
            name = "X-Hub-Signature-256",
            ty = "String",
            description = "`sha256=` and the HMAC of the raw body in hexadecimal"
        )
    )]
    async fn receive(
        &self,
        Data(app): Data<&Handle>,
        Data(budget): Data<&Budget>,
        headers: &HeaderMap,
        body: RawBody,
    ) -> Result<Answer, ReceiveFails> {
        let body = Budget::check(body.0)?;
        // The body is left unread, so nothing more can be said on this connection.
        let incoming = Incoming::read(headers).map_err(Problem::closing)?;
        let body = budget.read(body).await?;
        let settled = tokio::time::timeout(STORE_DEADLINE, settle(app, incoming, body.bytes.clone())).await;
        Ok(settled.map_err(|_| IntakeError::Slow)??)
    }
}

/// Where GitHub sends.
pub(super) const RECEIVER: &str = "/api/v1/webhooks/github";

/// The receiver without what stands before it in the API: nothing is routed, and no pattern is matched.
pub(super) struct Receiver {
    pub(super) app: Handle,
    pub(super) budget: Budget,
}

impl Endpoint for Receiver {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let body = RawBody(request.take_body());
        let received = WebhooksApi.receive(Data(&self.app), Data(&self.budget), request.headers(), body).await;
        Ok(received?.into_response())
    }
}

/// From bytes to an answer: prove, read, store.
async fn settle(app: &App, incoming: Incoming, body: Bytes) -> Result<Answer, Problem> {
    let (candidate, read, mut incoming) = prove(app, incoming, &body).await?;
    let hook = match incoming.hook {
        Hook::Id(id) => Some(id),
        Hook::Unsaid | Hook::Nonsense => None,
    };
    let mut seen = Seen { installation: candidate.installation, hook, repo: None, ping: false, status: 400 };
    let (event, payload) = match read {
        Ok(read) => read,
        Err(malformed) => {
            let kept = app.store.keep_rejected(candidate.installation, &malformed.0, &incoming.kept, body).await;
            if let Err(error) = kept {
                tracing::warn!(%error, "a malformed delivery was not kept");
            }
            learn(app, seen).await;
            return Err(malformed.into());
        }
    };
    describe(&incoming, &event);
    let repo = event.repo();
    let mismatch = candidate.repo.is_some_and(|ours| repo.is_some_and(|theirs| theirs.id != ours));
    seen.repo = repo.filter(|_| !mismatch);
    if let Event::Ping(ping) = &event {
        seen.ping = true;
        seen.hook = hook.or(ping.hook_id);
        seen.status = 200;
        // Nothing else is kept of a ping: if this is not, GitHub must show it as failed.
        secrets::learn(app, seen).await.map_err(SecretsError::from)?;
        return Ok(Answer::Settled(Json(Receipt::of(ReceiptStatus::Pong, None, &incoming, &event))));
    }
    let ignored = match &event {
        _ if candidate.disconnected => Some(IgnoreReason::Disconnected),
        _ if mismatch => Some(IgnoreReason::RepositoryMismatch),
        Event::Ignored(ignored) => Some(ignored.reason),
        Event::Issue(_) if app.graph.is_none() => Some(IgnoreReason::EventNotUsed),
        Event::PullRequest(_) | Event::Issue(_) | Event::Ping(_) => None,
    };
    let accepted = app.inbox.accept(new_delivery(&candidate, &mut incoming, &event, ignored, payload)).await?;
    if ignored.is_none() && !matches!(accepted, Accepted::Duplicate(_)) {
        remember_state(app, &event);
    }
    let (Accepted::New(id) | Accepted::Requeued(id) | Accepted::Duplicate(id)) = accepted;
    trace::tell("delivery", id.0);
    let answer = Answer::new(accepted, ignored, &incoming, &event);
    seen.status = answer.status();
    learn(app, seen).await;
    Ok(answer)
}

/// Says on the request's span which delivery it is. Only once it is proven: what anybody sends is not repeated.
fn describe(incoming: &Incoming, event: &Event) {
    if !trace::is_on() {
        return;
    }
    trace::tell("guid", incoming.guid.as_str().to_owned());
    trace::tell("event", incoming.event.clone());
    if let Some(action) = event.action() {
        trace::tell("action", action.to_owned());
    }
    if let Some(repo) = event.repo() {
        trace::tell("repository", repo.name.to_string());
    }
    if let Some(number) = number(event) {
        trace::tell("pull_request", number.0);
    }
}

/// Whatever is not learned now, the next delivery tells.
async fn learn(app: &App, seen: Seen<'_>) {
    if let Err(error) = secrets::learn(app, seen).await {
        tracing::warn!(%error, "what a delivery told of its webhook was not kept");
    }
}

/// A proven body, read: the event and the JSON to store.
type Read = Result<(Event, Bytes), ParseError>;

/// Whose secret signed the body, and what the body says.
async fn prove(app: &App, incoming: Incoming, body: &Bytes) -> Result<(Candidate, Read, Incoming), Problem> {
    let incoming = Arc::new(incoming);
    // Read if it is needed, and then once: by whom the body was signed is not known yet.
    let hint = OnceCell::new();
    let tried = candidates(app, &incoming, body, &hint, Freshness::Recent).await?;
    let mut proven = examine(&tried, &incoming, body).await;
    if proven.is_none() {
        // Before somebody is turned away: another process may have made or changed a connection a moment ago.
        let now = candidates(app, &incoming, body, &hint, Freshness::Now).await?;
        if !now.same_as(&tried) {
            proven = examine(&now, &incoming, body).await;
        }
    }
    let incoming =
        Arc::into_inner(incoming).ok_or_else(|| Problem::internal("a delivery's headers are still in use"))?;
    match proven {
        Some((candidate, read)) => Ok((candidate, read, incoming)),
        // With a secret that cannot be opened, a signature that fits no other proves nothing against the sender.
        None if tried.unopened => Err(SecretsError::Sealed.into()),
        None => Err(BadSignature.into()),
    }
}

async fn candidates(
    app: &App,
    incoming: &Incoming,
    body: &Bytes,
    hint: &OnceCell<Option<RepoName>>,
    fresh: Freshness,
) -> Result<Arc<Candidates>, SecretsError> {
    let read = || {
        let (body, form) = (body.clone(), incoming.form);
        apart::on(body.len(), move || webhook::full_name_hint(&body, form))
    };
    let hint = async { hint.get_or_init(read).await.clone() };
    Ok(Arc::new(match incoming.hook {
        Hook::Nonsense => Candidates::default(),
        Hook::Unsaid => secrets::candidates(app, None, fresh, hint).await?,
        Hook::Id(hook) => secrets::candidates(app, Some(hook), fresh, hint).await?,
    }))
}

/// Whose secret fits, if any, and what the body then says.
async fn examine(candidates: &Arc<Candidates>, incoming: &Arc<Incoming>, body: &Bytes) -> Option<(Candidate, Read)> {
    let (candidates, incoming, body) = (candidates.clone(), incoming.clone(), body.clone());
    // Hashed once for each secret; with none, once nevertheless.
    apart::on(body.len() * candidates.len().max(1), move || {
        let signature = incoming.signature.as_ref().map(|value| value.as_bytes());
        let (signed, index) = webhook::verify(&candidates, signature, &body).ok()?;
        let read = webhook::parse(&incoming.event, signed, incoming.form).map(|(event, json)| match json {
            Cow::Borrowed(json) => (event, body.slice_ref(json)),
            Cow::Owned(json) => (event, json.into()),
        });
        Some((candidates[index].clone(), read))
    })
    .await
}

fn new_delivery(
    candidate: &Candidate,
    incoming: &mut Incoming,
    event: &Event,
    ignored: Option<IgnoreReason>,
    payload: Bytes,
) -> NewDelivery {
    let pull = match event {
        Event::PullRequest(event) => Some(event),
        Event::Issue(_) | Event::Ping(_) | Event::Ignored(_) => None,
    };
    let mut headers = std::mem::take(&mut incoming.kept);
    if let (Some(kept), Some(trace)) = (headers.as_object_mut(), trace::current()) {
        kept.insert(trace::KEPT.to_owned(), trace.into());
    }
    NewDelivery {
        installation: candidate.installation,
        guid: incoming.guid.clone(),
        event: incoming.event.clone(),
        action: event.action().map(str::to_owned),
        repo: event.repo().cloned(),
        number: number(event),
        head: pull.and_then(|event| event.pull.head.clone()),
        event_at: pull.and_then(|event| event.pull.updated_at),
        reviews: ignored.is_none() && pull.is_some_and(|event| event.kind == PullRequestEventKind::Reviewable),
        ignored,
        headers,
        payload,
    }
}

/// The number of the pull request or issue it is about.
fn number(event: &Event) -> Option<PrNumber> {
    match event {
        Event::PullRequest(event) => Some(event.pull.number),
        Event::Issue(event) => Some(PrNumber(event.number)),
        Event::Ignored(ignored) => ignored.number,
        Event::Ping(_) => None,
    }
}

/// A signed delivery is as good as asking GitHub.
fn remember_state(app: &App, event: &Event) {
    if let Event::PullRequest(event) = event
        && let Some(updated_at) = event.pull.updated_at
    {
        app.pr_states.learn(&event.repo.name, event.pull.number, event.pull.state, updated_at);
    }
}

impl Answer {
    fn new(accepted: Accepted, ignored: Option<IgnoreReason>, incoming: &Incoming, event: &Event) -> Self {
        let (status, DeliveryId(id)) = match (accepted, ignored) {
            (Accepted::New(id), Some(_)) => (ReceiptStatus::Ignored, id),
            (Accepted::New(id), None) | (Accepted::Requeued(id), _) => (ReceiptStatus::Received, id),
            (Accepted::Duplicate(id), _) => (ReceiptStatus::Duplicate, id),
        };
        let mut receipt = Receipt::of(status, Some(id), incoming, event);
        match status {
            ReceiptStatus::Received => Self::Received(Json(receipt)),
            _ => {
                let reason = ignored.filter(|_| status == ReceiptStatus::Ignored);
                receipt.reason = reason.map(|reason| reason.code().to_owned());
                Self::Settled(Json(receipt))
            }
        }
    }

    fn status(&self) -> u16 {
        match self {
            Self::Received(_) => 202,
            Self::Settled(_) => 200,
        }
    }
}

impl Receipt {
    fn of(status: ReceiptStatus, delivery_id: Option<i64>, incoming: &Incoming, event: &Event) -> Self {
        let event = match event.action() {
            Some(action) => format!("{}.{action}", incoming.event),
            None => incoming.event.clone(),
        };
        Self { status, delivery_id, event, reason: None }
    }
}

impl Example for Receipt {
    fn example() -> Self {
        Self {
            status: ReceiptStatus::Received,
            delivery_id: Some(17),
            event: "pull_request.opened".to_owned(),
            reason: None,
        }
    }
}
