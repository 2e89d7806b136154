//! Webhook deliveries: queued by what happens in the world, sent when a test says so, kept with their answers.
//!
//! All deliveries of one event carry the same GUID, one per subscribed webhook, as GitHub does it. GitHub never
//! retries by itself; neither does the sandbox.

use std::{sync::Mutex, time::Duration};

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::{
    Sandbox, http, lock,
    world::{HookInfo, World, digest},
};
use crate::webhook;

/// How long GitHub waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// When the ping of a new webhook goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pings {
    /// Queued like any other delivery.
    #[default]
    Queued,
    /// Sent, and answered, before the request that creates the webhook is answered.
    BeforeAnswer,
    /// Never.
    Never,
}

/// One delivery, signed and ready to send, replay, reorder or tamper with.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// `X-GitHub-Delivery`.
    pub guid: String,
    /// `X-GitHub-Event`.
    pub event: String,
    /// `action` of the payload, if it has one.
    pub action: Option<String>,
    /// The webhook it is for.
    pub hook_id: i64,
    /// The repository of that webhook.
    pub repo_id: i64,
    /// Where it goes.
    pub url: String,
    /// What it carries, signature included.
    pub headers: Vec<(String, String)>,
    /// The bytes that were signed.
    pub body: Bytes,
    secret: Option<SecretString>,
}

/// What the receiver said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status; none if there was no answer within 10 s.
    pub status: Option<u16>,
    /// The body, or why there is no answer.
    pub body: String,
}

/// A delivery that was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    /// What was sent.
    pub delivery: Delivery,
    /// What came back.
    pub answer: Answer,
}

impl Delivery {
    /// The same delivery with another body, signed anew.
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.headers.retain(|(name, _)| name != "X-Hub-Signature-256");
        self.headers.extend(signature(self.secret.as_ref(), &self.body));
        self
    }

    /// The same delivery as this webhook, as it is now, would send it.
    pub(super) fn addressed(mut self, hook: &HookInfo) -> Self {
        self.url.clone_from(&hook.url);
        self.secret.clone_from(&hook.secret);
        let body = self.body.clone();
        self.with_body(body)
    }

    /// The same delivery under another GUID.
    pub fn with_guid(mut self, guid: &str) -> Self {
        self.guid = guid.to_owned();
        self.with_header("X-GitHub-Delivery", guid)
    }

    /// The same delivery with a header set to another value.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The payload as JSON; null if the body is none.
    pub fn payload(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Sends it as GitHub would, without entering it in the books.
    pub async fn send(&self) -> Answer {
        let mut request = http::Request::post(&self.url).timeout(TIMEOUT).body(self.body.clone());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        match request.send().await {
            Ok(response) => Answer { status: Some(response.status), body: response.text() },
            Err(error) => Answer { status: None, body: error.to_string() },
        }
    }
}

impl Sandbox {
    /// What is queued and not sent yet.
    pub fn waiting_deliveries(&self) -> Vec<Delivery> {
        self.lock().outbox.clone()
    }

    /// Takes what is queued out of the queue: it is lost, and GitHub's record says so, unless the test sends it.
    pub fn drop_deliveries(&self) -> Vec<Delivery> {
        let mut world = self.lock();
        let lost = std::mem::take(&mut world.outbox);
        lost.iter().for_each(|delivery| world.enter_lost(delivery.clone()));
        lost
    }

    /// Sends what is queued, one after the other in the order it happened.
    pub async fn deliver_all(&self) -> Vec<Sent> {
        let mut sent = Vec::new();
        loop {
            let Some(next) = self.take_first() else { return sent };
            sent.push(self.deliver(next).await);
        }
    }

    /// Sends one delivery and enters it in the books.
    pub async fn deliver(&self, delivery: Delivery) -> Sent {
        send_and_record(&self.world, delivery).await
    }

    /// Sends every delivery with this GUID once more, as the button on GitHub does.
    pub async fn redeliver(&self, guid: &str) -> Vec<Sent> {
        let mut again: Vec<Delivery> = Vec::new();
        for sent in self.deliveries().into_iter().filter(|sent| sent.delivery.guid == guid) {
            if again.iter().all(|delivery| delivery.hook_id != sent.delivery.hook_id) {
                again.push(sent.delivery);
            }
        }
        let mut sent = Vec::new();
        for delivery in again {
            sent.push(self.deliver(delivery).await);
        }
        sent
    }

    /// Everything that was sent, with its answers.
    pub fn deliveries(&self) -> Vec<Sent> {
        self.lock().sent.clone()
    }

    /// Queues a ping of this webhook.
    #[track_caller]
    pub fn ping(&self, hook_id: i64) {
        let mut world = self.lock();
        match world.repos.values().find(|repo| repo.hooks.contains_key(&hook_id)).map(|repo| repo.id) {
            Some(repo) => world.queue_ping(repo, hook_id),
            None => panic!("there is no webhook {hook_id} in this sandbox"),
        }
    }

    /// When pings of new webhooks go out from now on.
    pub fn pings(&self, when: Pings) {
        self.lock().pings = when;
    }

    fn take_first(&self) -> Option<Delivery> {
        let mut world = self.lock();
        (!world.outbox.is_empty()).then(|| world.outbox.remove(0))
    }
}

/// Sends a delivery and enters it in the books.
pub async fn send_and_record(world: &Mutex<World>, delivery: Delivery) -> Sent {
    let sent = Sent { answer: delivery.send().await, delivery };
    let mut world = lock(world);
    world.enter(sent.clone());
    world.sent.push(sent.clone());
    sent
}

impl World {
    /// Queues `event` for every active webhook of the repository that is subscribed to it.
    pub fn announce(&mut self, repo: i64, event: &str, payload: &Value) {
        let wants = |hook: &&HookInfo| hook.active && hook.events.iter().any(|name| name == event || name == "*");
        let hooks: Vec<HookInfo> = self.repo(repo).hooks.values().filter(wants).cloned().collect();
        let guid = self.next_guid();
        for hook in hooks {
            let delivery = prepare(&hook, repo, event, &guid, payload);
            self.outbox.push(delivery);
        }
    }

    /// Queues the ping of one webhook.
    pub fn queue_ping(&mut self, repo: i64, hook_id: i64) {
        let Some(hook) = self.repo(repo).hooks.get(&hook_id).cloned() else { return };
        let payload = self.show_ping(repo, &hook);
        let guid = self.next_guid();
        self.outbox.push(prepare(&hook, repo, "ping", &guid, &payload));
    }

    /// The pings that must go out before the request that caused them is answered.
    pub fn take_urgent_pings(&mut self) -> Vec<Delivery> {
        if self.pings != Pings::BeforeAnswer {
            return Vec::new();
        }
        let (pings, rest) = std::mem::take(&mut self.outbox).into_iter().partition(|d| d.event == "ping");
        self.outbox = rest;
        pings
    }

    fn next_guid(&mut self) -> String {
        let id = self.next_id();
        let hex = digest(format!("delivery {id}").as_bytes());
        format!("{}-{}-11ef-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..28])
    }
}

fn prepare(hook: &HookInfo, repo: i64, event: &str, guid: &str, payload: &Value) -> Delivery {
    let (content_type, body) = match hook.content_type.as_str() {
        "json" => ("application/json", payload.to_string()),
        _ => {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.append_pair("payload", &payload.to_string());
            ("application/x-www-form-urlencoded", form.finish())
        }
    };
    let headers = [
        ("Accept", "*/*"),
        ("Content-Type", content_type),
        ("User-Agent", "GitHub-Hookshot/5a4db0c"),
        ("X-GitHub-Delivery", guid),
        ("X-GitHub-Event", event),
        ("X-GitHub-Hook-ID", &hook.id.to_string()),
        ("X-GitHub-Hook-Installation-Target-ID", &repo.to_string()),
        ("X-GitHub-Hook-Installation-Target-Type", "repository"),
    ];
    let body = Bytes::from(body);
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter();
    Delivery {
        guid: guid.to_owned(),
        event: event.to_owned(),
        action: payload["action"].as_str().map(str::to_owned),
        hook_id: hook.id,
        repo_id: repo,
        url: hook.url.clone(),
        headers: headers.chain(signature(hook.secret.as_ref(), &body)).collect(),
        body,
        secret: hook.secret.clone(),
    }
}

fn signature(secret: Option<&SecretString>, body: &[u8]) -> Option<(String, String)> {
    let secret = secret?;
    Some(("X-Hub-Signature-256".to_owned(), webhook::sign(secret.expose_secret().as_bytes(), body)))
}
