//! `SECRET_KEY` is rotated while people and GitHub go on.

use nectr::{
    accounts::reseal,
    sandbox::Delivery,
    store::sealed::{Kept, SealedCounts},
    sweep,
};

use crate::{
    intake::beside::Beside,
    sign_in::House,
    support::{Person, SHOP, T, minutes},
};

const OLD: (&str, &str) = ("SECRET_KEY", "the first key, long enough to be one");
const NEW: (&str, &str) = ("SECRET_KEY", "the second key, quite as long as that");
const PREVIOUS: (&str, &str) = ("SECRET_KEY_PREVIOUS", OLD.1);
const OFF: (&str, &str) = ("GRAPH", "off");
const ROTATE: &str = "/api/v1/repos/acme/shop/rotate-secret";

async fn counts(t: &T) -> SealedCounts {
    let (current, previous) = t.app.sealer.key_ids();
    t.app.store.count_sealed(current, previous).await.unwrap()
}

async fn status(t: &T, delivery: &Delivery) -> u16 {
    let mut delivery = delivery.clone();
    delivery.url = format!("{}/api/v1/webhooks/github", t.url);
    delivery.send().await.status.unwrap()
}

/// Two people connected the shop; one webhook has another secret since. Returns what both signed, the former one too.
async fn furnish(t: &T) -> Vec<Delivery> {
    let octavia = t.connected().await;
    t.sign_in("ada").await.connect(SHOP).await;
    t.settle().await;
    let pr = t.open_pull(|pr| pr.draft().adds("a.txt", "one\n"));
    let mut signed = t.github.drop_deliveries();
    assert_eq!(octavia.post(ROTATE).await.status, 200);
    t.github.label(pr, "noise");
    signed.extend(t.github.drop_deliveries());
    assert_eq!(signed.len(), 4);
    signed
}

#[tokio::test]
async fn stored_secrets_move_to_the_new_key_in_the_background_and_the_old_one_can_go() {
    let house = House::build().await;
    let first = house.start(&[OLD, OFF]).await;
    let signed = furnish(&first).await;
    assert_eq!(counts(&first).await, SealedCounts { current: 5, previous: 0, other: 0 });
    assert_eq!(reseal::round(&first.app).await.unwrap(), reseal::Round::default(), "there is no other key");
    let octavia = first.sign_in("octavia").await;
    first.shut_down().await;

    let both = house.start(&[NEW, PREVIOUS, OFF]).await;
    assert_eq!(counts(&both).await, SealedCounts { current: 0, previous: 5, other: 0 });
    sweep::once(&both.app).await;
    assert_eq!(counts(&both).await, SealedCounts { current: 5, previous: 0, other: 0 });
    assert_eq!(reseal::round(&both.app).await.unwrap(), reseal::Round::default(), "once is enough");
    // Whoever was signed in still is, and a token that is made now will do without the previous key.
    let minted = House::ask(&both, http::Method::GET, "/auth/me", &octavia.token).await;
    assert_eq!(minted.status, 200);
    let browser = Person::browsing(&both.url, &octavia.token);
    let token = browser.post("/auth/token").await.json()["access_token"].as_str().unwrap().to_owned();
    both.shut_down().await;

    let alone = house.start(&[NEW, OFF]).await;
    for delivery in &signed {
        assert_eq!(status(&alone, delivery).await, 200, "{delivery:?}");
    }
    let list = House::ask(&alone, http::Method::GET, "/api/v1/repos", &token).await;
    assert_eq!(list.status, 200, "the GitHub token opens: {}", list.text());
    alone.shut_down().await;
    house.database.remove().await;
}

#[tokio::test]
async fn it_goes_on_where_it_was_and_a_damaged_row_does_not_hold_it_up() {
    let house = House::build().await;
    let first = house.start(&[OLD, OFF]).await;
    furnish(&first).await;
    first.shut_down().await;

    let both = house.start(&[NEW, PREVIOUS, OFF]).await;
    // One slice of one kind, and then the process dies.
    let (_, previous) = both.app.sealer.key_ids();
    let rows = both.app.store.sealed_with(previous.unwrap(), Kept::Token, 0, 1).await.unwrap();
    assert_eq!(rows.len(), 1);
    let place = nectr::seal::Place { table: "users", column: "token", github_user: rows[0].github_user, repo: None };
    let anew: Vec<_> = rows
        .into_iter()
        .map(|row| {
            let sealed = both.app.sealer.reseal(place, &row.sealed).unwrap();
            (row, sealed)
        })
        .collect();
    assert_eq!(both.app.store.reseal(&anew).await.unwrap(), 1);
    assert_eq!(both.app.store.reseal(&anew).await.unwrap(), 0, "it holds something else by now");
    // The other token is damaged: it has the previous key's mark and the wrong owner's bytes.
    Beside::open(&both)
        .await
        .run("UPDATE users SET token = (SELECT secret FROM installations ORDER BY id LIMIT 1) WHERE github_id = (SELECT MAX(github_id) FROM users)")
        .await;
    let rounds = tokio::join!(reseal::round(&both.app), reseal::round(&both.app));
    let resealed = rounds.0.unwrap().resealed + rounds.1.unwrap().resealed;
    assert_eq!((resealed, counts(&both).await), (3, SealedCounts { current: 4, previous: 1, other: 0 }));
    both.pass(minutes(1));
    both.shut_down().await;
    house.database.remove().await;
}
