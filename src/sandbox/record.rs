//! GitHub's record of what its webhooks sent: every attempt with its answer, kept for three days; asking for another
//! attempt; and what a person can do to a webhook in a repository's settings.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{
    Answer, Delivery, Sandbox, Sent,
    ask::Ask,
    reply::{Outcome, Reply, not_found},
    show::time,
    world::{HookInfo, World},
};

/// How long an attempt stays in the record.
const KEPT: TimeDelta = TimeDelta::days(3);
/// What GitHub enters where nobody answered.
const NO_ANSWER: u16 = 502;

/// One attempt to deliver.
pub struct Attempt {
    id: i64,
    at: DateTime<Utc>,
    redelivery: bool,
    sent: Sent,
}

impl Sandbox {
    /// Somebody changes a webhook in the repository's settings.
    #[track_caller]
    pub fn edit_hook(&self, id: i64, edit: impl FnOnce(&mut HookInfo)) {
        let mut world = self.lock();
        let at = world.stamp();
        let hook = world.repos.values_mut().find_map(|repo| repo.hooks.get_mut(&id));
        let Some(hook) = hook else { panic!("there is no webhook {id} in this sandbox") };
        hook.updated_at = at;
        edit(hook);
    }

    /// Somebody deletes a webhook, its record with it.
    #[track_caller]
    pub fn delete_hook(&self, id: i64) {
        let mut world = self.lock();
        let gone = world.repos.values_mut().find_map(|repo| repo.hooks.remove(&id));
        assert!(gone.is_some(), "there is no webhook {id} in this sandbox");
    }
}

impl World {
    /// Enters an attempt in the record and in the webhook's last answer.
    pub fn enter(&mut self, sent: Sent) {
        let now = self.clock.now();
        let (hook, guid) = (sent.delivery.hook_id, &sent.delivery.guid);
        let redelivery = self.record.iter().any(|a| a.sent.delivery.hook_id == hook && a.sent.delivery.guid == *guid);
        // As large as GitHub's: they do not fit into 32 bits.
        let id = 12_000_000_000 + i64::try_from(self.record.len()).unwrap_or(i64::MAX);
        let known = self.repos.get_mut(&sent.delivery.repo_id).and_then(|repo| repo.hooks.get_mut(&hook));
        if let Some(hook) = known {
            hook.last_status = Some(sent.answer.status.unwrap_or(NO_ANSWER));
        }
        let at = now.duration_trunc(TimeDelta::seconds(1)).unwrap_or(now);
        self.record.push(Attempt { id, at, redelivery, sent });
    }

    /// Enters an attempt that reached nobody.
    pub fn enter_lost(&mut self, delivery: Delivery) {
        let answer = Answer { status: None, body: "failed to connect to host".to_owned() };
        self.enter(Sent { delivery, answer });
    }

    /// `GET .../hooks/{id}/deliveries`: latest first, paged by cursor.
    pub fn list_attempts(&self, ask: &mut Ask, repo: i64, hook: i64) -> Outcome {
        ask.allow_query(&["per_page", "cursor"]);
        let size = ask.page().1;
        let before = match ask.param("cursor").map(|cursor| cursor.strip_prefix("v1_").and_then(|id| id.parse().ok())) {
            None => i64::MAX,
            Some(Some(id)) => id,
            Some(None) => return Err(super::reply::invalid("Invalid cursor")),
        };
        let mut kept = self.kept(hook).rev().filter(|attempt| attempt.id < before).peekable();
        let page: Vec<&Attempt> = kept.by_ref().take(size).collect();
        let rows = page.iter().map(|attempt| show(attempt, repo)).collect();
        let reply = Reply::json(200, &Value::Array(rows));
        Ok(match (page.last(), kept.peek()) {
            (Some(last), Some(_)) => {
                let query = format!("per_page={size}&cursor=v1_{}", last.id);
                reply.with("link", format!("<{}{}?{query}>; rel=\"next\"", self.api, ask.canonical))
            }
            _ => reply,
        })
    }

    /// `POST .../deliveries/{id}/attempts`: the same delivery once more, to where the webhook points now and signed with
    /// its present secret.
    pub fn attempt_again(&mut self, hook: i64, id: i64) -> Outcome {
        let attempt = self.kept(hook).find(|attempt| attempt.id == id).ok_or_else(not_found)?;
        let again = attempt.sent.delivery.clone();
        let now = self.repos.values().find_map(|repo| repo.hooks.get(&hook)).ok_or_else(not_found)?;
        let again = again.addressed(now);
        self.outbox.push(again);
        Ok(Reply::json(202, &json!({})))
    }

    fn kept(&self, hook: i64) -> impl DoubleEndedIterator<Item = &Attempt> {
        let oldest = self.clock.now() - KEPT;
        self.record.iter().filter(move |a| a.sent.delivery.hook_id == hook && a.at >= oldest)
    }
}

fn show(attempt: &Attempt, repo: i64) -> Value {
    let Sent { delivery, answer } = &attempt.sent;
    let status = match answer.status {
        Some(200..=299) => "OK".to_owned(),
        Some(code) => format!("Invalid HTTP Response: {code}"),
        None => "failed to connect to host".to_owned(),
    };
    json!({
        "id": attempt.id, "guid": delivery.guid, "delivered_at": time(attempt.at), "redelivery": attempt.redelivery,
        "duration": 0.05, "status": status, "status_code": answer.status.unwrap_or(NO_ANSWER), "event": delivery.event,
        "action": delivery.action, "installation_id": null, "repository_id": repo, "throttled_at": null,
    })
}
