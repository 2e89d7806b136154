// The story of ../run, told with what oapi-codegen makes.
package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/cookiejar"
	"os"
	"time"

	"nectr.test/client/nectr"
)

const owner, repo = "acme", "shop"

// wanted stops the story unless the server gave what was asked for.
func wanted[T any](what string, data *T, answer *http.Response, body []byte) T {
	if data == nil {
		log.Fatalf("%s: %s %s", what, answer.Status, body)
	}
	return *data
}

// refused stops the story unless the server said no in these words.
func refused(what string, problem *nectr.Error, detail string) {
	if problem == nil || problem.Detail != detail {
		log.Fatalf("%s: %v instead of %q", what, problem, detail)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func check(holds bool, what string, seen any) {
	if !holds {
		log.Fatalf("%s: %+v", what, seen)
	}
}

func as(header, value string) nectr.ClientOption {
	return nectr.WithRequestEditorFn(func(_ context.Context, request *http.Request) error {
		request.Header.Set(header, value)
		return nil
	})
}

// signIn goes a browser's way: nectr, GitHub's authorize page, and back with a cookie; then it gets a token.
func signIn(ctx context.Context, url string) string {
	browser := &http.Client{Jar: must(cookiejar.New(nil))}
	dashboard := must(browser.Get(url + "/auth/github"))
	check(dashboard.StatusCode == 200 && dashboard.Request.URL.Path == "/dashboard", "signing in", dashboard.Status)
	_ = dashboard.Body.Close()
	page := must(nectr.NewClientWithResponses(url, nectr.WithHTTPClient(browser), as("Origin", url)))
	answer := must(page.CreateTokenWithResponse(ctx))
	token := wanted("token", answer.JSON200, answer.HTTPResponse, answer.Body)
	check(token.TokenType == "bearer", "token type", token.TokenType)
	return token.AccessToken
}

func allDeliveries(ctx context.Context, client *nectr.ClientWithResponses) []nectr.Delivery {
	var found []nectr.Delivery
	limit := int32(1)
	for params := (nectr.ListDeliveriesParams{Limit: &limit}); ; {
		answer := must(client.ListDeliveriesWithResponse(ctx, &params))
		page := wanted("deliveries", answer.JSON200, answer.HTTPResponse, answer.Body)
		found = append(found, page.Items...)
		if page.NextCursor == nil {
			return found
		}
		params.Cursor = page.NextCursor
	}
}

func waitFor(ctx context.Context, client *nectr.ClientWithResponses, id int64) {
	patience := time.Now().Add(30 * time.Second)
	for {
		answer := must(client.GetDeliveryWithResponse(ctx, id))
		now := wanted("delivery", answer.JSON200, answer.HTTPResponse, answer.Body)
		if now.Status == nectr.DeliveryStatusCompleted {
			check(len(now.AttemptLog) >= 2 && now.Headers["x-github-event"] == "pull_request", "a delivery done twice", now)
			return
		}
		check(time.Now().Before(patience), "a delivery is not completed", now)
		time.Sleep(50 * time.Millisecond)
	}
}

// deliver does as a webhook made by hand does.
func deliver(ctx context.Context, client *nectr.ClientWithResponses, guid, secret string) *nectr.ReceiveDeliveryResponse {
	action := "opened"
	payload := must(json.Marshal(nectr.WebhookPayload{
		Action:     &action,
		Repository: &nectr.WebhookRepository{ID: 1, FullName: "acme/elsewhere"},
		PullRequest: &nectr.WebhookPullRequest{
			Number:    1,
			State:     "open",
			UpdatedAt: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC),
			Head:      nectr.WebhookBranch{Ref: "new", Sha: "1111111111111111111111111111111111111111"},
			Base:      nectr.WebhookBranch{Ref: "main", Sha: "2222222222222222222222222222222222222222"},
		},
	}))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(payload)
	params := nectr.ReceiveDeliveryParams{
		XGitHubEvent:     "pull_request",
		XGitHubDelivery:  guid,
		XHubSignature256: "sha256=" + hex.EncodeToString(mac.Sum(nil)),
	}
	return must(client.ReceiveDeliveryWithBodyWithResponse(ctx, &params, "application/json", bytes.NewReader(payload)))
}

func main() {
	url := os.Args[1]
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client := must(nectr.NewClientWithResponses(url, as("Authorization", "Bearer "+signIn(ctx, url))))
	known := must(client.GetMeWithResponse(ctx))
	me := wanted("me", known.JSON200, known.HTTPResponse, known.Body)
	check(me.GithubUsername == "octavia", "who I am", me)
	stranger := must(nectr.NewClientWithResponses(url))
	refused("a stranger", must(stranger.GetMeWithResponse(ctx)).JSON401, "Unauthorized")

	// What there is to see.
	listed := must(client.ListRepositoriesWithResponse(ctx))
	connected := 0
	for _, found := range wanted("repositories", listed.JSON200, listed.HTTPResponse, listed.Body) {
		if found.FullName == "acme/shop" && found.IsConnected {
			connected++
		}
	}
	check(connected == 1, "the connected repository", connected)
	deliveries := allDeliveries(ctx, client)
	guids := map[string]bool{}
	for _, delivery := range deliveries {
		guids[delivery.GUID] = true
	}
	check(len(guids) == 3, "different deliveries", guids)
	verdict := nectr.VerdictREQUESTCHANGES
	reviews := must(client.ListReviewsWithResponse(ctx, &nectr.ListReviewsParams{Verdict: &verdict}))
	review := wanted("reviews", reviews.JSON200, reviews.HTTPResponse, reviews.Body).Items[0]
	detail := must(client.GetReviewWithResponse(ctx, review.ID))
	whole := wanted("review", detail.JSON200, detail.HTTPResponse, detail.Body)
	blocking := 0
	for _, finding := range whole.Findings {
		if finding.Severity == nectr.SeverityBlock {
			blocking++
		}
	}
	check(blocking > 0 && int64(len(whole.Findings)) == whole.FindingsCount, "findings", whole.Findings)
	indexed := must(client.ListFilesWithResponse(ctx, owner, repo))
	files := wanted("files", indexed.JSON200, indexed.HTTPResponse, indexed.Body)
	check(int64(len(files.Files)) == files.Count, "files", files)
	scanned := must(client.GetProfileWithResponse(ctx, owner, repo))
	profile := wanted("profile", scanned.JSON200, scanned.HTTPResponse, scanned.Body)
	check(profile.Languages[0].Language == "Rust", "languages", profile.Languages)

	// A delivery is done again.
	requeued := must(client.RedeliverWithResponse(ctx, deliveries[0].ID))
	queued := wanted("redelivery", requeued.JSON202, requeued.HTTPResponse, requeued.Body)
	check(queued.DeliveryID == deliveries[0].ID, "the delivery queued", queued)
	waitFor(ctx, client, queued.DeliveryID)

	// The repository is disconnected, and connected again.
	left := must(client.DisconnectRepositoryWithResponse(ctx, owner, repo, nil))
	check(wanted("disconnect", left.JSON200, left.HTTPResponse, left.Body).Status == "disconnected", "disconnect", left)
	refused("a repository left", must(client.GetRepositoryWithResponse(ctx, owner, repo)).JSON404, "Repo not connected")
	joined := must(client.ConnectRepositoryWithResponse(ctx, owner, repo))
	check(wanted("connect", joined.JSON200, joined.HTTPResponse, joined.Body).Status == "connected", "connect", joined)
	refused("connecting twice", must(client.ConnectRepositoryWithResponse(ctx, owner, repo)).JSON400, "Repo already connected")

	// A delivery by a webhook made by hand: new, known, and not signed by whom it says.
	id := make([]byte, 16)
	must(rand.Read(id))
	guid := fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
	refused("a guessed secret", deliver(ctx, client, guid, "guessed").JSON401, "Invalid webhook signature")
	first := deliver(ctx, client, guid, "demo")
	received := wanted("delivery", first.JSON202, first.HTTPResponse, first.Body)
	check(received.Status == nectr.ReceiptStatusReceived, "the first receipt", received)
	second := deliver(ctx, client, guid, "demo")
	again := wanted("delivery", second.JSON200, second.HTTPResponse, second.Body)
	check(again.Status == nectr.ReceiptStatusDuplicate && *again.DeliveryID == *received.DeliveryID, "the second receipt", again)

	out := must(client.LogOutWithResponse(ctx))
	check(wanted("sign out", out.JSON200, out.HTTPResponse, out.Body).Message == "Logged out", "sign out", out)
	refused("signed out", must(client.GetMeWithResponse(ctx)).JSON401, "Unauthorized")
	fmt.Printf("ok   Go: %s, %d deliveries, %d findings\n", me.GithubUsername, len(deliveries), whole.FindingsCount)
}
