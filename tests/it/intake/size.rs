//! Large bodies, slow bodies, and many of both.

use std::time::Duration;

use bytes::Bytes;
use nectr::{domain::DeliveryId, sandbox::Delivery};

use super::{
    duplicate, expect_problem, guid, labeled, last_id, opened, ready, received, reviewed, said,
    wire::{ASK_FIRST, CHUNKED, END, Wire, chunks, head, header, length},
};
use crate::support::{T, nectr};

const MIB: usize = 1024 * 1024;

/// The largest body GitHub sends.
const LARGEST: usize = 25 * MIB;

/// How long a body may take, and a little more.
const TOO_LONG: Duration = Duration::from_secs(11);

/// The same delivery, with as much in it as makes its body this long.
fn padded(delivery: &Delivery, size: usize) -> Delivery {
    let (start, rest) = (&b"{\"pad\":\""[..], &delivery.body[1..]);
    let mut body = Vec::with_capacity(size);
    body.extend_from_slice(start);
    body.resize(size - rest.len() - 2, b'x');
    body.extend_from_slice(b"\",");
    body.extend_from_slice(rest);
    assert_eq!(body.len(), size);
    delivery.clone().with_body(body)
}

/// Lets that much time pass for whoever waits, at once.
async fn wait_is_over() {
    tokio::time::pause();
    tokio::time::advance(TOO_LONG).await;
    tokio::time::resume();
}

/// A connection on which the server waits for a body of `framing` that does not come.
async fn stuck(t: &T, delivery: &Delivery, framing: &str) -> Wire {
    let mut wire = Wire::open(t).await;
    wire.send(head(delivery, &[framing, ASK_FIRST])).await;
    wire.wait_until_asked().await;
    wire
}

#[tokio::test]
async fn p22_25_mib_are_accepted_with_a_length_and_in_chunks() {
    nectr(async |t| {
        ready(t).await;
        let (pr, delivery) = opened(t);
        let large = padded(&delivery, LARGEST);
        let answer = large.send().await;
        let id = last_id(t).await;
        assert_eq!(said(&answer), received(id, "pull_request.opened"));
        let stored = t.app.store.delivery(DeliveryId(id)).await.unwrap().unwrap().payload;
        assert_eq!((stored.size(), stored.unpack().unwrap()), (large.body.len(), large.body.clone().into()));

        let mut wire = Wire::open(t).await;
        wire.send(head(&large, &[CHUNKED])).await;
        wire.send(chunks(&large.body, MIB)).await;
        wire.send(END).await;
        assert_eq!(said(&wire.answer().await.1), duplicate(id, "pull_request.opened"));
        reviewed(t, pr).await;
    })
    .await;
}

#[tokio::test]
async fn p22_one_byte_more_is_refused_by_its_length_before_it_is_read() {
    nectr(async |t| {
        ready(t).await;
        let delivery = labeled(t);
        for size in [LARGEST + 1, 26 * MIB, usize::MAX / 2] {
            let mut wire = Wire::open(t).await;
            // Not one byte of the body is ever sent.
            wire.send(head(&delivery, &[&length(size)])).await;
            let (head, answer) = wire.answer().await;
            expect_problem(&answer, 413);
            assert_eq!(header(&head, "connection"), Some("close"));
            assert!(wire.is_closed().await);
        }
        assert!(t.deliveries().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn p22_one_byte_more_is_refused_in_chunks_at_the_limit() {
    nectr(async |t| {
        ready(t).await;
        let large = padded(&labeled(t), LARGEST + 1);
        let mut wire = Wire::open(t).await;
        wire.send(head(&large, &[CHUNKED])).await;
        wire.send(chunks(&large.body, MIB)).await;
        // It is refused although the end has not come.
        let (head, answer) = wire.answer().await;
        expect_problem(&answer, 413);
        assert_eq!(header(&head, "connection"), Some("close"));
        assert!(wire.is_closed().await);
        assert!(t.deliveries().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn p22_what_claims_to_be_unsigned_and_huge_is_refused_all_the_same() {
    nectr(async |t| {
        ready(t).await;
        let (_, delivery) = opened(t);
        let unsigned = super::without(delivery, "X-Hub-Signature-256");
        let mut wire = Wire::open(t).await;
        wire.send(head(&unsigned, &[&length(LARGEST + 1)])).await;
        expect_problem(&wire.answer().await.1, 413);
    })
    .await;
}

#[tokio::test]
async fn p23_a_body_that_does_not_arrive_in_time_is_given_up() {
    nectr(async |t| {
        ready(t).await;
        let (_, delivery) = opened(t);
        for framing in [length(delivery.body.len()), length(4 * MIB), CHUNKED.to_owned()] {
            let mut wire = stuck(t, &delivery, &framing).await;
            let first = if framing == CHUNKED { chunks(&Bytes::from_static(b"{"), 1) } else { b"{".to_vec() };
            wire.send(first).await;
            wait_is_over().await;
            let (head, answer) = wire.answer().await;
            expect_problem(&answer, 408);
            assert_eq!(header(&head, "connection"), Some("close"));
            assert!(wire.is_closed().await);
        }
        assert!(t.deliveries().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn p23_a_trickle_does_not_buy_time() {
    nectr(async |t| {
        ready(t).await;
        let (_, delivery) = opened(t);
        let mut wire = stuck(t, &delivery, &length(delivery.body.len())).await;
        for byte in 0..4 {
            wire.send(&delivery.body[byte..=byte]).await;
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(3)).await;
            tokio::time::resume();
        }
        expect_problem(&wire.answer().await.1, 408);
    })
    .await;
}

#[tokio::test]
async fn p23_two_hundred_slow_bodies_at_once_do_not_stop_a_good_delivery() {
    nectr(async |t| {
        ready(t).await;
        let (pr, good) = opened(t);
        let mut slow = Vec::new();
        for _ in 0..200 {
            let mut wire = stuck(t, &good, &length(good.body.len())).await;
            wire.send(b"{").await;
            slow.push(wire);
        }
        assert_eq!(said(&good.send().await), received(last_id(t).await, "pull_request.opened"));
        assert!(slow.iter().all(Wire::is_silent), "they still wait");
        wait_is_over().await;
        for mut wire in slow {
            expect_problem(&wire.answer().await.1, 408);
        }
        reviewed(t, pr).await;
    })
    .await;
}

#[tokio::test]
async fn large_bodies_wait_for_room_and_small_ones_do_not() {
    nectr(async |t| {
        ready(t).await;
        let (pr, small) = opened(t);
        let large = padded(&small, 4 * MIB).with_guid(&guid(1));
        // 5 x 25 MiB of 128 MiB are spoken for.
        let mut holders = Vec::new();
        for _ in 0..5 {
            holders.push(stuck(t, &small, &length(LARGEST)).await);
        }
        let mut waiting = Wire::open(t).await;
        waiting.send(head(&large, &[&length(large.body.len()), ASK_FIRST])).await;
        assert_eq!(said(&small.send().await), received(last_id(t).await, "pull_request.opened"), "small ones pass");
        let medium = padded(&small, 2 * MIB).with_guid(&guid(2));
        assert!(waiting.is_silent(), "there is no room for it");

        // One goes, and there is.
        drop(holders.pop());
        waiting.wait_until_asked().await;
        waiting.send(&large.body).await;
        let told = said(&waiting.answer().await.1);
        assert_eq!(told, received(last_id(t).await, "pull_request.opened"));
        assert_eq!(medium.send().await.status, Some(202), "its room is free again");
        drop(holders);
        reviewed(t, pr).await;
    })
    .await;
}

#[tokio::test]
async fn a_large_body_that_waited_for_room_in_vain_is_told_to_come_again() {
    nectr(async |t| {
        ready(t).await;
        let (pr, delivery) = opened(t);
        let large = padded(&delivery, 4 * MIB);
        let mut holders = Vec::new();
        for _ in 0..5 {
            holders.push(stuck(t, &delivery, &length(LARGEST)).await);
        }
        let mut waiting = Wire::open(t).await;
        waiting.send(head(&large, &[&length(large.body.len())])).await;
        // Whatever is answered here was asked after it on the same machine: by now it stands in the queue.
        assert_eq!(delivery.send().await.status, Some(202));
        wait_is_over().await;
        let (head, answer) = waiting.answer().await;
        expect_problem(&answer, 503);
        assert!(header(&head, "retry-after").is_some_and(|wait| wait.parse::<u32>().is_ok()), "{head}");
        assert_eq!(header(&head, "connection"), Some("close"));
        for mut holder in holders {
            expect_problem(&holder.answer().await.1, 408);
        }
        assert_eq!(large.with_guid(&guid(1)).send().await.status, Some(202), "there is room again");
        reviewed(t, pr).await;
    })
    .await;
}

#[tokio::test]
async fn many_large_bodies_at_once_are_all_accepted() {
    nectr(async |t| {
        ready(t).await;
        let (pr, delivery) = opened(t);
        // In chunks each may turn out to need all of 25 MiB: at most five have room at a time.
        let large = padded(&delivery, MIB + MIB / 2);
        let sendings = (1..=12).map(|n| {
            let large = large.clone().with_guid(&guid(n));
            async move {
                let mut wire = Wire::open(t).await;
                wire.send(head(&large, &[CHUNKED])).await;
                wire.send(chunks(&large.body, MIB / 4)).await;
                wire.send(END).await;
                wire.answer().await.1.status
            }
        });
        let answers = futures_util::future::join_all(sendings).await;
        assert_eq!(answers, [Some(202); 12]);
        reviewed(t, pr).await;
    })
    .await;
}
