//! Hostile words in every field of a request: nothing becomes markup, nothing secret leaves, and what decides can be read.

use super::{asked, buttons, card_when, dialog, shown};
use crate::support::app::{CHANNEL, TestApp, export};
use crate::support::db::both_databases;
use crate::support::slack::person::Filled;
use serde_json::{Value, json};

const BAD: &str = "<!channel> <!here> <@U0BOB> <!subteam^S1> <https://evil.example.com|Approve> *Approved* _y_ ~z~ `x` :white_check_mark: &lt;!channel&gt; \u{202e}lanigiro\u{202c}\u{200b}\u{2066}z\u{2069}";

/// Every text of the blocks with the element that it stands in.
fn texts(value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(object) => {
            if let (Some(kind), Some(text)) = (object.get("type").and_then(Value::as_str), object.get("text").and_then(Value::as_str)) {
                if kind == "plain_text" {
                    assert_eq!(object.get("emoji"), Some(&json!(false)), "{text}");
                }
                found.push((kind.to_owned(), text.to_owned()));
            }
            object.values().for_each(|value| texts(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| texts(value, found)),
        _ => {}
    }
}

/// Nothing that a caller or reviewer wrote is markup here.
fn is_literal(blocks: &Value) {
    let mut found = Vec::new();
    texts(blocks, &mut found);
    assert!(found.iter().any(|(kind, text)| kind == "text" && text.contains("<!channel>")), "the words are there, literally");
    for (kind, text) in found {
        assert!(matches!(kind.as_str(), "text" | "plain_text" | "mrkdwn"), "{kind}: {text}");
        assert!(!text.contains(['\u{202e}', '\u{202c}', '\u{200b}', '\u{2066}', '\u{2069}']), "{text:?}");
        if kind == "mrkdwn" {
            let ours = ["*Expires* <!date^", "*Approved* <!date^", "*Denied* <!date^"];
            assert!(ours.iter().any(|begin| text.starts_with(begin)) && !text.contains("channel") && !text.contains("evil"), "{text}");
            assert!(text.matches('<').count() <= 2, "{text}");
        }
    }
    let written = blocks.to_string();
    for element in ["\"link\"", "\"user\"", "\"usergroup\"", "\"broadcast\"", "\"emoji\",", "\"channel\"", "\"url\":"] {
        assert!(!written.contains(element), "{element} in {written}");
    }
}

fn hostile() -> Value {
    let name = "<!channel> <@U0BOB> *Approved* :white_check_mark:";
    json!({
        "action": "db.export",
        "resource": {"type": "table", "id": name, "environment": "prod", "note": BAD, BAD: BAD},
        "parameters": {"query": BAD, BAD: [BAD], "fence": "```\nDenied by nobody\n```"},
        "summary": "<!channel> <https://evil.example.com|Approve> *Approved* :white_check_mark:",
        "justification": BAD,
        "context": {"source": BAD, "data_scope": BAD, "more": BAD, BAD: 1},
        "links": [{"title": name, "url": "https://evil.example.com/<!here>|x"}],
        "deny_options": [{"name": "use_staging", "title": name}]
    })
}

both_databases! {
    async fn hostile_words_in_every_field_stay_words(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let answer = app.client("agent").post("/v1/requests", &hostile()).await;
        let ask = if answer.status == 201 { answer.body } else { panic!("{:#}", answer.body) };
        let card = super::card(&app, &ask).await;
        is_literal(&card.blocks);
        assert!(!card.text.contains(['<', '>', '*', '`']) && !card.text.contains(":white"), "{}", card.text);
        assert!(shown(&card).contains("Caution"), "hidden characters are pointed out: {}", shown(&card));
        let bob = app.slack.user("U0BOB");
        bob.taps(&card, "cs.details").await;
        let details = dialog(&app, "U0BOB").await;
        is_literal(&details.content["blocks"]);
        // A reviewer's words are as foreign as a caller's.
        let comment = Filled::Words("<!channel> <@U0BOB> *looks* :ok: \u{202e}good".to_owned());
        bob.submits(&details, &[("cs.words", comment)]).await;
        let done = card_when(&app, &ask, "approved", |card| buttons(card).is_empty()).await;
        is_literal(&done.blocks);
        for call in app.slack.calls("chat.postMessage").into_iter().chain(app.slack.calls("chat.update")) {
            assert!(!call.args.contains_key("link_names") && !call.args.contains_key("parse"));
        }
        app.finish().await;
    }

    async fn a_sentence_with_foreign_words_is_told_as_plain_text(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (_, card) = asked(&app, &hostile()).await;
        app.slack.user("U0BOB").taps(&card, "cs.deny").await;
        let view = dialog(&app, "U0BOB").await;
        let mut found = Vec::new();
        texts(&view.content["blocks"], &mut found);
        assert!(found.iter().all(|(kind, _)| kind != "mrkdwn"));
        assert!(found.iter().any(|(kind, text)| kind == "plain_text" && text.contains("<!channel>")), "the option, literally");
        app.finish().await;
    }

    async fn thirty_thousand_lines_are_cut_visibly_and_not_approved_unseen(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let mut ask = export();
        ask["parameters"] = json!({ "rows": vec![7; 30_000] });
        let (request, card) = asked(&app, &ask).await;
        assert_eq!(buttons(&card), ["cs.deny", "cs.details"], "more than Slack can show is not approved in Slack");
        assert!(shown(&card).contains("more lines, open Details"));
        let bob = app.slack.user("U0BOB");
        bob.taps(&card, "cs.details").await;
        let details = dialog(&app, "U0BOB").await;
        assert_eq!(details.content["callback_id"], "cs.comment");
        assert!(details.content.to_string().contains("too long to be shown in Slack"));
        assert_eq!(app.client("agent").reads(&request["id"]).await["status"], "pending");
        app.finish().await;
    }

    async fn secrets_leave_neither_to_chat_nor_to_the_log_nor_to_other_readers(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let secrets = ["hunter2-not-for-eyes", "s3cr3t-of-the-db", "ghp_0123456789abcdefghijklmnopqrstuvwxyz", "rosebud-the-sledge"];
        let mut ask = export();
        ask["parameters"] = json!({
            "rows": 5, "password": secrets[0], "dsn": format!("postgres://app:{}@db.internal/prod", secrets[1]),
            "note": format!("use {} please", secrets[2]), "codeword": secrets[3],
        });
        ask["sensitive"] = json!(["/codeword"]);
        ask["resource"]["api_key"] = json!(secrets[0]);
        ask["justification"] = json!(format!("needs {}", secrets[2]));
        ask["context"]["authorization"] = json!(secrets[0]);
        let (request, card) = asked(&app, &ask).await;
        assert!(shown(&card).contains("values masked"), "{}", shown(&card));
        let bob = app.slack.user("U0BOB");
        bob.taps(&card, "cs.details").await;
        let details = dialog(&app, "U0BOB").await;
        bob.submits(&details, &[("cs.words", Filled::Words(format!("seen {}", secrets[2])))]).await;
        let done = card_when(&app, &request, "approved", |card| buttons(card).is_empty()).await;
        assert_eq!(app.slack.messages(CHANNEL).len(), 1);
        let mut seen = vec![done.blocks.to_string(), details.content.to_string()];
        for method in ["chat.postMessage", "chat.update", "views.open", "chat.postEphemeral"] {
            seen.extend(app.slack.calls(method).into_iter().map(|call| Value::Object(call.args).to_string()));
        }
        seen.extend(app.events().await.iter().map(ToString::to_string));
        let path = format!("/v1/requests/{}", request["id"].as_str().unwrap());
        seen.push(app.client("reader").get(&path).await.expect(200).body.to_string());
        seen.push(app.client("reader").get("/v1/requests").await.expect(200).body.to_string());
        for email in ["bob@example.com", "alice@example.com", "frank@example.com"] {
            seen.push(app.person(email).await.get(&path).await.expect(200).body.to_string());
        }
        for (place, text) in seen.iter().enumerate() {
            for secret in secrets {
                assert!(!text.contains(secret), "{secret} stands in {place}: {text}");
            }
        }
        // Whoever asked keeps what they asked with.
        assert_eq!(app.client("agent").reads(&request["id"]).await["parameters"]["password"], secrets[0]);
        app.finish().await;
    }
}
