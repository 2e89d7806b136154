//! Pull requests, issues and people are learned, in whatever order.

use nectr::domain::{
    PrNumber,
    graph::{Contributor, IssueFact, IssueRef, Question, Touch},
    pull_request::PrState,
    review::Verdict,
};

use crate::support::graph::*;

#[tokio::test]
async fn learning_twice_is_learning_once() {
    on_every_backend(async |graph, repo| {
        let mut fact = pull(1).open().touching(&["a.rs", "b.rs"]);
        fact.closes = Some(vec![IssueRef { repo, number: 7 }]);
        fact.verdict = Some((Verdict::Approve, at(0)));
        graph.build(&first(repo, &["a.rs", "b.rs"])).await.unwrap();
        graph.learn_pulls(repo, std::slice::from_ref(&fact)).await.unwrap();
        graph.learn_issues(&[issue(repo, 7)]).await.unwrap();
        let before = dump(graph, repo, &[]).await;
        graph.learn_pulls(repo, &[fact.clone(), fact]).await.unwrap();
        graph.learn_issues(&[issue(repo, 7), issue(repo, 7)]).await.unwrap();
        assert_eq!(dump(graph, repo, &[]).await, before);
    })
    .await;
}

#[tokio::test]
async fn learning_nothing_is_no_mistake() {
    on_every_backend(async |graph, repo| {
        graph.learn_pulls(repo, &[]).await.unwrap();
        graph.learn_issues(&[]).await.unwrap();
        graph.learn_contributors(repo, &[]).await.unwrap();
        graph.learn_pulls(repo, &[pull(1).touching(&[])]).await.unwrap();
        assert_eq!(dump(graph, repo, &["a.rs"]).await.files, []);
    })
    .await;
}

#[tokio::test]
async fn the_newest_fact_wins_whatever_comes_last() {
    on_every_backend(async |graph, repo| {
        let old = pull(1).by("ada").titled("Old").open().touching(&["a.rs"]).at(1);
        let new = pull(1).by("bob").titled("New").closed().touching(&["b.rs"]).at(2);
        let other = fresh_repo();
        graph.learn_pulls(repo, std::slice::from_ref(&old)).await.unwrap();
        graph.learn_pulls(repo, std::slice::from_ref(&new)).await.unwrap();
        graph.learn_pulls(other, &[new]).await.unwrap();
        graph.learn_pulls(other, &[old]).await.unwrap();
        let told = dump(graph, repo, &["a.rs", "b.rs"]).await;
        assert_eq!(told, dump(graph, other, &["a.rs", "b.rs"]).await);
        let answer = ask(graph, repo, &["a.rs", "b.rs"]).await;
        assert_eq!(answer.related.len(), 1);
        assert_eq!((answer.related[0].title.as_str(), answer.related[0].state), ("New", PrState::Closed));
        assert_eq!(answer.related[0].shared, 1, "only the new file");
        assert_eq!(answer.open, []);
    })
    .await;
}

#[tokio::test]
async fn facts_of_one_call_are_learned_in_order() {
    on_every_backend(async |graph, repo| {
        let facts = [pull(1).open().touching(&["a.rs"]), pull(2).touching(&["a.rs"]), pull(1).closed().at(1)];
        graph.learn_pulls(repo, &facts).await.unwrap();
        let answer = ask(graph, repo, &["a.rs"]).await;
        assert_eq!(numbers(&answer), [2, 1]);
        assert_eq!(answer.related[1].state, PrState::Closed);
    })
    .await;
}

#[tokio::test]
async fn of_two_facts_of_the_same_time_the_last_one_wins() {
    on_every_backend(async |graph, repo| {
        graph.learn_pulls(repo, &[pull(1).open().touching(&["a.rs"]).titled("One")]).await.unwrap();
        graph.learn_pulls(repo, &[pull(1).closed().touching(&["a.rs", "b.rs"]).titled("Two")]).await.unwrap();
        let answer = ask(graph, repo, &["a.rs"]).await;
        let related = &answer.related[0];
        assert_eq!((related.title.as_str(), related.state, related.files), ("Two", PrState::Closed, 2));
    })
    .await;
}

#[tokio::test]
async fn merged_is_final() {
    on_every_backend(async |graph, repo| {
        let other = fresh_repo();
        let merged = pull(1).merged(at(-60)).touching(&["a.rs"]).at(1);
        let reopened = pull(1).open().titled("Later").at(2);
        graph.learn_pulls(repo, &[merged.clone(), reopened.clone()]).await.unwrap();
        graph.learn_pulls(other, &[reopened, merged]).await.unwrap();
        for repo in [repo, other] {
            let answer = ask(graph, repo, &["a.rs"]).await;
            assert_eq!((answer.related[0].title.as_str(), answer.related[0].state), ("Later", PrState::Merged));
            assert_eq!(answer.experts[0].last, at(-60));
            assert_eq!(answer.open, []);
        }
    })
    .await;
}

#[tokio::test]
async fn the_files_of_a_new_head_replace_those_of_the_old_one() {
    on_every_backend(async |graph, repo| {
        graph.build(&first(repo, &["a.rs", "b.rs", "c.rs"])).await.unwrap();
        graph.learn_pulls(repo, &[pull(1).open().touching(&["a.rs", "b.rs"])]).await.unwrap();
        let mut pushed = pull(1).open().touching(&["b.rs", "c.rs"]).at(1);
        pushed.files.as_mut().unwrap()[0].hunks = vec![(5, 1), (9, 0)];
        graph.learn_pulls(repo, &[pushed]).await.unwrap();
        let open = ask(graph, repo, &["a.rs", "b.rs", "c.rs"]).await.open;
        let touches: Vec<_> = open.into_iter().map(|open| open.touch).collect();
        let b = Touch { path: "b.rs".to_owned(), hunks: vec![(5, 1), (9, 0)] };
        let c = Touch { path: "c.rs".to_owned(), hunks: vec![(1, 3)] };
        assert_eq!(touches, [b, c]);
        let pulls: Vec<_> = graph.files(repo).await.unwrap().iter().map(|file| file.pulls).collect();
        assert_eq!(pulls, [0, 1, 1]);
        graph.learn_pulls(repo, &[pull(1).open().touching(&[]).at(2)]).await.unwrap();
        assert_eq!(ask(graph, repo, &["b.rs"]).await.open, [], "nothing is left of it");
    })
    .await;
}

#[tokio::test]
async fn what_a_fact_does_not_say_is_kept() {
    on_every_backend(async |graph, repo| {
        graph.learn_pulls(repo, &[pull(1).open().touching(&["a.rs"]).at(1)]).await.unwrap();
        graph.learn_pulls(repo, &[pull(1).open().titled("Edited").at(2)]).await.unwrap();
        let answer = ask(graph, repo, &["a.rs"]).await;
        assert_eq!((answer.related[0].title.as_str(), answer.related[0].files), ("Edited", 1));
    })
    .await;
}

#[tokio::test]
async fn files_that_arrive_late_are_learned_if_none_were_known() {
    on_every_backend(async |graph, repo| {
        graph.learn_pulls(repo, &[pull(1).open().titled("Edited").at(2)]).await.unwrap();
        graph.learn_pulls(repo, &[pull(1).open().titled("Opened").touching(&["a.rs"]).at(1)]).await.unwrap();
        let answer = ask(graph, repo, &["a.rs"]).await;
        assert_eq!((answer.related[0].title.as_str(), answer.related[0].files), ("Edited", 1));
        graph.learn_pulls(repo, &[pull(1).open().touching(&["b.rs"]).at(0)]).await.unwrap();
        assert_eq!(numbers(&ask(graph, repo, &["b.rs"]).await), [0_i64; 0], "older files than those known");
    })
    .await;
}

#[tokio::test]
async fn a_change_of_author_leaves_one_author() {
    on_every_backend(async |graph, repo| {
        graph.learn_pulls(repo, &[pull(1).by("ada").touching(&["a.rs"])]).await.unwrap();
        graph.learn_pulls(repo, &[pull(1).by("ghost").at(1)]).await.unwrap();
        let experts = ask(graph, repo, &["a.rs"]).await.experts;
        let logins: Vec<_> = experts.iter().map(|expert| expert.login.as_str()).collect();
        assert_eq!(logins, ["ghost"]);
    })
    .await;
}

#[tokio::test]
async fn a_verdict_arrives_without_disturbing_anything() {
    on_every_backend(async |graph, repo| {
        graph.learn_pulls(repo, &[pull(1).open().touching(&["a.rs"]).at(5)]).await.unwrap();
        let before = dump(graph, repo, &["a.rs"]).await;
        for (verdict, minutes) in [(Verdict::Approve, 3), (Verdict::RequestChanges, 1), (Verdict::NeedsDiscussion, 4)] {
            let mut fact = pull(1).closed().titled("Old").at(1);
            fact.verdict = Some((verdict, at(minutes)));
            graph.learn_pulls(repo, &[fact]).await.unwrap();
        }
        assert_eq!(dump(graph, repo, &["a.rs"]).await, before);
    })
    .await;
}

#[tokio::test]
async fn an_issue_is_what_was_said_of_it_last() {
    on_every_backend(async |graph, repo| {
        let new = IssueFact {
            title: "Prices are wrong".to_owned(),
            open: false,
            labels: vec!["bug".to_owned(), "good first issue".to_owned()],
            updated_at: at(2),
            ..issue(repo, 7)
        };
        graph.learn_issues(&[issue(repo, 9), issue(repo, 7)]).await.unwrap();
        graph.learn_issues(std::slice::from_ref(&new)).await.unwrap();
        graph.learn_issues(&[IssueFact { updated_at: at(1), ..issue(repo, 7) }]).await.unwrap();
        let asked = Question { closes: vec![9, 7, 8, 7], ..question(repo, &[]) };
        assert_eq!(graph.ask(&asked).await.unwrap().issues, [new, issue(repo, 9)]);
    })
    .await;
}

#[tokio::test]
async fn an_issue_that_is_closed_before_it_is_known_appears_once_it_is_learned() {
    on_every_backend(async |graph, repo| {
        let mut fact = pull(1).open().touching(&["a.rs"]);
        fact.closes = Some(vec![IssueRef { repo, number: 7 }, IssueRef { repo, number: 7 }]);
        graph.learn_pulls(repo, &[fact]).await.unwrap();
        let asked = Question { closes: vec![7], ..question(repo, &["a.rs"]) };
        assert_eq!(graph.ask(&asked).await.unwrap().issues, []);
        graph.learn_issues(&[issue(repo, 7)]).await.unwrap();
        assert_eq!(graph.ask(&asked).await.unwrap().issues, [issue(repo, 7)]);
        let mut edited = pull(1).open().at(1);
        edited.closes = Some(Vec::new());
        graph.learn_pulls(repo, &[edited]).await.unwrap();
        assert_eq!(graph.ask(&asked).await.unwrap().issues, [issue(repo, 7)], "the issue itself is still there");
    })
    .await;
}

#[tokio::test]
async fn a_forgotten_issue_stays_forgotten() {
    on_every_backend(async |graph, repo| {
        let asked = Question { closes: vec![7, 8], ..question(repo, &[]) };
        graph.learn_issues(&[issue(repo, 7)]).await.unwrap();
        for number in [7, 8, 7] {
            graph.forget_issue(IssueRef { repo, number }).await.unwrap();
        }
        assert_eq!(graph.ask(&asked).await.unwrap().issues, []);
        let late = |number| IssueFact { updated_at: at(9), ..issue(repo, number) };
        graph.learn_issues(&[late(7), late(8)]).await.unwrap();
        let mut fact = pull(1);
        fact.closes = Some(vec![IssueRef { repo, number: 7 }]);
        graph.learn_pulls(repo, &[fact]).await.unwrap();
        assert_eq!(graph.ask(&asked).await.unwrap().issues, []);
    })
    .await;
}

#[tokio::test]
async fn contributors_can_be_learned_again_and_again() {
    on_every_backend(async |graph, repo| {
        let person = |login: &str, contributions| Contributor { login: login.to_owned(), contributions };
        graph.learn_contributors(repo, &[person("ada", 3), person("bob", 1), person("ada", 4)]).await.unwrap();
        graph.learn_contributors(repo, &[person("ada", 5)]).await.unwrap();
        graph.learn_pulls(repo, &[pull(1).by("ada").touching(&["a.rs"])]).await.unwrap();
        assert_eq!(ask(graph, repo, &["a.rs"]).await.experts.len(), 1, "committing alone makes nobody an expert");
    })
    .await;
}

#[tokio::test]
async fn many_who_learn_the_same_pull_request_at_once_learn_it_once() {
    on_every_backend(async |graph, repo| {
        graph.build(&first(repo, &["a.rs", "b.rs"])).await.unwrap();
        let facts: Vec<_> = (0..8)
            .map(|minute| {
                let files: &[&str] = if minute % 2 == 0 { &["a.rs"] } else { &["a.rs", "b.rs"] };
                [pull(1).open().touching(files).at(minute).titled(&format!("At {minute}"))]
            })
            .collect();
        let learn = |at: usize| graph.learn_pulls(repo, &facts[at]);
        let learned = tokio::join!(learn(0), learn(7), learn(1), learn(6), learn(2), learn(5), learn(3), learn(4));
        for learned in <[_; 8]>::from(learned) {
            learned.unwrap();
        }
        let answer = ask(graph, repo, &["a.rs", "b.rs"]).await;
        assert_eq!(answer.related.len(), 1);
        assert_eq!((answer.related[0].title.as_str(), answer.related[0].shared), ("At 7", 2));
        assert_eq!(answer.related[0].number, PrNumber(1));
    })
    .await;
}

#[tokio::test]
async fn facts_and_builds_at_once_leave_a_whole_graph() {
    on_every_backend(async |graph, repo| {
        graph.build(&first(repo, &["a.rs", "b.rs", "c.rs"])).await.unwrap();
        let facts: Vec<_> = (1..=20).map(|number| pull(number).open().touching(&["a.rs", "c.rs", "new.rs"])).collect();
        let build = next(repo, 1, &["b.rs"], &["c.rs"]);
        let learn = async {
            for fact in &facts {
                graph.learn_pulls(repo, std::slice::from_ref(fact)).await.unwrap();
            }
        };
        let (built, ()) = tokio::join!(graph.build(&build), learn);
        built.unwrap();
        assert_eq!(paths(graph, repo).await, ["a.rs", "b.rs"]);
        for path in ["a.rs", "c.rs", "new.rs"] {
            assert_eq!(ask(graph, repo, &[path]).await.open.len(), 20, "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_repository_that_is_forgotten_leaves_nothing_and_takes_nothing_of_others() {
    on_every_backend(async |graph, repo| {
        let other = fresh_repo();
        for repo in [repo, other] {
            let mut fact = pull(1).by("ada").open().touching(&["a.rs", "gone.rs"]);
            fact.closes = Some(vec![IssueRef { repo, number: 7 }]);
            graph.build(&first(repo, &["a.rs", "b.rs"])).await.unwrap();
            graph.learn_pulls(repo, &[fact]).await.unwrap();
            graph.learn_issues(&[issue(repo, 7)]).await.unwrap();
            graph.forget_issue(IssueRef { repo, number: 8 }).await.unwrap();
            let ada = Contributor { login: "ada".to_owned(), contributions: 3 };
            graph.learn_contributors(repo, &[ada]).await.unwrap();
        }
        let (nothing, kept) =
            (dump(graph, fresh_repo(), &["a.rs", "gone.rs"]).await, dump(graph, other, &["gone.rs"]).await);
        for _ in 0..2 {
            graph.forget_repository(repo).await.unwrap();
            assert_eq!(dump(graph, repo, &["a.rs", "gone.rs"]).await, nothing);
            assert_eq!(dump(graph, other, &["gone.rs"]).await, kept);
        }
        graph.build(&first(repo, &["a.rs"])).await.unwrap();
        assert_eq!(graph.files(repo).await.unwrap().len(), 1, "it may come back");
    })
    .await;
}
