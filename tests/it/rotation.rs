//! A webhook's secret is rotated, and not one delivery is turned away.

use futures_util::future::join_all;
use http::Method;
use nectr::{
    domain::{InstallationId, RepoId},
    sandbox::{Delivery, Failure, Pr, Sandbox},
    seal::Place,
    store::installations::Rotation,
    sweep,
};
use serde_json::json;

use crate::{
    access::{expect_problem, expect_refusal},
    support::{Person, SHOP, T, hours, minutes, nectr_with},
};

const SHOWN: &str = "/api/v1/repos/acme/shop";
const ROTATE: &str = "/api/v1/repos/acme/shop/rotate-secret";
const TELL: &str = "PATCH /repos/*/*/hooks/*";

async fn story(story: impl AsyncFnOnce(&T, &Person, Pr)) {
    nectr_with(&[("GRAPH", "off")], async |t| {
        let octavia = t.connected().await;
        let pr = t.open_pull(|pr| pr.adds("a.txt", "one\n"));
        t.settle().await;
        t.take_review(pr);
        story(t, &octavia, pr).await;
        t.deliver().await;
    })
    .await;
}

/// Something of no consequence happens: its delivery is signed now, and sent when somebody sends it.
fn signed_now(t: &T, pr: Pr) -> Delivery {
    t.github.label(pr, "noise");
    // A webhook that seems to fail is pinged now and then.
    let mut signed = t.github.drop_deliveries();
    signed.retain(|delivery| delivery.event != "ping");
    assert_eq!(signed.len(), 1, "{signed:#?}");
    signed.remove(0)
}

async fn status(delivery: &Delivery) -> u16 {
    delivery.send().await.status.unwrap()
}

fn secret(github: &Sandbox) -> String {
    use secrecy::ExposeSecret;
    github.hooks_of(SHOP)[0].secret.as_ref().unwrap().expose_secret().to_owned()
}

#[tokio::test]
async fn what_either_secret_signed_is_accepted_and_the_old_one_for_a_day() {
    story(async |t, octavia, pr| {
        let old = secret(&t.github);
        let late: Vec<_> = (0..3).map(|_| signed_now(t, pr)).collect();
        let answer = octavia.post(ROTATE).await;
        let until = (t.clock.now() + hours(24)).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json(), json!({"status": "rotated", "repo": SHOP, "old_secret_until": until}));
        assert!(!answer.text().contains(&old) && !answer.text().contains(&secret(&t.github)));
        assert_ne!(secret(&t.github), old);
        assert_eq!((status(&signed_now(t, pr)).await, status(&late[0]).await), (200, 200));

        // Once more: what the first secret signed counts all the same.
        assert_eq!(octavia.post(ROTATE).await.status, 200);
        t.pass(hours(23));
        sweep::once(&t.app).await;
        t.work().await;
        assert_eq!((status(&signed_now(t, pr)).await, status(&late[1]).await), (200, 200));
        t.pass(hours(2));
        assert_eq!((status(&signed_now(t, pr)).await, status(&late[2]).await), (200, 401));
        sweep::once(&t.app).await;
        t.work().await;
        assert_eq!(t.app.store.drop_former_secrets().await.unwrap(), 0, "the sweep has");
    })
    .await;
}

#[tokio::test]
async fn of_many_deliveries_during_many_rotations_none_is_turned_away() {
    story(async |t, octavia, pr| {
        let rotate = async {
            for _ in 0..5 {
                assert_eq!(octavia.post(ROTATE).await.status, 200);
            }
        };
        let load = async {
            let mut statuses = Vec::new();
            for _ in 0..25 {
                let signed: Vec<_> = (0..8).map(|_| signed_now(t, pr)).collect();
                statuses.extend(join_all(signed.iter().map(status)).await);
            }
            statuses
        };
        let ((), statuses) = tokio::join!(rotate, load);
        assert_eq!(statuses, vec![200; 200]);
    })
    .await;
}

#[tokio::test]
async fn while_github_is_being_told_both_count_and_nobody_else_rotates() {
    story(async |t, octavia, pr| {
        let before = signed_now(t, pr);
        let hold = t.github.hold_next(TELL);
        let first = tokio::spawn({
            let octavia = octavia.clone();
            async move { octavia.post(ROTATE).await }
        });
        hold.arrived().await;
        expect_problem(&octavia.post(ROTATE).await, 409, "The webhook's secret is being rotated right now");
        assert_eq!((status(&before).await, status(&signed_now(t, pr)).await), (200, 200));
        hold.release();
        assert_eq!(first.await.unwrap().status, 200);
        assert_eq!(status(&signed_now(t, pr)).await, 200);
        assert_eq!(octavia.post(ROTATE).await.status, 200, "now it is somebody else's turn");
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_was_lost_leaves_both_secrets_until_it_is_known() {
    story(async |t, octavia, pr| {
        let (old, before) = (secret(&t.github), signed_now(t, pr));
        t.github.fail_times(2, TELL, Failure::CutAfterWork);
        let detail = expect_refusal(&octavia.post(ROTATE).await, 502);
        assert!(detail.starts_with("Failed to rotate webhook secret: GitHub did not answer"), "{detail}");
        let told = secret(&t.github);
        assert_ne!(told, old, "GitHub did it after all");
        assert_eq!((status(&before).await, status(&signed_now(t, pr)).await), (200, 200));

        t.github.forget_calls();
        sweep::once(&t.app).await;
        assert_eq!((t.github.count(TELL), secret(&t.github)), (1, told), "the same again");
        sweep::once(&t.app).await;
        assert_eq!(t.github.count(TELL), 1, "and that was that");
        assert_eq!(status(&signed_now(t, pr)).await, 200);
    })
    .await;
}

#[tokio::test]
async fn a_refusal_changes_nothing() {
    story(async |t, octavia, pr| {
        let old = secret(&t.github);
        t.github.fail_next(TELL, Failure::Status(422, json!({"message": "Not today"}).to_string()));
        expect_problem(&octavia.post(ROTATE).await, 502, "Failed to rotate webhook secret: Not today");
        t.github.forget_calls();
        t.pass(minutes(5));
        sweep::once(&t.app).await;
        assert_eq!((t.github.count(TELL), secret(&t.github)), (0, old));
        assert_eq!(status(&signed_now(t, pr)).await, 200);

        t.github.delete_hook(t.github.hooks_of(SHOP)[0].id);
        let detail = expect_refusal(&octavia.post(ROTATE).await, 502);
        assert!(detail.ends_with("acme/shop has no webhook that you may manage: repair it first"), "{detail}");
    })
    .await;
}

#[tokio::test]
async fn a_rotation_whose_process_died_is_ended_by_the_sweep_whether_github_was_told_or_not() {
    for told in [false, true] {
        story(async |t, octavia, pr| {
            let before = signed_now(t, pr);
            let new = "a secret somebody made before they died";
            leave_behind(t, octavia, new).await;
            if told {
                t.github.edit_hook(t.github.hooks_of(SHOP)[0].id, |hook| hook.secret = Some(new.into()));
            }
            assert_eq!(status(&signed_now(t, pr)).await, 200, "before anybody has looked");
            t.pass(minutes(3));
            sweep::once(&t.app).await;
            assert_eq!(secret(&t.github), new);
            assert_eq!((status(&before).await, status(&signed_now(t, pr)).await), (200, 200));
        })
        .await;
    }
}

#[tokio::test]
async fn somebody_who_rotates_again_after_a_crash_goes_on_with_what_github_may_have() {
    story(async |t, octavia, pr| {
        let new = "a secret somebody made before they died";
        leave_behind(t, octavia, new).await;
        t.pass(minutes(3));
        assert_eq!(octavia.post(ROTATE).await.status, 200);
        assert_eq!(secret(&t.github), new);
        assert_eq!(status(&signed_now(t, pr)).await, 200);
    })
    .await;
}

#[tokio::test]
async fn rotating_is_for_whoever_connected_the_repository() {
    story(async |t, octavia, _| {
        let sam = t.sign_in("sam").await;
        expect_problem(&sam.post(ROTATE).await, 404, "Repo not connected");
        assert_eq!(octavia.request(Method::GET, ROTATE).send().await.unwrap().status, 405);
        t.github.revoke_all("octavia");
        expect_problem(&octavia.post(ROTATE).await, 401, "Session expired — please log out and sign in again.");
    })
    .await;
}

/// What a process leaves that dies after the new secret is on disk.
async fn leave_behind(t: &T, person: &Person, secret: &str) {
    let repository = person.see(SHOWN).await;
    let repo = RepoId(repository["repo_id"].as_i64().unwrap());
    let github_user = person.see("/auth/me").await["github_id"].as_i64().unwrap();
    let place = Place { table: "installations", column: "secret", github_user, repo: Some(repo) };
    let rotation = Rotation { id: "one".to_owned(), secret: t.app.sealer.seal(place, secret) };
    let id = InstallationId(repository["installation_id"].as_i64().unwrap());
    let begun = t.app.store.begin_rotation(id, &rotation, t.clock.now() - hours(1)).await.unwrap();
    assert_eq!(begun, Some(rotation));
}
