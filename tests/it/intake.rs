//! Receiving deliveries: what is accepted, what is refused and in which words, and what is on disk afterwards.

mod ack;
mod again;
pub mod beside;
mod ignored;
mod refused;
mod secrets;
mod shape;
mod signature;
mod size;
mod stored;
mod strangers;
pub mod wire;

use nectr::{
    domain::DeliveryId,
    sandbox::{
        Answer, Delivery, Pr,
        http::{Request, Response},
    },
    store::deliveries::DeliveryRow,
};
use serde_json::{Value, json};

use crate::support::{Person, T};

/// Where GitHub delivers.
const PATH: &str = "/api/v1/webhooks/github";

/// `octavia` has connected the shop, and its webhook has said hello.
async fn ready(t: &T) -> Person {
    let octavia = t.connected().await;
    t.deliver().await;
    octavia
}

/// A new pull request in the shop, and what GitHub would send of it.
fn opened(t: &T) -> (Pr, Delivery) {
    let pr = t.open_pull(|pr| pr.adds("src/lib.rs", "pub fn one() -> u32 {\n    1\n}\n"));
    (pr, only(t.github.drop_deliveries()))
}

/// A delivery that is signed, stored and not acted on.
fn labeled(t: &T) -> Delivery {
    let (pr, _) = opened(t);
    t.github.label(pr, "later");
    only(t.github.drop_deliveries())
}

#[track_caller]
fn only<Item: std::fmt::Debug>(mut items: Vec<Item>) -> Item {
    assert_eq!(items.len(), 1, "expected one, found {items:#?}");
    items.remove(0)
}

/// A GUID nobody else has.
fn guid(n: u32) -> String {
    format!("00000000-0000-4000-8000-{n:012x}")
}

/// The same delivery without a header.
fn without(mut delivery: Delivery, name: &str) -> Delivery {
    delivery.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    delivery
}

/// The same delivery with one more header, whether or not it has one of that name.
fn and_header(mut delivery: Delivery, name: &str, value: &str) -> Delivery {
    delivery.headers.push((name.to_owned(), value.to_owned()));
    delivery
}

/// Status and body of an answer.
#[track_caller]
fn said(answer: &Answer) -> (u16, Value) {
    let status = answer.status.unwrap_or_else(|| panic!("no answer: {}", answer.body));
    (status, serde_json::from_str(&answer.body).unwrap_or(Value::Null))
}

/// Asserts that an answer has this status and says in one sentence what is wrong.
#[track_caller]
fn expect_problem(answer: &Answer, status: u16) {
    let (answered, body) = said(answer);
    assert_eq!(answered, status, "{body}");
    let fields = body.as_object().unwrap_or_else(|| panic!("{status} without a JSON object: {:?}", answer.body));
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["detail"]);
    assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{body}");
}

fn received(id: i64, event: &str) -> (u16, Value) {
    (202, json!({"status": "received", "delivery_id": id, "event": event}))
}

fn duplicate(id: i64, event: &str) -> (u16, Value) {
    (200, json!({"status": "duplicate", "delivery_id": id, "event": event}))
}

fn set_aside(id: i64, event: &str, reason: &str) -> (u16, Value) {
    (200, json!({"status": "ignored", "delivery_id": id, "event": event, "reason": reason}))
}

/// The whole answer to a delivery, headers included.
async fn post(delivery: &Delivery) -> Response {
    let mut request = Request::post(&delivery.url).body(delivery.body.clone());
    for (name, value) in &delivery.headers {
        request = request.header(name, value);
    }
    request.send().await.unwrap()
}

/// Our id of the delivery that was stored last.
async fn last_id(t: &T) -> i64 {
    last(t).await.id.0
}

/// The delivery that was stored last.
async fn last(t: &T) -> DeliveryRow {
    t.deliveries().await.into_iter().next().expect("a delivery was stored")
}

/// Runs the workers, and takes the one review that comes of it.
async fn reviewed(t: &T, pr: Pr) {
    t.work().await;
    t.take_review(pr);
}

/// The JSON a delivery was stored with.
async fn stored(t: &T, id: i64) -> Vec<u8> {
    t.app.store.delivery(DeliveryId(id)).await.unwrap().unwrap().payload.unpack().unwrap()
}
