//! What a signed body may look like: JSON or a form around it, in one piece or in chunks, and every way to get it wrong.

use bytes::Bytes;
use nectr::sandbox::Delivery;
use serde_json::Value;

use super::{
    beside::Beside,
    duplicate, expect_problem, guid, labeled, last, last_id, opened, ready, received, reviewed, said, set_aside,
    stored,
    wire::{CHUNKED, END, Wire, chunks, head, length},
    without,
};
use crate::support::{T, nectr};

/// The same delivery as a form with these fields.
fn as_form(delivery: &Delivery, fields: &[(&str, &str)]) -> Delivery {
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    delivery.clone().with_header("Content-Type", "application/x-www-form-urlencoded").with_body(form)
}

/// A body of no event in particular, signed by the shop's webhook.
fn star(t: &T, body: impl Into<Bytes>) -> Delivery {
    let (_, delivery) = opened(t);
    delivery.with_header("X-GitHub-Event", "star").with_body(body)
}

#[tokio::test]
async fn p13_p14_p15_p16_p17_signed_bodies_that_are_no_json_object_are_refused_and_kept_for_the_operator() {
    nectr(async |t| {
        ready(t).await;
        let bodies: [(&str, &[u8]); 14] = [
            ("p13: empty", b""),
            ("p13: blank", b" \r\n\t"),
            ("p14: null", b"null"),
            ("p14: an array", b"[]"),
            ("p14: an array of objects", b"[{\"zen\":\"\"}]"),
            ("p14: a string", b"\"x\""),
            ("p14: a number", b"1"),
            ("p15: cut off", b"{\"repository\":{\"id\":1}"),
            ("p15: two objects", b"{} {}"),
            ("p15: single quotes", b"{'a':1}"),
            ("p15: no JSON at all", b"payload=%7B%7D"),
            ("p16: not UTF-8", b"{\"title\":\"\xff\"}"),
            ("p16: half a character", b"{\"title\":\"\xc3\"}"),
            ("p17: a byte order mark", b"\xef\xbb\xbf{}"),
        ];
        for (what, body) in bodies {
            let delivery = star(t, body);
            let answer = delivery.send().await;
            assert_eq!(answer.status, Some(400), "{what}: {}", answer.body);
            expect_problem(&answer, 400);
            assert_eq!(what.starts_with("p16"), answer.body.contains("UTF-8"), "{what}: {}", answer.body);
        }
        assert!(t.deliveries().await.is_empty(), "none is in the inbox");
        let kept = Beside::open(t).await.rejected().await;
        let bytes: Vec<_> = kept.iter().map(super::beside::Rejected::body).collect();
        assert_eq!(bytes, bodies.map(|(_, body)| body.to_vec()), "byte for byte, in order");
        for row in &kept {
            assert_ne!(row.installation_id, 0, "whose it was");
            assert!(!row.reason.is_empty());
            let headers: Value = serde_json::from_str(&row.headers).unwrap();
            assert_eq!(headers["x-github-event"], "star");
            assert!(!row.headers.to_lowercase().contains("signature"), "{}", row.headers);
        }
    })
    .await;
}

#[tokio::test]
async fn p15_of_malformed_deliveries_the_last_hundred_are_kept() {
    nectr(async |t| {
        ready(t).await;
        let delivery = star(t, "{");
        for n in 0..103 {
            expect_problem(&delivery.clone().with_body(format!("{{{n}")).send().await, 400);
        }
        let kept = Beside::open(t).await.rejected().await;
        assert_eq!(kept.len(), 100);
        assert_eq!((kept[0].body(), kept[99].body()), (b"{3".to_vec(), b"{102".to_vec()));
    })
    .await;
}

#[tokio::test]
async fn p18_a_chunked_body_is_the_same_body() {
    nectr(async |t| {
        ready(t).await;
        let (pr, delivery) = opened(t);
        let mut wire = Wire::open(t).await;
        wire.send(head(&delivery, &[CHUNKED])).await;
        wire.send(chunks(&delivery.body, 7)).await;
        wire.send(END).await;
        let (_, answer) = wire.answer().await;
        let id = last_id(t).await;
        assert_eq!(said(&answer), received(id, "pull_request.opened"));
        assert_eq!(said(&delivery.send().await), duplicate(id, "pull_request.opened"), "with a length");
        assert_eq!(stored(t, id).await, delivery.body);
        reviewed(t, pr).await;
    })
    .await;
}

#[tokio::test]
async fn p19_an_encoded_body_is_refused_without_a_look_inside() {
    nectr(async |t| {
        ready(t).await;
        let delivery = labeled(t);
        // What gzip makes of ten zeros; nothing must care whether it is gzip at all.
        let packed: &[u8] =
            b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x33\x30\x80\x01\x00\x1b\x00\x5b\xa8\x0a\x00\x00\x00";
        for encoding in ["gzip", "br", "deflate", "zstd", "gzip, identity", "x-unknown"] {
            let encoded = delivery.clone().with_header("Content-Encoding", encoding);
            expect_problem(&encoded.send().await, 415);
            expect_problem(&encoded.with_body(packed).send().await, 415);
        }
        assert!(t.deliveries().await.is_empty());
        assert!(Beside::open(t).await.rejected().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn p20_a_form_is_signed_as_it_is_and_stored_as_the_json_in_it() {
    nectr(async |t| {
        ready(t).await;
        let pr = t.open_pull(|pr| pr.title("50% + 50% = \u{1f980} & \u{202e}more").adds("a.txt", "a\n"));
        let plain = super::only(t.github.drop_deliveries());
        let text = std::str::from_utf8(&plain.body).unwrap();
        let form = as_form(&plain, &[("payload", text)]);
        let first = form.send().await;
        let id = last_id(t).await;
        assert_eq!(said(&first), received(id, "pull_request.opened"));
        assert_eq!(stored(t, id).await, plain.body);
        assert_eq!(said(&plain.send().await), duplicate(id, "pull_request.opened"));

        // The repository's name is found in it, too.
        let by_name = without(form.clone(), "X-GitHub-Hook-ID").with_guid(&guid(1));
        let answer = by_name.send().await;
        assert_eq!(said(&answer), received(last_id(t).await, "pull_request.opened"));
        let with_more = as_form(&plain, &[("zen", "1"), ("payload", text), ("b", "2")]).with_guid(&guid(2));
        let answer = with_more.send().await;
        let third = last_id(t).await;
        assert_eq!(said(&answer), received(third, "pull_request.opened"));
        assert_eq!(stored(t, third).await, plain.body);
        // Signed is the form, not what is in it.
        let mut inner = form.clone();
        let (_, signature) = plain.headers.iter().find(|(name, _)| name == "X-Hub-Signature-256").unwrap();
        inner = inner.with_header("X-Hub-Signature-256", signature);
        assert_eq!(inner.send().await.status, Some(401));
        reviewed(t, pr).await;
    })
    .await;
}

#[tokio::test]
async fn p20_a_form_without_exactly_one_payload_is_refused() {
    nectr(async |t| {
        ready(t).await;
        let delivery = labeled(t);
        let text = std::str::from_utf8(&delivery.body).unwrap().to_owned();
        for fields in [&[][..], &[("Payload", &*text)], &[("payload", &text), ("payload", &text)], &[("payload", "")]] {
            expect_problem(&as_form(&delivery, fields).send().await, 400);
        }
        assert_eq!(Beside::open(t).await.rejected().await.len(), 4);
    })
    .await;
}

#[tokio::test]
async fn p21_the_content_type_is_read_as_http_means_it() {
    nectr(async |t| {
        ready(t).await;
        let delivery = labeled(t);
        let mut n = 0;
        let mut typed = |content_type: &str| {
            n += 1;
            delivery.clone().with_guid(&guid(n)).with_header("Content-Type", content_type)
        };
        for json in [
            "application/json",
            "application/json; charset=utf-8",
            "application/json;charset=UTF-8",
            "Application/JSON",
            "application/json ; x=\"y;z\"",
        ] {
            let answer = typed(json).send().await;
            let told = set_aside(last_id(t).await, "pull_request.labeled", "action_not_used");
            assert_eq!(said(&answer), told, "{json}");
        }
        let form = typed("application/x-www-form-urlencoded; charset=utf-8");
        let form =
            form.with_body(as_form(&delivery, &[("payload", std::str::from_utf8(&delivery.body).unwrap())]).body);
        assert_eq!(form.send().await.status, Some(200));
        let stored = t.deliveries().await.len();
        for other in
            ["text/plain", "application/jsonx", "application/vnd.github+json", "json", "multipart/form-data", ""]
        {
            let answer = typed(other).send().await;
            assert_eq!(answer.status, Some(415), "{other}");
            expect_problem(&answer, 415);
        }
        expect_problem(&without(delivery.clone(), "Content-Type").send().await, 415);
        assert_eq!(t.deliveries().await.len(), stored);
    })
    .await;
}

#[tokio::test]
async fn p25_a_delivery_names_one_event() {
    nectr(async |t| {
        ready(t).await;
        let delivery = labeled(t);
        for event in ["", "Pull_Request", "pull-request", "pull request", "p\u{e9}", "a/b", &"a".repeat(65)] {
            expect_problem(&delivery.clone().with_header("X-GitHub-Event", event).send().await, 400);
        }
        expect_problem(&without(delivery.clone(), "X-GitHub-Event").send().await, 400);
        expect_problem(&super::and_header(delivery.clone(), "X-GitHub-Event", "push").send().await, 400);
        let longest = "a".repeat(64);
        let answer = delivery.with_header("X-GitHub-Event", &longest).send().await;
        let told = set_aside(last_id(t).await, &format!("{longest}.labeled"), "event_not_used");
        assert_eq!(said(&answer), told);
    })
    .await;
}

#[tokio::test]
async fn p26_a_delivery_has_one_guid() {
    nectr(async |t| {
        ready(t).await;
        let delivery = labeled(t);
        for bad in [
            "",
            "1",
            "not-a-guid",
            "00000000-0000-4000-8000-00000000000g",
            "00000000000040008000000000000000",
            "{00000000-0000-4000-8000-000000000000}",
            "00000000-0000-4000-8000-000000000000, 1",
            "00000000-0000-4000-8000-00000000000\u{661}",
            &"0".repeat(5000),
            "../../../../etc/passwd-0000-0000-000",
        ] {
            expect_problem(&delivery.clone().with_guid(bad).send().await, 400);
        }
        expect_problem(&without(delivery.clone(), "X-GitHub-Delivery").send().await, 400);
        expect_problem(&super::and_header(delivery.clone(), "X-GitHub-Delivery", &guid(1)).send().await, 400);
        assert!(t.deliveries().await.is_empty());

        // Upper or lower case, it is the same GUID.
        let lower = "abcdef00-0000-4000-8000-00000000000f";
        let answer = delivery.clone().with_guid(&lower.to_uppercase()).send().await;
        assert_eq!(answer.status, Some(200));
        let id = last_id(t).await;
        assert_eq!(said(&delivery.with_guid(lower).send().await), duplicate(id, "pull_request.labeled"));
        assert_eq!(last(t).await.guid, lower);
    })
    .await;
}

#[tokio::test]
async fn p27_hostile_json_is_refused_or_stored_and_nobody_stumbles_over_it() {
    nectr(async |t| {
        let octavia = ready(t).await;
        let deep = |open: &str, close: &str| format!("{{\"x\":{}1{}}}", open.repeat(10_000), close.repeat(10_000));
        let mut bodies = vec![
            deep("[", "]"),
            deep("{\"a\":", "}"),
            deep("{\"pull_request\":", "}").replace("\"x\"", "\"pull_request\""),
            "[".repeat(100_000),
            "{\"a\":".repeat(100_000),
            "{\"a\":1,\"a\":2,\"repository\":{\"id\":1,\"id\":2}}".to_owned(),
            "{\"number\":1e999,\"x\":-1e999,\"y\":99999999999999999999999999}".to_owned(),
            "{\"action\":\"\\ud800\"}".to_owned(),
            "{\"other\":\"\\ud800\\udc00\\ud800\"}".to_owned(),
            "{\"action\":\"nul \\u0000\",\"x\":\"\\u0000\"}".to_owned(),
        ];
        let (pr, delivery) = opened(t);
        let whole = String::from_utf8(delivery.body.to_vec()).unwrap();
        bodies.push(whole.replacen("\"opened\"", "\"opened\\u0000\"", 1));
        bodies.push(whole.replacen("\"full_name\":\"acme/shop\"", "\"full_name\":\"acme/shop\\u0000\"", 1));
        bodies.push(whole.replacen("\"action\":", "\"action\":\"labeled\",\"action\":", 1));
        assert!(bodies[10..].iter().all(|body| *body != whole));
        for (n, body) in (1..).zip(bodies) {
            for event in ["pull_request", "star", "ping"] {
                let hostile = delivery.clone().with_header("X-GitHub-Event", event).with_body(body.clone());
                let answer = hostile.with_guid(&guid(n)).send().await;
                let what = format!("{event} {}: {}", &body[..body.len().min(60)], answer.body);
                assert!(matches!(answer.status, Some(200 | 202 | 400)), "{what}");
            }
        }
        let listed = octavia.see("/api/v1/deliveries?limit=100").await;
        for row in listed["items"].as_array().unwrap() {
            octavia.see(&format!("/api/v1/deliveries/{}", row["id"])).await;
        }
        assert!(!listed["items"].as_array().unwrap().is_empty());

        // A million keys, once: reading them is what takes time.
        let keys: Vec<String> = (0..1_000_000).map(|n| format!("\"{n:x}\":0")).collect();
        let many = star(t, format!("{{{}}}", keys.join(","))).send().await;
        assert_eq!(many.status, Some(200), "{}", many.body);

        // And the next good one is as good as ever.
        assert_eq!(delivery.send().await.status, Some(202));
        t.work().await;
        assert_eq!(t.github.take_reviews(pr).len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_length_that_lies_makes_no_delivery() {
    nectr(async |t| {
        ready(t).await;
        let (pr, delivery) = opened(t);
        let size = delivery.body.len();

        // Too short: what is over is somebody else's request, and what is left was never signed.
        let mut wire = Wire::open(t).await;
        wire.send(head(&delivery, &[&length(size - 1)])).await;
        wire.send(&delivery.body).await;
        assert_eq!(wire.answer().await.1.status, Some(401));

        // Too long: the rest never comes.
        let mut wire = Wire::open(t).await;
        wire.send(head(&delivery, &[&length(size + 1)])).await;
        wire.send(&delivery.body).await;
        drop(wire);

        // Two lengths, a length and chunks, none at all, or no number.
        let two = [length(size), length(size - 1)];
        let odd = [
            head(&delivery, &[&two[0], &two[1]]),
            head(&delivery, &["Content-Length: -1"]),
            head(&delivery, &["Content-Length: 1e3"]),
        ];
        for head in odd {
            let mut wire = Wire::open(t).await;
            wire.send(head).await;
            wire.send(&delivery.body).await;
            assert_eq!(wire.answer().await.1.status, Some(400));
            assert!(wire.is_closed().await);
        }
        assert!(t.deliveries().await.is_empty());

        assert_eq!(delivery.send().await.status, Some(202));
        reviewed(t, pr).await;
    })
    .await;
}
