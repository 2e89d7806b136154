//! Issues: opened, changed, gone, and closed by what is merged.

use serde_json::{Value, json};

use super::Acme;

impl Acme {
    /// What is queued: event, action and payload.
    fn queued(&self) -> Vec<(String, Value)> {
        let deliveries = self.github.drop_deliveries().into_iter();
        deliveries.map(|d| (format!("{}.{}", d.event, d.action.clone().unwrap_or_default()), d.payload())).collect()
    }
}

#[tokio::test]
async fn everything_that_happens_to_an_issue_is_announced() {
    let acme = Acme::new().await;
    acme.github.repo("acme/shop").hook("http://127.0.0.1:1/", None);
    let number = acme.github.open_issue("acme/shop", "sam", "It rattles");
    acme.github.edit_issue("acme/shop", number, "It squeaks");
    acme.github.edit_issue_body("acme/shop", number, "Loudly.");
    acme.github.label_issue("acme/shop", number, "bug");
    acme.github.unlabel_issue("acme/shop", number, "bug");
    acme.github.close_issue("acme/shop", number);
    acme.github.reopen_issue("acme/shop", number);
    acme.github.delete_issue("acme/shop", number);
    let queued = acme.queued();
    let names: Vec<_> = queued.iter().map(|(name, _)| name.trim_start_matches("issues.")).collect();
    assert_eq!(names, ["opened", "edited", "edited", "labeled", "unlabeled", "closed", "reopened", "deleted"]);
    assert_eq!(queued[1].1["changes"], json!({"title": {"from": "It rattles"}}));
    assert_eq!(queued[3].1["label"]["name"], "bug");
    assert_eq!(
        (&queued[3].1["issue"]["labels"][0]["name"], &queued[4].1["issue"]["labels"]),
        (&json!("bug"), &json!([]))
    );
    assert_eq!((&queued[5].1["issue"]["state"], &queued[6].1["issue"]["state"]), (&json!("closed"), &json!("open")));
    assert_eq!(queued[7].1["issue"]["number"], number, "what is deleted is shown a last time");
    let stamps: Vec<_> = queued.iter().map(|(_, payload)| payload["issue"]["updated_at"].as_str().unwrap()).collect();
    assert!(stamps.is_sorted_by(|a, b| a < b), "{stamps:?}");

    let path = format!("/repos/acme/shop/issues/{number}");
    let gone = acme.get("octavia", &path).await;
    assert_eq!((gone.status, &gone.json()["message"]), (410, &json!("This issue was deleted")));
}

#[tokio::test]
async fn a_transferred_issue_is_announced_on_both_sides_and_its_old_address_leads_to_the_new_one() {
    let acme = Acme::new().await;
    acme.github.repo("acme/shop").hook("http://127.0.0.1:1/shop", None);
    acme.github.repo("acme/depot").private().admin("octavia").hook("http://127.0.0.1:1/depot", None);
    let number = acme.github.open_issue("acme/shop", "sam", "Too few apples");
    acme.queued();
    let new = acme.github.transfer_issue("acme/shop", number, "acme/depot");
    let queued = acme.queued();
    assert_eq!(queued[0].0, "issues.transferred");
    let changes = &queued[0].1["changes"];
    assert_eq!(
        (&changes["new_issue"]["number"], &changes["new_repository"]["full_name"]),
        (&json!(new), &json!("acme/depot"))
    );
    assert_eq!(
        (queued[1].0.as_str(), &queued[1].1["repository"]["full_name"]),
        ("issues.opened", &json!("acme/depot"))
    );

    let path = format!("/repos/acme/shop/issues/{number}");
    let moved = acme.get("octavia", &path).await;
    let there = format!("{}/repositories/{}/issues/{new}", acme.github.api_url(), acme.github.repo_id("acme/depot"));
    assert_eq!((moved.status, moved.header("location")), (301, Some(there.as_str())));
    let there = acme.get("octavia", there.strip_prefix(&acme.github.api_url()).unwrap()).await;
    assert_eq!(there.json()["title"], "Too few apples");
    assert_eq!(acme.get("sam", &path).await.status, 404, "sam may not see the depot");
}

#[tokio::test]
async fn a_merge_brings_the_changes_to_the_branch_as_it_is_by_now_and_closes_what_it_fixes() {
    let acme = Acme::new().await;
    let (bug, other) =
        (acme.github.open_issue("acme/shop", "sam", "a"), acme.github.open_issue("acme/shop", "sam", "b"));
    let body = format!("Fixes: #{bug}, see #{other}. Closes acme/elsewhere#{other}.");
    let first = acme.github.open_pull("acme/shop", |pr| pr.adds("first.rs", "1\n").body(&body));
    let second = acme.github.open_pull("acme/shop", |pr| pr.adds("second.rs", "2\n"));
    let aside = acme.github.open_pull("acme/shop", |pr| pr.base("next").body(&format!("Fixes #{other}")));
    acme.github.repo("acme/shop").hook("http://127.0.0.1:1/", None);
    acme.github.push_to_default("acme/shop", "mo", |files| files.adds("direct.rs", "0\n"));
    for pr in [first, second, aside] {
        acme.github.merge(pr);
    }
    let names: Vec<_> = acme.queued().into_iter().map(|(name, _)| name).collect();
    let closed = "pull_request.closed";
    assert_eq!(names, [closed, "issues.closed", closed, closed], "only what goes to the default branch closes issues");
    for file in ["src/lib.rs", "first.rs", "second.rs", "direct.rs"] {
        assert_eq!(acme.get("octavia", &format!("/repos/acme/shop/contents/{file}")).await.status, 200, "{file}");
    }
    let state = async |number: i64| {
        acme.get("octavia", &format!("/repos/acme/shop/issues/{number}")).await.json()["state"].clone()
    };
    assert_eq!((state(bug).await, state(other).await), (json!("closed"), json!("open")));
    let people = acme.get("octavia", "/repos/acme/shop/contributors?per_page=100").await.json();
    let people: Vec<_> = people.as_array().unwrap().iter().map(|who| (&who["login"], &who["contributions"])).collect();
    assert_eq!(people, [(&json!("sam"), &json!(2)), (&json!("mo"), &json!(1))]);
    assert_eq!(acme.github.unknown_calls(), [""; 0]);
}
