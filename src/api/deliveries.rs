//! The inbox, as its owners see it: what came, what became of it, and running it again.

use std::collections::BTreeMap;

use poem::web::Data;
use poem_openapi::{
    ApiResponse, Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::{Any, Example},
};
use serde_json::Value;

use super::{
    Tag,
    error::{Problem, fails},
    params::{Cursor, FullName, Limit, Number, OneOf, Text},
    security::Caller,
    time::Time,
};
use crate::{
    accounts::{access, session::CurrentUser},
    apart,
    app::{App, Handle},
    domain::DeliveryId,
    store::{
        StoreError,
        deliveries::{self as rows, DeliveryFilter, DeliveryRow, Redelivered, Status},
        installations::{Installation, InstallationState},
    },
};

/// Where a delivery stands. `failed` will be tried again at `next_attempt_at`.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case", remote = "Status")]
enum DeliveryStatus {
    Queued,
    Running,
    Completed,
    Ignored,
    Superseded,
    Failed,
    Dead,
}

/// One webhook POST from GitHub.
#[derive(Debug, Object)]
#[oai(example)]
struct Delivery {
    /// Our id.
    id: i64,
    /// GitHub's id of the event.
    guid: String,
    /// Repository, as the payload spelled it.
    repo: Option<String>,
    /// Event.
    event: String,
    /// What happened.
    action: Option<String>,
    /// Pull request or issue.
    pr_number: Option<i64>,
    /// Where it stands.
    status: DeliveryStatus,
    /// Attempts that count.
    attempts: i64,
    /// When it came.
    received_at: Time,
    /// When it was finished.
    finished_at: Option<Time>,
    /// When it will be tried.
    next_attempt_at: Option<Time>,
    /// How it ended: `reviewed`, `draft`, ...; more codes may come.
    outcome: Option<String>,
    /// What went wrong last.
    last_error: Option<String>,
}

/// A page of deliveries, newest first.
#[derive(Debug, Object)]
struct DeliveryPage {
    items: Vec<Delivery>,
    /// Pass it as `cursor` to go on; null at the end.
    next_cursor: Option<String>,
}

/// A delivery with everything known of it.
#[derive(Debug, Object)]
struct DeliveryDetail {
    #[oai(flatten)]
    delivery: Delivery,
    /// The headers that were kept, names in lower case.
    headers: BTreeMap<String, String>,
    /// What GitHub said: JSON, text if it is none, null if it is damaged.
    payload: Any<Value>,
    /// Every try, oldest first.
    attempt_log: Vec<Attempt>,
    /// What it did on GitHub.
    effects: Vec<Effect>,
}

/// One try.
#[derive(Debug, Object)]
#[oai(example)]
struct Attempt {
    /// From 1.
    number: i64,
    /// Began.
    started_at: Time,
    /// Ended; null while running.
    finished_at: Option<Time>,
    /// How it ended; null while running.
    result: Option<String>,
    /// What went wrong.
    error: Option<String>,
}

/// Something a delivery did on GitHub.
#[derive(Debug, Object)]
#[oai(example)]
struct Effect {
    /// What.
    kind: String,
    /// GitHub's id.
    github_id: Option<i64>,
    /// Its page.
    url: Option<String>,
    /// When.
    created_at: Time,
}

/// A delivery that is queued again.
#[derive(Debug, Object)]
#[oai(example)]
struct Requeued {
    /// Always `queued`.
    status: String,
    /// Which.
    delivery_id: i64,
}

/// Answers of running a delivery again.
#[derive(ApiResponse)]
enum Redelivery {
    /// It is tried now, attempts from 0.
    #[oai(status = 202)]
    Queued(Json<Requeued>),
}

fails! {
    /// Listing.
    ListFails {}
}

fails! {
    /// Looking at one.
    GetFails { 404 "Delivery not found"; }
}

fails! {
    /// Running one again.
    RedeliverFails {
        404 "Delivery not found";
        409 "Delivery is already queued or running" | "Repo not connected: connect it again first";
    }
}

/// Deliveries.
pub(super) struct DeliveriesApi;

#[OpenApi(prefix_path = "/api/v1/deliveries", tag = "Tag::Deliveries")]
impl DeliveriesApi {
    /// List deliveries.
    ///
    /// Newest first, of every connection of the caller, past ones included, whose repository GitHub still shows to them.
    #[oai(path = "/", method = "get", operation_id = "list_deliveries")]
    #[expect(clippy::too_many_arguments, reason = "each is a documented parameter")]
    async fn list(
        &self,
        Caller(user): Caller,
        Data(app): Data<&Handle>,
        /// Only this repository.
        repo: Query<Option<FullName>>,
        /// Only this status.
        status: Query<Option<OneOf<DeliveryStatus>>>,
        /// Only this event.
        event: Query<Option<Text>>,
        /// Only this event id of GitHub's.
        guid: Query<Option<Text>>,
        /// Only this pull request or issue.
        pr: Query<Option<Number>>,
        limit: Query<Option<Limit>>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<Cursor>>,
    ) -> Result<Json<DeliveryPage>, ListFails> {
        let mut installations = access::visible_installations(app, &user).await?;
        // By the name it has now: what came under an earlier one is found too.
        installations.retain(|it| repo.0.as_ref().is_none_or(|FullName(only)| *only == it.repo.name));
        let filter = DeliveryFilter {
            installations: Some(installations.into_iter().map(|installation| installation.id).collect()),
            repo: None,
            status: status.0.map(|OneOf(status)| status.into()),
            event: event.0.map(|Text(event)| event),
            guid: guid.0.map(|Text(guid)| guid),
            pr: pr.0.map(|Number(number)| number),
        };
        let before = cursor.0.map(|Cursor(id)| id);
        let page = app.store.list_deliveries(&filter, Limit::or_default(limit.0), before).await?;
        let items = page.items.into_iter().map(Delivery::from).collect();
        Ok(Json(DeliveryPage { items, next_cursor: page.next.map(Cursor::after) }))
    }

    /// See one delivery with its payload, its attempts and what it did.
    #[oai(path = "/:id", method = "get", operation_id = "get_delivery")]
    async fn get(
        &self,
        Caller(user): Caller,
        Data(app): Data<&Handle>,
        id: Path<Number>,
    ) -> Result<Json<DeliveryDetail>, GetFails> {
        let (delivery, _) = own(app, &user, id.0).await?;
        Ok(Json(DeliveryDetail::of(delivery).await))
    }

    /// Run a delivery again.
    ///
    /// One that is finished, failed or dead. Running twice does nothing twice: what is on GitHub already stays as it is.
    #[oai(path = "/:id/redeliver", method = "post", operation_id = "redeliver")]
    async fn redeliver(
        &self,
        Caller(user): Caller,
        Data(app): Data<&Handle>,
        id: Path<Number>,
    ) -> Result<Redelivery, RedeliverFails> {
        let (delivery, installation) = own(app, &user, id.0).await?;
        if installation.state == InstallationState::Disconnected {
            return Err(Problem::conflict("Repo not connected: connect it again first").into());
        }
        match app.store.redeliver(delivery.row.id).await? {
            Redelivered::Queued => {
                app.inbox.wake();
                let body = Requeued { status: "queued".to_owned(), delivery_id: delivery.row.id.0 };
                Ok(Redelivery::Queued(Json(body)))
            }
            Redelivered::Busy => Err(Problem::conflict("Delivery is already queued or running").into()),
            Redelivered::Unknown => Err(not_found().into()),
        }
    }
}

/// A delivery to one of the caller's own installations; anybody else's is not there.
async fn own(app: &App, user: &CurrentUser, id: Number) -> Result<(rows::DeliveryDetail, Installation), Problem> {
    let delivery = app.store.delivery(DeliveryId(id.0)).await?.ok_or_else(not_found)?;
    let visible = access::visible_installations(app, user).await?;
    let installation = visible.into_iter().find(|installation| installation.id == delivery.row.installation);
    Ok((delivery, installation.ok_or_else(not_found)?))
}

fn not_found() -> Problem {
    Problem::not_found("Delivery not found")
}

impl From<DeliveryRow> for Delivery {
    fn from(row: DeliveryRow) -> Self {
        Self {
            id: row.id.0,
            guid: row.guid,
            repo: row.repo,
            event: row.event,
            action: row.action,
            pr_number: row.pr_number,
            status: row.status.into(),
            attempts: row.attempts,
            received_at: row.received_at.into(),
            finished_at: row.finished_at.map(Time::from),
            next_attempt_at: row.next_attempt_at.map(Time::from),
            outcome: row.outcome,
            last_error: row.last_error,
        }
    }
}

impl DeliveryDetail {
    async fn of(detail: rows::DeliveryDetail) -> Self {
        let payload = apart::on(detail.payload.size(), move || {
            let json = detail.payload.unpack()?;
            let read = serde_json::from_slice(&json);
            Ok(read.unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&json).into_owned())))
        });
        let payload = payload.await.unwrap_or_else(|error: StoreError| {
            // Everything else that is known of it is what somebody wants to see now.
            tracing::error!(%error, delivery = %detail.row.id, "a payload is damaged");
            Value::Null
        });
        let headers = detail.headers.as_object().into_iter().flatten();
        Self {
            delivery: detail.row.into(),
            headers: headers.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect(),
            payload: Any(payload),
            attempt_log: detail.attempts.into_iter().map(Attempt::from).collect(),
            effects: detail.effects.into_iter().map(Effect::from).collect(),
        }
    }
}

impl From<rows::Attempt> for Attempt {
    fn from(attempt: rows::Attempt) -> Self {
        let rows::Attempt { number, started_at, finished_at, result, error } = attempt;
        Self { number, started_at: started_at.into(), finished_at: finished_at.map(Time::from), result, error }
    }
}

impl From<rows::Effect> for Effect {
    fn from(effect: rows::Effect) -> Self {
        let rows::Effect { kind, github_id, url, created_at } = effect;
        Self { kind, github_id, url, created_at: created_at.into() }
    }
}

impl Example for Delivery {
    fn example() -> Self {
        Self {
            id: 17,
            guid: "72d3162e-cc78-11e3-81ab-4c9367dc0958".to_owned(),
            repo: Some("acme/my-backend".to_owned()),
            event: "pull_request".to_owned(),
            action: Some("opened".to_owned()),
            pr_number: Some(12),
            status: DeliveryStatus::Completed,
            attempts: 1,
            received_at: Time::example(),
            finished_at: Some(Time::example()),
            next_attempt_at: None,
            outcome: Some("reviewed".to_owned()),
            last_error: None,
        }
    }
}

impl Example for Attempt {
    fn example() -> Self {
        Self {
            number: 1,
            started_at: Time::example(),
            finished_at: Some(Time::example()),
            result: Some("completed".to_owned()),
            error: None,
        }
    }
}

impl Example for Effect {
    fn example() -> Self {
        Self {
            kind: "review".to_owned(),
            github_id: Some(80),
            url: Some("https://github.com/acme/my-backend/pull/12#pullrequestreview-80".to_owned()),
            created_at: Time::example(),
        }
    }
}

impl Example for Requeued {
    fn example() -> Self {
        Self { status: "queued".to_owned(), delivery_id: 17 }
    }
}
