//! Who is believed: a right signature by a secret of ours, and nobody else, all of whom are told the same.

use nectr::{
    sandbox::{
        Delivery,
        http::{Request, Response},
    },
    webhook::sign,
};
use secrecy::ExposeSecret;
use serde_json::json;

use super::{PATH, and_header, guid, last_id, opened, post, ready, received, reviewed, said, without};
use crate::support::{SHOP, T, nectr};

/// What is said of an answer, apart from what is different in every answer.
fn seen(answer: &Response) -> (u16, String, Vec<(String, String)>) {
    let every_time = ["date", "x-request-id"];
    let named = answer.headers.iter().filter(|(name, _)| !every_time.contains(&name.as_str()));
    let mut headers: Vec<_> =
        named.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    headers.sort();
    (answer.status, answer.text(), headers)
}

/// The hexadecimal digest of a delivery's signature.
fn digest(delivery: &Delivery) -> String {
    let (_, signature) = delivery.headers.iter().find(|(name, _)| name == "X-Hub-Signature-256").unwrap();
    signature.strip_prefix("sha256=").unwrap().to_owned()
}

fn signed_with(delivery: &Delivery, secret: &str) -> Delivery {
    delivery.clone().with_header("X-Hub-Signature-256", &sign(secret.as_bytes(), &delivery.body))
}

/// The secret of the one webhook on the shop.
fn secret(t: &T) -> String {
    t.github.hooks_of(SHOP)[0].secret.as_ref().unwrap().expose_secret().to_owned()
}

#[tokio::test]
async fn p2_a_digest_in_upper_case_is_the_same_digest() {
    nectr(async |t| {
        ready(t).await;
        let (pr, delivery) = opened(t);
        let shouted = delivery
            .clone()
            .with_header("X-Hub-Signature-256", &format!("sha256={}", digest(&delivery).to_uppercase()));
        let answer = shouted.send().await;
        assert_eq!(said(&answer), received(last_id(t).await, "pull_request.opened"));
        reviewed(t, pr).await;
    })
    .await;
}

#[tokio::test]
async fn p3_p4_p6_p7_p10_p49_whatever_is_not_authentic_gets_one_and_the_same_401() {
    nectr(async |t| {
        ready(t).await;
        t.github.repo("acme/stranger");
        let (_, good) = opened(t);
        let right = digest(&good);
        let with = |signature: &str| good.clone().with_header("X-Hub-Signature-256", signature);
        let mut cases: Vec<(String, Delivery)> = Vec::new();

        for prefix in ["", "sha1=", "sha512=", "sha999=", "SHA256=", "sha256", "sha256= ", "garbage"] {
            cases.push((format!("p3: prefix {prefix:?}"), with(&format!("{prefix}{right}"))));
        }
        for odd in [
            "",
            &right[..62],
            &right[..63],
            &format!("{right}0"),
            &format!("{right}00"),
            &format!("{right}{right}"),
            &format!("{right}, sha256={right}"),
            &format!("{}zz", &right[..62]),
            &format!("{}\u{e9}", &right[..62]),
            &"\u{1f511}".repeat(16),
        ] {
            cases.push((format!("p4: digest {odd:?}"), with(&format!("sha256={odd}"))));
        }
        cases.push(("p4: an empty signature".into(), with("")));
        cases.push((
            "p4: two signatures".into(),
            and_header(good.clone(), "X-Hub-Signature-256", &format!("sha256={right}")),
        ));
        let unsigned = without(good.clone(), "X-Hub-Signature-256");
        cases.push(("p6: no signature".into(), unsigned.clone()));
        cases.push(("p6: signed with an empty secret".into(), signed_with(&good, "")));
        let flipped = if right.starts_with('0') { '1' } else { '0' };
        cases.push(("p7: one digit changed".into(), with(&format!("sha256={flipped}{}", &right[1..]))));
        let mut changed = good.clone();
        changed.body = [&good.body[..good.body.len() - 1], b" }"].concat().into();
        cases.push(("p7: one byte added".into(), changed));
        cases.push(("p10: a wrong secret".into(), signed_with(&good, "not the secret")));
        for id in ["999999", "0", "9223372036854775807"] {
            cases.push((format!("p10: webhook {id} is not known"), good.clone().with_header("X-GitHub-Hook-ID", id)));
        }
        for id in ["abc", "-1", "+1", "1.0", "0x10", "99999999999999999999", "", " ", "\u{0661}"] {
            cases.push((format!("p10: webhook {id:?} is no number"), good.clone().with_header("X-GitHub-Hook-ID", id)));
        }
        let own = good.headers.iter().find(|(name, _)| name == "X-GitHub-Hook-ID").unwrap().1.clone();
        cases.push((
            "p10: a number and something else".into(),
            and_header(good.clone(), "X-GitHub-Hook-ID", &format!("{own}x")),
        ));
        let mut stranger = good.payload();
        stranger["repository"]["full_name"] = json!("acme/stranger");
        stranger["repository"]["id"] = json!(t.github.repo_id("acme/stranger"));
        let stranger = good.clone().with_body(stranger.to_string());
        cases.push(("p49: a repository nobody connected".into(), without(stranger.clone(), "X-GitHub-Hook-ID")));
        cases.push(("p49: and an unknown webhook".into(), stranger.with_header("X-GitHub-Hook-ID", "424242")));
        cases.push(("p49: no repository at all".into(), without(good.clone().with_body("{}"), "X-GitHub-Hook-ID")));

        let told = seen(&post(&unsigned).await);
        assert_eq!((told.0, told.1.as_str()), (401, r#"{"detail":"Invalid webhook signature"}"#));
        for (what, delivery) in &cases {
            assert_eq!(seen(&post(delivery).await), told, "{what}");
        }
        assert!(t.deliveries().await.is_empty(), "p49: no row");
    })
    .await;
}

#[tokio::test]
async fn p5_a_sha1_signature_proves_nothing_and_disturbs_nothing() {
    nectr(async |t| {
        ready(t).await;
        let (pr, good) = opened(t);
        // HMAC-SHA1 has 40 digits; nobody looks at them.
        let sha1 = format!("sha1={}", "5d".repeat(20));
        let old = and_header(without(good.clone(), "X-Hub-Signature-256"), "X-Hub-Signature", &sha1);
        assert_eq!(said(&old.send().await), (401, json!({"detail": "Invalid webhook signature"})));
        let old_in_new = good.clone().with_header("X-Hub-Signature-256", &sha1);
        assert_eq!(old_in_new.send().await.status, Some(401));
        let both = and_header(good.clone(), "X-Hub-Signature", &sha1);
        let answer = both.send().await;
        assert_eq!(said(&answer), received(last_id(t).await, "pull_request.opened"));
        let wrong = and_header(signed_with(&good, "wrong"), "X-Hub-Signature", &sha1);
        assert_eq!(wrong.send().await.status, Some(401), "only the 256 counts");
        reviewed(t, pr).await;
    })
    .await;
}

#[tokio::test]
async fn p9_of_two_connections_either_secret_is_accepted_and_which_one_is_recorded() {
    nectr(async |t| {
        let octavia = t.sign_in("octavia").await.connect(SHOP).await;
        let ada = t.sign_in("ada").await.connect(SHOP).await;
        t.deliver().await;
        let pr = t.open_pull(|pr| pr.adds("a.txt", "a\n"));
        let deliveries = t.github.drop_deliveries();
        assert_eq!(deliveries.len(), 2, "one per webhook");
        for (delivery, installation) in deliveries.iter().zip([octavia, ada]) {
            // Without the header the repository's name leads to both secrets.
            let answer = without(delivery.clone(), "X-GitHub-Hook-ID").send().await;
            let row = super::last(t).await;
            assert_eq!(said(&answer), received(row.id.0, "pull_request.opened"));
            assert_eq!(row.installation.0, installation);
        }
        reviewed(t, pr).await;
    })
    .await;
}

#[tokio::test]
async fn p9_a_secret_that_is_no_longer_the_webhooks_is_refused() {
    nectr(async |t| {
        let octavia = ready(t).await;
        let old = secret(t);
        assert_eq!(octavia.delete(&format!("/api/v1/repos/{SHOP}/install")).await.status, 200);
        octavia.connect(SHOP).await;
        t.deliver().await;
        assert_ne!(old, secret(t), "every connection has a secret of its own");
        let (pr, delivery) = opened(t);
        assert_eq!(signed_with(&delivery, &old).send().await.status, Some(401));
        assert_eq!(without(signed_with(&delivery, &old), "X-GitHub-Hook-ID").send().await.status, Some(401));
        assert_eq!(delivery.send().await.status, Some(202));
        reviewed(t, pr).await;
    })
    .await;
}

#[test]
fn p11_digests_are_compared_in_constant_time_and_in_one_place() {
    let room = include_str!("../../../src/webhook/signature.rs");
    let code = room.split("#[cfg(test)]").next().unwrap();
    assert_eq!(code.matches(".verify_slice(").count(), 2, "the real comparison, and the one of the dummy");
    assert_eq!(code.matches(".finalize()").count(), 1, "only signing asks for the digest itself");
    assert!(!code.contains("==") && !code.contains("!="), "nothing is compared by hand");
}

#[tokio::test]
async fn p12_nothing_is_parsed_and_nothing_kept_before_the_signature_holds() {
    nectr(async |t| {
        ready(t).await;
        let (_, good) = opened(t);
        for body in ["", "{", "null", "not JSON", "\u{feff}{}", "{\"repository\":"] {
            let mut unproven = good.clone();
            unproven.body = body.into();
            let told = (401, json!({"detail": "Invalid webhook signature"}));
            assert_eq!(said(&unproven.send().await), told, "{body:?}");
            assert_eq!(said(&without(unproven, "X-GitHub-Hook-ID").send().await), told, "{body:?} by name");
        }
        assert!(super::beside::Beside::open(t).await.rejected().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn p12_the_webhooks_id_chooses_the_secret_whatever_the_body_says() {
    nectr(async |t| {
        ready(t).await;
        let ada = t.sign_in("ada").await;
        t.github.repo("ada/own").write("nectr-bot");
        ada.connect("ada/own").await;
        t.deliver().await;
        let (_, shop) = opened(t);
        let own = secret_of(t, "ada/own");
        // ada knows her own secret, and says the body is the shop's.
        let forged = signed_with(&shop, &own);
        assert_eq!(forged.send().await.status, Some(401), "by the shop's webhook");
        assert_eq!(without(forged.clone(), "X-GitHub-Hook-ID").send().await.status, Some(401), "by the shop's name");
        let hook = t.github.hooks_of("ada/own")[0].id.to_string();
        let answer = forged.with_header("X-GitHub-Hook-ID", &hook).send().await;
        let id = last_id(t).await;
        assert_eq!(said(&answer), super::set_aside(id, "pull_request.opened", "repository_mismatch"));
    })
    .await;
}

fn secret_of(t: &T, repo: &str) -> String {
    t.github.hooks_of(repo)[0].secret.as_ref().unwrap().expose_secret().to_owned()
}

#[tokio::test]
async fn a_stranger_who_knows_only_the_address_learns_nothing() {
    nectr(async |t| {
        ready(t).await;
        let body = r#"{"zen":"Speak like a human.","repository":{"id":1,"full_name":"acme/shop"}}"#;
        let request = Request::post(format!("{}{PATH}", t.url))
            .header("Content-Type", "application/json")
            .header("X-GitHub-Event", "ping")
            .header("X-GitHub-Delivery", &guid(1))
            .body(body);
        let answer = request.send().await.unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (401, r#"{"detail":"Invalid webhook signature"}"#));
        assert_eq!(answer.header("www-authenticate"), None, "there is nothing to log in with");
    })
    .await;
}
