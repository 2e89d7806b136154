//! What becomes of a body, statement by statement, over `fixtures/webhooks` and everything that can go wrong with them.

#![allow(clippy::unwrap_used)]

mod odd;

use serde_json::{Value, json};

use super::*;
use crate::webhook::{sign, verify};

const SECRET: &str = "secret";

fn read_as(event: &str, body: &[u8], form: bool) -> Result<(Event, Vec<u8>), ParseError> {
    let header = sign(SECRET.as_bytes(), body);
    let (signed, _) = verify(&[SECRET], Some(header.as_bytes()), body).unwrap();
    parse(event, signed, form).map(|(event, json)| (event, json.into_owned()))
}

fn read(event: &str, body: impl AsRef<[u8]>) -> Result<Event, ParseError> {
    read_as(event, body.as_ref(), false).map(|(event, _)| event)
}

/// Every fixture with the event its file name says.
fn fixtures() -> Vec<(String, String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/webhooks");
    let mut fixtures: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let event = name.split('.').next().unwrap().to_owned();
            (name, event, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    fixtures.sort();
    fixtures
}

fn fixture(name: &str) -> Value {
    let (.., text) = fixtures().into_iter().find(|(found, ..)| found == name).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn fixture_event(name: &str) -> Event {
    read(name.split('.').next().unwrap(), fixture(name).to_string()).unwrap()
}

fn pull_request(name: &str) -> PullRequestEvent {
    match fixture_event(name) {
        Event::PullRequest(event) => event,
        other => panic!("{name}: {other:?}"),
    }
}

fn reason(event: Event) -> IgnoreReason {
    match event {
        Event::Ignored(ignored) => ignored.reason,
        other => panic!("not ignored: {other:?}"),
    }
}

#[test]
fn p13_an_empty_body_is_malformed() {
    for body in ["", " ", "\r\n\t"] {
        assert_eq!(read("pull_request", body), Err(ParseError("the payload is empty".to_owned())));
    }
}

#[test]
fn p14_json_that_is_no_object_is_malformed() {
    for body in ["null", "[]", " [1]", "\"x\"", "1", "true", "[{\"zen\":\"\"}]"] {
        for event in ["pull_request", "ping", "star"] {
            let error = read(event, body).unwrap_err();
            assert_eq!(error.0, "the payload is not a JSON object", "{body}");
        }
    }
}

#[test]
fn p15_invalid_json_is_malformed_wherever_it_breaks() {
    for body in ["{", "{\"a\":1,}", "{} {}", "{'a':1}", "{\"a\":nul}", "{\"repository\":{\"id\":1}", "{\"a\":\"\n\"}"] {
        assert!(read("star", body).unwrap_err().0.starts_with("the payload is not JSON"), "{body}");
    }
    let (.., whole) = fixtures().into_iter().find(|(name, ..)| name == "pull_request.opened").unwrap();
    for end in (0..whole.trim_end().len()).step_by(97).filter(|end| whole.is_char_boundary(*end)) {
        assert!(read("pull_request", &whole[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn p16_bytes_that_are_not_utf8_are_malformed_though_signed_rightly() {
    let error = read("star", b"{\"title\":\"\xff\"}").unwrap_err();
    assert_eq!(error.0, "the payload is not UTF-8");
    let error = read_as("star", b"payload=%7B%22a%22:%22%ff%22%7D", true).unwrap_err();
    assert_eq!(error.0, "the payload is not UTF-8");
}

#[test]
fn p17_a_byte_order_mark_is_always_refused() {
    for (name, event, text) in fixtures() {
        assert!(read(&event, format!("\u{feff}{text}")).is_err(), "{name}");
    }
}

#[test]
fn p20_a_form_and_plain_json_give_the_same_event_and_the_same_bytes_to_store() {
    for (name, event, text) in fixtures() {
        let form: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", &text).finish();
        let plain = read_as(&event, text.as_bytes(), false).unwrap();
        assert_eq!(read_as(&event, form.as_bytes(), true).unwrap(), plain, "{name}");
        assert_eq!(plain.1, text.as_bytes());
        assert_eq!(full_name_hint(form.as_bytes(), true), full_name_hint(text.as_bytes(), false), "{name}");
    }
    assert!(read_as("ping", b"zen=1", true).unwrap_err().0.contains("no field `payload`"));
    assert!(read_as("ping", b"payload={}&payload={}", true).unwrap_err().0.contains("more than one"));
}

#[test]
fn p25_an_event_name_is_lower_case_letters_digits_and_underscores() {
    for bad in ["", "Ping", "pull-request", "pull_request\n", "ping ", "é", &"a".repeat(65)] {
        assert!(read(bad, "{}").unwrap_err().0.contains("X-GitHub-Event"), "{bad:?}");
    }
    assert_eq!(reason(read(&"a".repeat(64), "{}").unwrap()), IgnoreReason::EventNotUsed);
}

#[test]
fn p27_hostile_json_is_refused_or_read_and_nothing_worse() {
    let deep = |open: &str, close: &str| format!("{{\"x\":{}1{}}}", open.repeat(10_000), close.repeat(10_000));
    let keys: Vec<String> = (0..100_000).map(|n| format!("\"k{n}\":{n}")).collect();
    let bodies = [
        deep("[", "]"),
        deep("{\"a\":", "}"),
        deep("[", "]").replace("\"x\"", "\"repository\""),
        deep("{\"pull_request\":", "}").replace("\"x\"", "\"pull_request\""),
        "[".repeat(100_000),
        "{\"a\":".repeat(100_000),
        format!("{{{}}}", keys.join(",")),
        "{\"number\":1e999}".to_owned(),
        "{\"number\":-1e999,\"x\":1e999}".to_owned(),
        "{\"number\":99999999999999999999999999}".to_owned(),
        "{\"action\":\"\\ud800\"}".to_owned(),
        "{\"other\":\"\\ud800\"}".to_owned(),
        "{\"action\":\"\\u0000\"}".to_owned(),
        "{\"action\":\"a\",\"action\":\"b\"}".to_owned(),
        "{\"zen\":1,\"repository\":{\"id\":1,\"id\":2}}".to_owned(),
    ];
    for body in bodies {
        for event in ["pull_request", "issues", "ping", "star"] {
            if let Ok(event @ (Event::PullRequest(_) | Event::Issue(_))) = read(event, &body) {
                panic!("acted on {event:?}");
            }
        }
        let _ = full_name_hint(body.as_bytes(), false);
        let _ = full_name_hint(body.as_bytes(), true);
    }
}

#[test]
fn p36_an_event_name_that_does_not_fit_the_body_is_ignored() {
    for (name, event, text) in fixtures() {
        if event != "pull_request" {
            assert_eq!(reason(read("pull_request", &text).unwrap()), IgnoreReason::EventMismatch, "{name}");
        }
        if event != "issues" {
            assert_eq!(reason(read("issues", &text).unwrap()), IgnoreReason::EventMismatch, "{name}");
        }
        if event != "ping" {
            assert_eq!(reason(read("ping", &text).unwrap()), IgnoreReason::EventMismatch, "{name}");
        }
        assert_eq!(reason(read("star", &text).unwrap()), IgnoreReason::EventNotUsed, "{name}");
    }
}

#[test]
fn p36_a_mismatch_still_shows_what_could_be_read() {
    let mut body = fixture("pull_request.opened");
    body["pull_request"] = json!("gone");
    let Event::Ignored(ignored) = read("pull_request", body.to_string()).unwrap() else { panic!() };
    assert_eq!(ignored.action.as_deref(), Some("opened"));
    assert_eq!(ignored.repo.unwrap().id, RepoId(731_004));
    assert_eq!(ignored.number, Some(PrNumber(42)));
}

#[test]
fn p47_a_ping_names_its_webhook_with_or_without_a_repository() {
    let Event::Ping(ping) = fixture_event("ping") else { panic!() };
    assert_eq!(ping.hook_id, Some(HookId(512_001)));
    assert_eq!(ping.repo.unwrap().name, RepoName::parse("Acme/My-Backend").unwrap());

    let Event::Ping(ping) = fixture_event("ping.organization") else { panic!() };
    assert_eq!((ping.hook_id, ping.repo), (Some(HookId(512_002)), None));

    let Event::Ping(ping) = read("ping", r#"{"hook":{"id":7}}"#).unwrap() else { panic!() };
    assert_eq!(ping.hook_id, Some(HookId(7)));
}

#[test]
fn p48_unknown_events_and_actions_are_ignored_with_what_they_name() {
    assert_eq!(reason(fixture_event("push")), IgnoreReason::EventNotUsed);
    assert_eq!(reason(fixture_event("pull_request.labeled")), IgnoreReason::ActionNotUsed);
    let Event::Ignored(issue) = read("issue_comment", fixture("issues.opened").to_string()).unwrap() else { panic!() };
    assert_eq!(issue.reason, IgnoreReason::EventNotUsed);
    assert_eq!((issue.action.as_deref(), issue.number), (Some("opened"), Some(PrNumber(17))));
    assert_eq!(issue.repo.unwrap().name.to_string(), "acme/my-backend");
    let mut pinned = fixture("issues.opened");
    pinned["action"] = json!("pinned");
    assert_eq!(reason(read("issues", pinned.to_string()).unwrap()), IgnoreReason::ActionNotUsed);
}

#[test]
fn p60_whatever_may_be_null_is() {
    let event = pull_request("pull_request.opened.ghost");
    assert_eq!(event.kind, Kind::Reviewable);
    assert_eq!(event.pull.number, PrNumber(42));
}

#[test]
fn each_action_asks_for_what_it_should() {
    for (name, kind) in [
        ("pull_request.opened", Kind::Reviewable),
        ("pull_request.reopened", Kind::Reviewable),
        ("pull_request.synchronize", Kind::Reviewable),
        ("pull_request.ready_for_review", Kind::Reviewable),
        ("pull_request.edited.base", Kind::Reviewable),
        ("pull_request.edited", Kind::Edited),
        ("pull_request.closed", Kind::Closed),
        ("pull_request.closed.merged", Kind::Closed),
        ("pull_request.converted_to_draft", Kind::ConvertedToDraft),
    ] {
        assert_eq!(pull_request(name).kind, kind, "{name}");
    }
}

#[test]
fn a_draft_waits_but_its_closing_does_not() {
    assert_eq!(reason(fixture_event("pull_request.opened.draft")), IgnoreReason::Draft);
    for name in ["pull_request.synchronize", "pull_request.edited", "pull_request.edited.base"] {
        let mut body = fixture(name);
        body["pull_request"]["draft"] = json!(true);
        assert_eq!(reason(read("pull_request", body.to_string()).unwrap()), IgnoreReason::Draft, "{name}");
    }
    let mut body = fixture("pull_request.closed");
    body["pull_request"]["draft"] = json!(true);
    assert!(matches!(read("pull_request", body.to_string()).unwrap(), Event::PullRequest(event) if event.pull.draft));
}

#[test]
fn the_hint_says_what_the_payload_said() {
    let event = pull_request("pull_request.synchronize");
    assert_eq!(event.action, "synchronize");
    assert_eq!(event.repo.id, RepoId(731_004));
    assert_eq!(
        event.pull,
        PullHint {
            number: PrNumber(42),
            state: PrState::Open,
            draft: false,
            head: Some(CommitSha("9b0d1e2f3a4b5c6d7e8f90a1b2c3d4e5f6a7b8c9".to_owned())),
            base_ref: Some("main".to_owned()),
            updated_at: Some("2025-06-02T10:02:47Z".parse().unwrap()),
        }
    );
    assert_eq!(pull_request("pull_request.closed").pull.state, PrState::Closed);
    assert_eq!(pull_request("pull_request.closed.merged").pull.state, PrState::Merged);
}

#[test]
fn the_name_hint_is_the_repositorys_and_nothing_elses() {
    assert_eq!(full_name_hint(br#"{"repository":{"full_name":"Acme/api"}}"#, false), RepoName::parse("acme/api"));
    for body in [
        &b""[..],
        b"{}",
        b"\xff",
        b"{\"repository\":null}",
        b"{\"repository\":{\"full_name\":\"../x\"}}",
        b"{\"repository\":{\"full_name\":7}}",
        b"{\"full_name\":\"a/b\"}",
        b"{\"pull_request\":{\"head\":{\"repo\":{\"full_name\":\"a/b\"}}}}",
    ] {
        assert_eq!(full_name_hint(body, false), None);
    }
}

#[test]
fn an_issue_is_read_as_it_is_now() {
    let Event::Issue(event) = fixture_event("issues.opened") else { panic!() };
    assert_eq!((event.action.as_str(), event.number, event.repo.id), ("opened", 17, RepoId(731_004)));
    let fact = event.fact.unwrap();
    assert_eq!(fact.issue, IssueRef { repo: RepoId(731_004), number: 17 });
    assert_eq!(fact.title, "Cards are charged twice when the bank answers late");
    assert_eq!((fact.open, fact.labels.as_slice()), (true, ["payments".to_owned()].as_slice()));
    assert_eq!(fact.updated_at.to_rfc3339(), "2025-05-28T12:00:00+00:00");

    let Event::Issue(event) = fixture_event("issues.closed") else { panic!() };
    assert!(!event.fact.unwrap().open);
    for action in ["edited", "reopened", "labeled", "unlabeled", "deleted", "transferred"] {
        let mut body = fixture("issues.opened");
        body["action"] = json!(action);
        let Event::Issue(event) = read("issues", body.to_string()).unwrap() else { panic!("{action}") };
        assert_eq!(event.fact.is_none(), matches!(action, "deleted" | "transferred"), "{action}");
    }
}

#[test]
fn a_body_with_an_issue_that_is_not_about_the_issue_is_a_mismatch() {
    for (key, value) in [("comment", json!({"id": 1, "body": "me too"})), ("issue", json!("gone"))] {
        let mut body = fixture("issues.opened");
        body["action"] = json!("deleted");
        body[key] = value;
        assert_eq!(reason(read("issues", body.to_string()).unwrap()), IgnoreReason::EventMismatch, "{key}");
    }
    for (place, value) in [
        ("/issue/pull_request", json!({"url": "https://api.github.com/repos/acme/my-backend/pulls/17"})),
        ("/issue/updated_at", json!(null)),
        ("/issue/title", json!(7)),
        ("/issue/state", json!("ajar")),
        ("/issue/number", json!("17")),
        ("/repository/id", json!(null)),
        ("/action", json!(null)),
    ] {
        let mut body = fixture("issues.opened");
        body["issue"]["pull_request"] = json!(null);
        *body.pointer_mut(place).unwrap() = value;
        assert_eq!(reason(read("issues", body.to_string()).unwrap()), IgnoreReason::EventMismatch, "{place}");
    }
}

#[test]
fn labels_that_cannot_be_read_are_left_out() {
    let mut body = fixture("issues.opened");
    body["issue"]["labels"] =
        json!([{"name": "bug"}, "bug", {"name": 7}, {}, null, [{"name": "deep"}], {"name": "ui"}]);
    let Event::Issue(event) = read("issues", body.to_string()).unwrap() else { panic!() };
    assert_eq!(event.fact.unwrap().labels, ["bug", "ui"]);
    body["issue"]["labels"] = json!("none");
    let Event::Issue(event) = read("issues", body.to_string()).unwrap() else { panic!() };
    assert!(event.fact.unwrap().labels.is_empty());
}

/// Set `NECTR_PAYLOADS` while building the tests to a file in the format of `@octokit/webhooks-examples`, and all of
/// GitHub's own examples are read.
#[test]
fn githubs_own_examples_are_all_read() {
    let Some(file) = option_env!("NECTR_PAYLOADS") else { return };
    let groups: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    for group in groups.as_array().unwrap() {
        let event = group["name"].as_str().unwrap();
        for example in group["examples"].as_array().unwrap() {
            let text = example.to_string();
            let read = read(event, &text).unwrap();
            let hint = full_name_hint(text.as_bytes(), false);
            assert_eq!(hint.is_some(), example.pointer("/repository/full_name").is_some(), "{event}");
            if matches!(event, "pull_request" | "issues" | "ping") {
                let mismatch = matches!(&read, Event::Ignored(it) if it.reason == IgnoreReason::EventMismatch);
                assert!(!mismatch, "{event} {}", example["action"]);
            } else {
                assert_eq!(reason(read), IgnoreReason::EventNotUsed);
            }
        }
    }
}

#[test]
fn what_githubs_record_says_matters_is_what_is_read() {
    const ACTIONS: [&str; 36] = [
        "assigned",
        "auto_merge_disabled",
        "auto_merge_enabled",
        "closed",
        "converted_to_draft",
        "deleted",
        "demilestoned",
        "dequeued",
        "edited",
        "enqueued",
        "field_added",
        "field_removed",
        "labeled",
        "locked",
        "milestoned",
        "opened",
        "pinned",
        "ready_for_review",
        "reopened",
        "review_request_removed",
        "review_requested",
        "stack",
        "synchronize",
        "transferred",
        "typed",
        "unassigned",
        "unlabeled",
        "unlocked",
        "unpinned",
        "untyped",
        "created",
        "completed",
        "started",
        "submitted",
        "requested",
        "",
    ];
    let (pull, issue) = (fixture("pull_request.opened"), fixture("issues.opened"));
    for (event, body) in [("pull_request", &pull), ("issues", &issue), ("issue_comment", &issue), ("push", &pull)] {
        for action in ACTIONS {
            let mut body = body.clone();
            body["action"] = json!(action);
            let ignored = matches!(read(event, body.to_string()).unwrap(), Event::Ignored(_));
            assert_eq!(crate::domain::event::matters(event, Some(action)), !ignored, "{event}.{action}");
        }
        assert!(!crate::domain::event::matters(event, None));
    }
}
