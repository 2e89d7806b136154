//! Webhooks: made by the API or by hand, fed by what happens.

use secrecy::ExposeSecret;
use serde_json::json;

use super::Acme;
use crate::{
    sandbox::{Delivery, Failure, Pings, Sandbox, sample},
    webhook,
};

const HOOKS: &str = "/repos/acme/shop/hooks";

fn hook(url: &str) -> serde_json::Value {
    let config = json!({"url": url, "content_type": "json", "insecure_ssl": "0"});
    json!({"name": "web", "active": true, "events": ["pull_request", "issues"], "config": config})
}

#[tokio::test]
async fn webhooks_exist_for_administrators_only_and_once_per_url() {
    let acme = Acme::new().await;
    let url = "http://127.0.0.1:1/hook";
    assert_eq!(acme.post("nectr-bot", HOOKS, hook(url)).await.status, 404);
    let mut body = hook(url);
    body["config"]["secret"] = "s3cret".into();
    let mut made = json!(null);
    acme.github.pings(Pings::Never);
    for (attempt, status) in [(1, 201), (2, 422)] {
        let answer = acme.post("octavia", HOOKS, body.clone()).await;
        assert_eq!(answer.status, status, "attempt {attempt}: {}", answer.text());
        if status == 201 {
            made = answer.json();
        } else {
            assert!(answer.text().contains("Hook already exists on this repository"));
        }
    }
    assert_eq!(made["config"]["secret"], "********");
    let path = format!("{HOOKS}/{}", made["id"]);
    let config = json!({"config": {"url": url, "content_type": "json"}});
    let patched = acme.ask("octavia", "PATCH", &path).json(&config).send().await.unwrap();
    assert!(patched.json()["config"].get("secret").is_none(), "a secret not given again is gone");
    assert_eq!(acme.ask("octavia", "DELETE", &path).send().await.unwrap().status, 204);
    assert_eq!(acme.ask("octavia", "DELETE", &path).send().await.unwrap().status, 404);
    assert!(acme.github.hooks_of("acme/shop").is_empty());
}

#[tokio::test]
async fn odd_webhooks_are_refused() {
    let acme = Acme::new().await;
    acme.github.pings(Pings::Never);
    let mut odd_event = hook("http://127.0.0.1:1/");
    odd_event["events"] = json!(["pull_requests"]);
    let mut odd_type = hook("http://127.0.0.1:1/");
    odd_type["config"]["content_type"] = "xml".into();
    for body in [hook("not a url"), hook("ftp://x/"), odd_event, odd_type] {
        assert_eq!(acme.post("octavia", HOOKS, body.clone()).await.status, 422, "{body}");
    }
    for n in 0..20 {
        assert_eq!(acme.post("octavia", HOOKS, hook(&format!("http://127.0.0.1:1/{n}"))).await.status, 201);
    }
    let full = acme.post("octavia", HOOKS, hook("http://127.0.0.1:1/20")).await;
    assert!(full.text().contains("cannot have more than 20 hooks"));
}

#[tokio::test]
async fn every_subscribed_webhook_gets_the_event_under_one_guid() {
    let acme = Acme::new().await;
    acme.github.drop_deliveries();
    acme.github.repo("acme/shop").hook("http://127.0.0.1:1/a", None).hook("http://127.0.0.1:1/b", None);
    let head = acme.github.push(acme.pr, |files| files.adds("b.rs", "b\n"));
    acme.github.change_base(acme.pr, "release");
    acme.github.rename_repo("acme/shop", "store");
    let queued = acme.github.drop_deliveries();
    assert_eq!(queued.len(), 4, "nobody subscribed to repository events");
    assert_eq!(queued[0].guid, queued[1].guid);
    assert_ne!(queued[0].hook_id, queued[1].hook_id);
    assert_eq!(
        (queued[0].payload()["after"].as_str(), queued[0].action.as_deref()),
        (Some(&*head), Some("synchronize"))
    );
    assert_eq!(queued[2].payload()["changes"]["base"]["ref"]["from"], "main");
    assert!(acme.github.waiting_deliveries().is_empty());
}

#[tokio::test]
async fn a_delivery_is_kept_with_its_answer_and_can_be_sent_again() {
    let acme = Acme::new().await;
    // The sandbox itself plays the receiver; what it answers does not matter.
    let url = format!("{}/receiver", acme.github.url());
    acme.github.fail_times(2, "POST /receiver", Failure::Status(202, "{}".to_owned()));
    acme.github.repo("acme/shop").hook(&url, None);
    acme.github.edit_title(acme.pr, "Other");
    let sent = acme.github.deliver_all().await;
    assert_eq!(sent[0].answer.status, Some(202));
    let again = acme.github.redeliver(&sent[0].delivery.guid).await;
    assert_eq!((again.len(), acme.github.deliveries().len()), (1, 2));
    assert_eq!(acme.github.hooks_of("acme/shop")[0].last_status, Some(202));
}

#[tokio::test]
async fn a_ping_can_arrive_before_its_webhook_is_known() {
    let acme = Acme::new().await;
    acme.github.pings(Pings::BeforeAnswer);
    let url = format!("{}/receiver", acme.github.url());
    acme.github.fail_next("POST /receiver", Failure::Status(200, "{}".to_owned()));
    acme.post("octavia", HOOKS, hook(&url)).await;
    let order: Vec<String> = acme.github.calls().iter().map(|call| call.path.clone()).collect();
    assert_eq!(order, ["/receiver", HOOKS]);
    assert_eq!(acme.github.deliveries()[0].delivery.event, "ping");
}

fn header<'a>(delivery: &'a Delivery, name: &str) -> Option<&'a str> {
    delivery.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

fn holds(delivery: &Delivery, secret: &str) -> bool {
    let signature = header(delivery, "X-Hub-Signature-256").map(str::as_bytes);
    webhook::verify(&[secret], signature, &delivery.body).is_ok()
}

#[tokio::test]
async fn deliveries_are_signed_and_a_tampered_one_only_if_signed_anew() {
    let acme = Acme::new().await;
    acme.github.repo("acme/shop").hook("http://127.0.0.1:1/", Some("s3cret"));
    acme.github.close(acme.pr);
    let mut delivery = acme.github.drop_deliveries().remove(0);
    assert!(holds(&delivery, "s3cret"));
    assert!(!format!("{delivery:?}").contains("s3cret"));
    delivery.body = "{}".into();
    assert!(!holds(&delivery, "s3cret"));
    assert!(holds(&delivery.with_body("{}"), "s3cret"));
}

#[tokio::test]
async fn a_form_webhook_carries_the_same_payload_in_a_field() {
    let acme = Acme::new().await;
    acme.github.pings(Pings::Never);
    let mut body = hook("http://127.0.0.1:1/");
    body["config"]["content_type"] = "form".into();
    body["config"]["secret"] = "s3cret".into();
    assert_eq!(acme.post("octavia", HOOKS, body).await.status, 201);
    acme.github.reopen(acme.pr);
    let delivery = acme.github.drop_deliveries().remove(0);
    assert_eq!(header(&delivery, "Content-Type"), Some("application/x-www-form-urlencoded"));
    let (signed, _) =
        webhook::verify(&["s3cret"], header(&delivery, "X-Hub-Signature-256").map(str::as_bytes), &delivery.body)
            .unwrap();
    let (event, _) = webhook::parse("pull_request", signed, true).unwrap();
    assert_eq!(event.action(), Some("reopened"));
}

#[tokio::test]
async fn every_verb_says_what_the_receiver_understands() {
    let acme = Acme::new().await;
    let github = &acme.github;
    github.repo("acme/shop").hook("http://127.0.0.1:1/", Some("s3cret"));
    let pr = github.open_pull("acme/shop", |pr| pr.author("eve").adds("a.rs", "a\n").from_fork());
    github.push(pr, |files| files.adds("b.rs", "b\n"));
    github.edit_title(pr, "T");
    github.edit_body(pr, "B");
    github.change_base(pr, "next");
    github.convert_to_draft(pr);
    github.ready_for_review(pr);
    github.label(pr, "bug");
    github.close(pr);
    github.reopen(pr);
    github.delete_user("eve");
    github.merge(pr);
    let issue = github.open_issue("acme/shop", "sam", "It fails");
    github.edit_issue("acme/shop", issue, "It fails often");
    github.label_issue("acme/shop", issue, "bug");
    github.close_issue("acme/shop", issue);
    github.ping(github.hooks_of("acme/shop")[0].id);
    let mut stamps = Vec::new();
    let mut said = Vec::new();
    for delivery in github.drop_deliveries() {
        let signature = header(&delivery, "X-Hub-Signature-256").map(str::as_bytes);
        let (signed, _) = webhook::verify(&["s3cret"], signature, &delivery.body).unwrap();
        let (event, _) = webhook::parse(&delivery.event, signed, false).unwrap();
        assert_eq!(event.repo().map(|repo| repo.id.0), Some(pr.repo), "{}", delivery.event);
        stamps.extend(delivery.payload()["pull_request"]["updated_at"].as_str().map(str::to_owned));
        said.push(delivery.action.unwrap_or(delivery.event));
    }
    let expected = "opened synchronize edited edited edited converted_to_draft ready_for_review labeled closed reopened \
                    closed opened edited labeled closed ping";
    assert_eq!(said.join(" "), expected);
    assert!(stamps.is_sorted_by(|a, b| a < b), "updated_at strictly increases: {stamps:?}");
}

#[tokio::test]
async fn reviews_are_told_to_webhooks_that_want_to_know() {
    let acme = Acme::new().await;
    acme.github.pings(Pings::Never);
    let mut body = hook("http://127.0.0.1:1/");
    body["events"] = json!(["pull_request_review"]);
    acme.post("octavia", HOOKS, body).await;
    let before = acme.get("octavia", &acme.pull("")).await.json()["updated_at"].clone();
    acme.post("nectr-bot", &acme.pull("/reviews"), json!({"event": "APPROVE"})).await;
    assert_ne!(acme.get("octavia", &acme.pull("")).await.json()["updated_at"], before);
    let told = acme.github.drop_deliveries().remove(0).payload();
    assert_eq!((&told["action"], &told["review"]["state"]), (&"submitted".into(), &"approved".into()));
}

#[tokio::test]
async fn the_sample_world_has_three_pull_requests_and_pages_to_look_at() {
    let github = Sandbox::start().await.unwrap();
    let mut sample = sample(&github);
    github.repo(sample.repo).hook("http://127.0.0.1:1/", Some("s3cret"));
    sample.open_pulls(&github);
    assert_eq!((sample.pulls.len(), github.waiting_deliveries().len()), (3, 3));
    let secret = github.hooks_of(sample.repo)[0].secret.clone().unwrap();
    assert_eq!(secret.expose_secret(), "s3cret");
    let patches: Vec<String> = sample.pulls.iter().map(|pull| github.patches(pull.pr).join("\n")).collect();
    assert!(patches[0].contains("+    (cents + 50) / 100"));
    assert!(patches[1].contains("+    dbg!(") && patches[1].contains("+  it.only("));
    assert!(patches[2].contains("+<<<<<<< HEAD") && patches[2].contains("+access_key = \"AKIA"));
    let page = format!("{}/acme/shop/pull/{}", github.server_url(), sample.pulls[2].pr.number);
    let page = crate::sandbox::http::Request::get(page).send().await.unwrap();
    assert!(page.text().contains("Take card payments") && page.text().contains("&lt;&lt;&lt;&lt;&lt;&lt;&lt; HEAD"));
    assert!(github.unknown_calls().is_empty());
}

#[tokio::test]
async fn every_attempt_is_in_the_record_for_three_days_and_can_be_made_again() {
    let clock = crate::domain::Clock::manual("2026-03-01T12:00:00Z".parse().unwrap());
    let github = Sandbox::start_on(0, clock.clone()).await.unwrap();
    github.user("octavia");
    github.repo("acme/shop").admin("octavia").hook("http://127.0.0.1:1/hook", Some("s3cret"));
    let hook = github.hooks_of("acme/shop")[0].id;
    let acme = Acme { pr: github.open_pull("acme/shop", |pr| pr.adds("a.txt", "one\n")), github };
    acme.github.label(acme.pr, "big");
    let lost = acme.github.drop_deliveries();
    let path = format!("{HOOKS}/{hook}/deliveries");

    let page = acme.get("octavia", &format!("{path}?per_page=1")).await;
    let link = page.header("link").unwrap();
    let next = link.split_once("/api/v3").unwrap().1.split_once('>').unwrap().0.to_owned();
    assert!(link.ends_with("rel=\"next\"") && next.contains("per_page=1&cursor=v1_"), "{link}");
    let older =
        acme.get("octavia", &next.replace(&format!("/repositories/{}", acme.pr.repo), "/repos/acme/shop")).await;
    assert!(older.header("link").is_none());
    let (newest, oldest) = (page.json()[0].clone(), older.json()[0].clone());
    assert_eq!((&newest["action"], &oldest["action"]), (&json!("labeled"), &json!("opened")));
    assert_eq!((&oldest["guid"], &oldest["status_code"]), (&json!(lost[0].guid), &json!(502)));
    assert_eq!((&oldest["redelivery"], &oldest["delivered_at"]), (&json!(false), &json!("2026-03-01T12:00:00Z")));

    acme.github.edit_hook(hook, |hook| hook.secret = Some("another".into()));
    let attempts = format!("{path}/{}/attempts", oldest["id"]);
    assert_eq!(acme.ask("octavia", "POST", &attempts).send().await.unwrap().status, 202);
    let again = acme.github.drop_deliveries().remove(0);
    assert_eq!((&again.guid, &again.body), (&lost[0].guid, &lost[0].body));
    assert!(again.headers.contains(&("X-Hub-Signature-256".to_owned(), webhook::sign(b"another", &again.body))));
    let rows = acme.get("octavia", &path).await.json();
    assert_eq!((rows.as_array().unwrap().len(), &rows[0]["redelivery"]), (3, &json!(true)));
    assert_eq!(acme.ask("octavia", "POST", &format!("{path}/1/attempts")).send().await.unwrap().status, 404);

    clock.advance(std::time::Duration::from_secs(3 * 86_400 + 1));
    assert_eq!(acme.get("octavia", &path).await.json(), json!([]));
    assert_eq!(acme.ask("octavia", "POST", &attempts).send().await.unwrap().status, 404);
    assert!(acme.github.unknown_calls().is_empty(), "{:?}", acme.github.unknown_calls());
}
