//! What a review is told: experts, related pull requests, and who else is at work on the same files.

use chrono::TimeDelta;
use nectr::domain::{
    PrNumber,
    graph::{Expert, OpenTouch, Question, RECENT, Related, Touch},
    pull_request::PrState,
};

use crate::support::{database::noon, graph::*};

#[tokio::test]
async fn the_last_thirty_days_weigh_four_the_last_ninety_two_the_last_hundred_and_eighty_one() {
    on_every_backend(async |graph, repo| {
        let moment = TimeDelta::microseconds(1);
        let cases = [
            ("just-now", noon(), 4),
            ("at-30", days_ago(30), 4),
            ("beyond-30", days_ago(30) - moment, 2),
            ("at-90", days_ago(90), 2),
            ("beyond-90", days_ago(90) - moment, 1),
            ("at-180", days_ago(180), 1),
            ("beyond-180", days_ago(180) - moment, 0),
        ];
        let pulls: Vec<_> = (1..)
            .zip(&cases)
            .map(|(number, (login, merged, _))| pull(number).by(login).merged(*merged).touching(&["a.rs"]))
            .collect();
        graph.learn_pulls(repo, &pulls).await.unwrap();
        let expected: Vec<_> = cases
            .into_iter()
            .filter(|(_, _, weight)| *weight > 0)
            .map(|(login, last, weight)| Expert { login: login.to_owned(), weight, pulls: 1, last })
            .collect();
        assert_eq!(ask(graph, repo, &["a.rs"]).await.experts, expected);
    })
    .await;
}

#[tokio::test]
async fn an_expert_is_somebody_else_a_person_and_has_merged() {
    on_every_backend(async |graph, repo| {
        let pulls = [
            pull(1).by("ada").touching(&["a.rs"]),
            pull(2).by_bot("renovate[bot]").touching(&["a.rs"]),
            pull(3).by("sam").touching(&["a.rs"]),
            pull(4).by("bob").open().touching(&["a.rs"]),
            pull(5).by("eve").closed().touching(&["a.rs"]),
            pull(6).by("dan").touching(&["b.rs"]),
            pull(7).by("kim").touching(&["a.rs"]),
        ];
        graph.learn_pulls(repo, &pulls).await.unwrap();
        let asked = Question { number: PrNumber(7), author: "sam".to_owned(), ..question(repo, &["a.rs"]) };
        let experts = graph.ask(&asked).await.unwrap().experts;
        let ada = Expert { login: "ada".to_owned(), weight: 4, pulls: 1, last: days_ago(1) };
        assert_eq!(experts, [ada]);
    })
    .await;
}

#[tokio::test]
async fn experts_are_weighed_over_all_files_then_by_who_was_last_then_by_name() {
    on_every_backend(async |graph, repo| {
        let pulls = [
            pull(1).by("wide").merged(days_ago(10)).touching(&["a.rs", "b.rs", "elsewhere.rs"]),
            pull(2).by("deep").merged(days_ago(5)).touching(&["a.rs"]),
            pull(3).by("deep").merged(days_ago(100)).touching(&["a.rs"]),
            pull(4).by("zoe").merged(days_ago(2)).touching(&["b.rs"]),
            pull(5).by("amy").merged(days_ago(2)).touching(&["b.rs"]),
            pull(6).by("Bea").merged(days_ago(2)).touching(&["b.rs"]),
            pull(7).by("late").merged(days_ago(1)).touching(&["b.rs"]),
        ];
        graph.learn_pulls(repo, &pulls).await.unwrap();
        let experts = ask(graph, repo, &["a.rs", "b.rs"]).await.experts;
        let told: Vec<_> = experts.iter().map(|e| (e.login.as_str(), e.weight, e.pulls, e.last)).collect();
        assert_eq!(
            told,
            [
                ("wide", 8, 1, days_ago(10)),
                ("deep", 5, 2, days_ago(5)),
                ("late", 4, 1, days_ago(1)),
                ("Bea", 4, 1, days_ago(2)),
                ("amy", 4, 1, days_ago(2)),
                ("zoe", 4, 1, days_ago(2)),
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn there_are_at_most_ten_experts() {
    on_every_backend(async |graph, repo| {
        let pulls: Vec<_> =
            (1..=12).map(|number| pull(number).by(&format!("person-{number:02}")).touching(&["a.rs"])).collect();
        graph.learn_pulls(repo, &pulls).await.unwrap();
        let experts = ask(graph, repo, &["a.rs"]).await.experts;
        assert_eq!(experts.len(), 10);
        assert_eq!(experts[9].login, "person-10");
    })
    .await;
}

#[tokio::test]
async fn related_are_those_with_most_files_in_common_then_the_latest() {
    on_every_backend(async |graph, repo| {
        let pulls = [
            pull(1).touching(&["a.rs", "b.rs", "x.rs", "y.rs"]),
            pull(2).open().touching(&["a.rs"]),
            pull(3).closed().by_bot("bot").touching(&["b.rs"]),
            pull(4).touching(&["x.rs"]),
            pull(5).open().touching(&["a.rs", "b.rs"]),
        ];
        graph.learn_pulls(repo, &pulls).await.unwrap();
        let asked = Question { number: PrNumber(5), ..question(repo, &["a.rs", "b.rs", "a.rs", "unknown.rs"]) };
        let related = graph.ask(&asked).await.unwrap().related;
        let told = |number, state, shared, files| Related {
            number: PrNumber(number),
            title: format!("Change {number}"),
            state,
            shared,
            files,
        };
        assert_eq!(
            related,
            [told(1, PrState::Merged, 2, 4), told(3, PrState::Closed, 1, 1), told(2, PrState::Open, 1, 1)]
        );
    })
    .await;
}

#[tokio::test]
async fn there_are_at_most_twenty_related() {
    on_every_backend(async |graph, repo| {
        let pulls: Vec<_> = (1..=30).map(|number| pull(number).touching(&["a.rs"])).collect();
        graph.learn_pulls(repo, &pulls).await.unwrap();
        let expected: Vec<_> = (11..=30).rev().collect();
        assert_eq!(numbers(&ask(graph, repo, &["a.rs"]).await), expected);
    })
    .await;
}

#[tokio::test]
async fn only_the_latest_pull_requests_of_each_file_are_looked_at() {
    on_every_backend(async |graph, repo| {
        let mut pulls =
            vec![pull(1).by("bob").touching(&["hot.rs", "cold.rs"]), pull(2).by("bob").touching(&["hot.rs"])];
        pulls.extend((0..RECENT).map(|more| pull(10 + more).by("ada").touching(&["hot.rs"])));
        graph.learn_pulls(repo, &pulls).await.unwrap();
        let experts = ask(graph, repo, &["hot.rs"]).await.experts;
        assert_eq!(experts, [Expert { login: "ada".into(), weight: 4 * RECENT, pulls: RECENT, last: days_ago(1) }]);
        let with_cold = ask(graph, repo, &["hot.rs", "cold.rs"]).await.experts;
        assert_eq!(with_cold[1], Expert { login: "bob".into(), weight: 4, pulls: 1, last: days_ago(1) });
        let asked = Question { number: PrNumber(10), ..question(repo, &["hot.rs"]) };
        let experts = graph.ask(&asked).await.unwrap().experts;
        assert_eq!((experts[0].pulls, experts[1].login.as_str()), (RECENT - 1, "bob"), "its own does not count");
    })
    .await;
}

#[tokio::test]
async fn only_the_first_hundred_files_of_a_change_are_looked_at() {
    on_every_backend(async |graph, repo| {
        graph.learn_pulls(repo, &[pull(1).touching(&["f099"]), pull(2).touching(&["f100"])]).await.unwrap();
        let files: Vec<_> = (0..=100).map(|n| format!("f{n:03}")).collect();
        let files: Vec<_> = files.iter().map(String::as_str).collect();
        assert_eq!(numbers(&ask(graph, repo, &files).await), [1]);
    })
    .await;
}

#[tokio::test]
async fn other_open_pull_requests_are_told_with_the_lines_they_touch() {
    on_every_backend(async |graph, repo| {
        let mut first = pull(3).by("bob").titled("Rework").open().touching(&["b.rs", "a.rs", "elsewhere.rs"]);
        first.files.as_mut().unwrap()[0].hunks = vec![(1, 0), (10, 4), (4_000_000_000, 7)];
        first.files.as_mut().unwrap()[1].hunks = Vec::new();
        let pulls = [
            first,
            pull(1).open().by_bot("renovate[bot]").touching(&["a.rs"]),
            pull(2).touching(&["a.rs"]),
            pull(4).closed().touching(&["a.rs"]),
            pull(5).open().touching(&["a.rs"]),
        ];
        graph.learn_pulls(repo, &pulls).await.unwrap();
        let asked = Question { number: PrNumber(5), ..question(repo, &["a.rs", "b.rs"]) };
        let open = graph.ask(&asked).await.unwrap().open;
        let told = |number, title: &str, author: &str, path: &str, hunks: &[(u32, u32)]| OpenTouch {
            number: PrNumber(number),
            title: title.to_owned(),
            author: author.to_owned(),
            touch: Touch { path: path.to_owned(), hunks: hunks.to_vec() },
        };
        assert_eq!(
            open,
            [
                told(1, "Change 1", "renovate[bot]", "a.rs", &[(1, 3)]),
                told(3, "Rework", "bob", "a.rs", &[]),
                told(3, "Rework", "bob", "b.rs", &[(1, 0), (10, 4), (4_000_000_000, 7)]),
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn there_are_at_most_two_hundred_open_touches() {
    on_every_backend(async |graph, repo| {
        let files: Vec<_> = (0..70).map(|n| format!("f{n:02}")).collect();
        let files: Vec<_> = files.iter().map(String::as_str).collect();
        let pulls: Vec<_> = (1..=3).map(|number| pull(number).open().touching(&files)).collect();
        graph.learn_pulls(repo, &pulls).await.unwrap();
        let open = ask(graph, repo, &files).await.open;
        assert_eq!(open.len(), 200);
        assert_eq!((open[199].number, open[199].touch.path.as_str()), (PrNumber(3), "f59"));
    })
    .await;
}
