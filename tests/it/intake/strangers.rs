//! Strangers: whatever they send at whatever rate, the database hardly hears of it.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};

use super::{beside::Beside, opened, ready, reviewed};
use crate::support::nectr;

/// Time between two looks on behalf of deliveries that are turned away.
const BETWEEN: Duration = Duration::from_millis(50);

#[tokio::test]
async fn webhooks_nobody_knows_cost_one_look_at_the_database_at_a_time_however_many_come() {
    nectr(async |t| {
        if !t.app.store.is_shared() {
            // A process that has its database alone knows all there is, and never looks.
            return;
        }
        ready(t).await;
        let (pr, delivery) = opened(t);
        let mut database = Beside::open(t).await;
        database.run("ALTER TABLE installation_changes RENAME TO counted_changes").await;
        database.run("CREATE SEQUENCE looks").await;
        database
            .run("CREATE VIEW installation_changes AS SELECT * FROM counted_changes WHERE nextval('looks') > 0")
            .await;

        let began = Instant::now();
        let strangers =
            (0..2_000).map(|n| delivery.clone().with_header("X-GitHub-Hook-ID", &(900_000 + n).to_string()));
        let answers: Vec<_> = stream::iter(strangers)
            .map(async |stranger| stranger.send().await.status)
            .buffer_unordered(32)
            .collect()
            .await;
        assert_eq!(answers, vec![Some(401); 2_000]);
        let most = began.elapsed().as_millis() / BETWEEN.as_millis() + 1;
        let looks = database.number("SELECT last_value FROM looks").await;
        assert!((1..=most).contains(&u128::try_from(looks).unwrap()), "{looks} looks, at most {most} were due");

        database.run("DROP VIEW installation_changes").await;
        database.run("ALTER TABLE counted_changes RENAME TO installation_changes").await;
        assert_eq!(delivery.send().await.status, Some(202));
        reviewed(t, pr).await;
    })
    .await;
}
