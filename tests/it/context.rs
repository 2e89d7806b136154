//! What a review tells from what the project knows: only what helps, and nothing of it decides.

use nectr::{
    domain::{InstallationId, RepoId, task::TaskKind},
    inbox::NewTask,
    sandbox::{Failure, Pr, Review},
};

use crate::support::{
    SHOP, T,
    graph::{But, pull},
    nectr, nectr_with,
};

const OLD: &str = "pub fn price() -> u32 {\n    3\n}\n";
const NEW: &str = "pub fn price() -> u32 {\n    4\n}\n";

/// Opens a pull request by `author` that adds `path`, and merges it once it is reviewed.
async fn merged(t: &T, author: &str, title: &str, path: &str, text: &str) -> Pr {
    let pr = t.github.open_pull(SHOP, |pr| pr.author(author).title(title).adds(path, text));
    t.settle().await;
    t.take_review(pr);
    t.github.merge(pr);
    t.settle().await;
    pr
}

/// The lines under "Good to know".
fn known(review: &Review) -> Vec<&str> {
    let section = review.body.split_once("Good to know:\n\n").map(|(_, rest)| rest);
    section.map(|rest| rest.lines().take_while(|line| line.starts_with("- ")).collect()).unwrap_or_default()
}

#[tokio::test]
async fn a_review_tells_who_knows_the_files_what_was_done_to_them_and_which_issue_is_meant() {
    nectr(async |t| {
        t.connected().await;
        t.settle().await;
        let issue = t.github.open_issue(SHOP, "octavia", "Prices are <wrong>");
        t.settle().await;
        let before = merged(t, "ada", "Add prices", "src/price.rs", OLD).await;

        let pr = t.open_pull(|pr| pr.body(&format!("Fixes #{issue}")).modifies("src/price.rs", OLD, NEW));
        t.settle().await;
        let review = t.take_review(pr);
        assert_eq!(
            known(&review),
            [
                format!("- Linked issue #{issue}: Prices are &lt;wrong&gt; (open)."),
                "- `ada` knows these files: lately merged changes to them.".to_owned(),
                format!("- Related work on the same files: `#{}` Add prices (merged).", before.number),
            ]
        );
        // The graph knew the issue: nobody was asked about it.
        assert_eq!(t.github.count("GET /repos/*/*/issues/*"), 0);
    })
    .await;
}

#[tokio::test]
async fn where_nothing_is_known_nothing_is_said() {
    nectr(async |t| {
        t.connected().await;
        t.settle().await;
        let pr = t.open_pull(|pr| pr.adds("src/new.rs", OLD));
        t.settle().await;
        let review = t.take_review(pr);
        assert!(!review.body.contains("Good to know"), "{}", review.body);
    })
    .await;
}

#[tokio::test]
async fn the_owners_are_those_of_the_default_branch_and_never_the_author() {
    nectr(async |t| {
        t.github.repo(SHOP).file(".github/CODEOWNERS", "*.rs @sam @acme/core\n/web/ @ada\n").file("src/price.rs", OLD);
        t.connected().await;
        t.settle().await;
        let pr = t.open_pull(|pr| {
            pr.modifies("src/price.rs", OLD, NEW).modifies(
                ".github/CODEOWNERS",
                "*.rs @sam @acme/core\n/web/ @ada\n",
                "* @mallory\n",
            )
        });
        t.settle().await;
        let review = t.take_review(pr);
        assert_eq!(known(&review), ["- `acme/core` owns these files."]);
    })
    .await;
}

#[tokio::test]
async fn owners_from_a_long_file_count_and_stay_when_it_cannot_be_read_again() {
    nectr(async |t| {
        let owners = format!("{}*.rs @acme/core\n", "# words\n".repeat(80_000));
        t.github.repo(SHOP).file(".github/CODEOWNERS", &owners).file("src/price.rs", OLD);
        let octavia = t.connected().await;
        t.settle().await;
        let pr = t.open_pull(|pr| pr.modifies("src/price.rs", OLD, NEW));
        t.settle().await;
        assert_eq!(known(&t.take_review(pr)), ["- `acme/core` owns these files."]);

        let contents = "GET /repos/*/*/contents/*/*";
        t.github.fail_times(9, contents, Failure::Status(500, String::new()));
        t.app.inbox.enqueue(scan_of_the_shop(t).await).await.unwrap();
        t.work().await;
        t.github.recover();
        let profile = octavia.see("/api/v1/repos/acme/shop/profile").await;
        assert_eq!(profile["troubles"][1], ".github/CODEOWNERS: could not be read", "{profile}");
        let pr = t.open_pull(|pr| pr.adds("src/tax.rs", NEW));
        t.settle().await;
        assert_eq!(known(&t.take_review(pr)), ["- `acme/core` owns these files."]);
    })
    .await;
}

async fn scan_of_the_shop(t: &T) -> NewTask {
    let repo = t.app.store.connected_repository(RepoId(t.github.repo_id(SHOP))).await.unwrap().unwrap();
    let key = t.app.task_key(TaskKind::Scan, repo.id);
    let (kind, installation, payload) = (TaskKind::Scan, InstallationId::OPERATOR, serde_json::json!({}));
    NewTask { kind, key, installation, repo, number: None, payload }
}

#[tokio::test]
async fn an_open_pull_request_over_the_same_lines_is_pointed_out_without_disturbing_it() {
    nectr(async |t| {
        let long: String = (0..100).map(|n| format!("line {n}\n")).collect();
        t.github.repo(SHOP).file("src/long.rs", &long);
        t.connected().await;
        t.settle().await;
        let near = t.github.open_pull(SHOP, |pr| {
            pr.author("ada").title("Near @everyone").modifies(
                "src/long.rs",
                &long,
                &long.replace("line 50\n", "fifty\n"),
            )
        });
        let far = t.github.open_pull(SHOP, |pr| {
            pr.author("ada").title("Far").modifies("src/long.rs", &long, &long.replace("line 90\n", "ninety\n"))
        });
        t.settle().await;
        t.take_review(near);
        t.take_review(far);

        let pr = t.open_pull(|pr| pr.modifies("src/long.rs", &long, &long.replace("line 55\n", "fifty-five\n")));
        t.settle().await;
        let review = t.take_review(pr);
        assert_eq!(
            known(&review),
            [
                format!(
                    "- `#{}` by `ada` is open and changes the same lines of `src/long.rs`: Near @\u{200b}everyone.",
                    near.number
                ),
                format!("- Related work on the same files: `#{}` Far (open).", far.number),
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn an_issue_from_before_is_asked_for_once_and_a_missing_one_is_not_mentioned() {
    // Without a graph nothing is remembered, so GitHub is asked.
    nectr_with(&[("GRAPH", "off")], async |t| {
        t.connected().await;
        let issue = t.github.open_issue(SHOP, "octavia", "Prices are wrong");
        t.settle().await;
        let pr = t.open_pull(|pr| pr.body(&format!("Fixes #{issue}, fixes #4711")).adds("src/price.rs", OLD));
        t.github.forget_calls();
        t.settle().await;
        assert_eq!(known(&t.take_review(pr)), [format!("- Linked issue #{issue}: Prices are wrong (open).")]);
        assert_eq!(t.github.count("POST /graphql"), 1);
    })
    .await;
}

#[tokio::test]
async fn a_review_is_posted_though_nobody_tells_about_its_issue() {
    nectr_with(&[("GRAPH", "off")], async |t| {
        t.connected().await;
        t.settle().await;
        let pr = t.open_pull(|pr| pr.body("Fixes #12").adds("src/price.rs", OLD));
        t.github.fail_times(9, "POST /graphql", Failure::Status(502, String::new()));
        t.settle().await;
        assert!(known(&t.take_review(pr)).is_empty());
    })
    .await;
}

#[tokio::test]
async fn files_that_always_change_together_are_one_line_and_no_verdict() {
    nectr(async |t| {
        t.github.repo(SHOP).file("src/a.rs", OLD).file("src/b.rs", OLD);
        t.connected().await;
        t.settle().await;
        let repo = RepoId(t.github.repo_id(SHOP));
        let graph = t.app.graph.as_ref().unwrap().ready().await.unwrap();
        // b.rs is there, changed with a.rs ten times, and nobody else changed either of them among sixty.
        let together = (100..110).map(|number| pull(number).touching(&["src/a.rs", "src/b.rs"]));
        let others = (110..160).map(|number| pull(number).touching(&["src/c.rs"]));
        graph.learn_pulls(repo, &together.chain(others).collect::<Vec<_>>()).await.unwrap();
        let pr = t.open_pull(|pr| pr.modifies("src/a.rs", OLD, NEW));
        t.settle().await;
        let review = t.take_review(pr);
        assert!(
            known(&review)
                .iter()
                .any(|line| line.starts_with("- Usually changed together: `src/b.rs` with `src/a.rs`"))
        );
        assert!(review.body.starts_with("**No problems found.**"), "{}", review.body);
    })
    .await;
}
