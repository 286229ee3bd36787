//! Owns FakeSlack's Web API: what each method checks, changes and answers.
//!
//! Never looks at HTTP beyond the arguments and the token; takes the time as an argument.

use super::blocks;
use super::model::{Channel, Ephemeral, HOOK_LIFE, HOOK_USES, Message, Model, TRIGGER_LIFE, View};
use crate::domain::time::Timestamp;
use serde_json::{Map, Value, json};

/// `{"ok":false,"error":…}`, with more members where Slack gives them.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) String, pub(super) Value);

type Answer = Result<Value, Refusal>;

fn no<T>(code: &str) -> Result<T, Refusal> {
    Err(Refusal(code.to_owned(), json!({})))
}

fn invalid<T>(code: &str, faults: &[String]) -> Result<T, Refusal> {
    Err(Refusal(code.to_owned(), json!({"errors": faults, "response_metadata": {"messages": faults}})))
}

/// Answers a call.
pub(super) fn call(model: &mut Model, method: &str, args: &Map<String, Value>, token: Option<&str>, now: Timestamp) -> Answer {
    let Some(token) = token else { return no("not_authed") };
    if method == "apps.connections.open" {
        return connection(model, token);
    }
    if token != model.token {
        return no("invalid_auth");
    }
    if let Some(error) = &model.token_error {
        return no(error);
    }
    let needed = match method {
        "chat.postMessage" | "chat.update" | "chat.delete" | "chat.postEphemeral" => Some("chat:write"),
        "users.info" | "bots.info" => Some("users:read"),
        "conversations.open" => Some("im:write"),
        "conversations.info" => Some(if is_private(model, args) { "groups:read" } else { "channels:read" }),
        _ => None,
    };
    if let Some(scope) = needed.filter(|scope| !model.scopes.contains(*scope)) {
        let provided = model.scopes.iter().cloned().collect::<Vec<_>>().join(",");
        return Err(Refusal("missing_scope".to_owned(), json!({"needed": scope, "provided": provided})));
    }
    match method {
        "auth.test" => Ok(json!({
            "url": "https://acme.slack.com/", "team": "Acme", "user": "countersign",
            "team_id": if model.org_wide { model.enterprise.clone() } else { Some(model.team.clone()) },
            "user_id": model.bot_user, "bot_id": model.bot, "enterprise_id": model.enterprise, "is_enterprise_install": model.org_wide,
        })),
        "bots.info" if text(args, "bot") == model.bot => {
            Ok(json!({"bot": {"id": model.bot, "app_id": model.app, "user_id": model.bot_user, "deleted": false}}))
        }
        "bots.info" => no("bot_not_found"),
        "views.publish" => publish(model, args),
        "api.test" => Ok(json!({"args": args})),
        "chat.postMessage" => post(model, args, now),
        "chat.update" => update(model, args),
        "chat.delete" => delete(model, args),
        "chat.postEphemeral" => ephemeral(model, args, now),
        "chat.getPermalink" => permalink(model, args),
        "conversations.info" => match visible(model, text(args, "channel")) {
            Some(channel) => {
                let mut info = channel.record.clone();
                info["is_member"] = json!(channel.members.contains(&model.bot_user));
                Ok(json!({"channel": info}))
            }
            None => no("channel_not_found"),
        },
        "conversations.open" => match model.conversation(text(args, "users")) {
            Some(id) => Ok(json!({"channel": {"id": id}})),
            None => no("user_not_found"),
        },
        "users.info" => match model.users.get(text(args, "user")) {
            Some(user) => {
                let mut user = user.clone();
                if !model.scopes.contains("users:read.email") {
                    user["profile"].as_object_mut().map(|profile| profile.remove("email"));
                }
                Ok(json!({"user": user}))
            }
            None => no("user_not_found"),
        },
        "views.open" => open(model, args, false, now),
        "views.push" => open(model, args, true, now),
        "views.update" => update_view(model, args),
        _ => no("unknown_method"),
    }
}

/// The app's own page for a person.
fn publish(model: &mut Model, args: &Map<String, Value>) -> Answer {
    let user = text(args, "user_id").to_owned();
    if !model.users.contains_key(&user) {
        return no("user_not_found");
    }
    let content = args.get("view").cloned().unwrap_or(Value::Null);
    let faults = blocks::home_faults(&content);
    if !faults.is_empty() {
        return invalid("invalid_arguments", &faults);
    }
    let id = format!("V{:08X}", model.serial());
    let hash = format!("h{:016x}", model.serial());
    let view = View { id: id.clone(), user: user.clone(), hash, content, root: id, previous: None };
    let shown = model.view_json(&view);
    model.homes.insert(user, view);
    Ok(json!({ "view": shown }))
}

/// An address for one connection of Socket Mode.
fn connection(model: &mut Model, token: &str) -> Answer {
    if token != model.app_token {
        return no(if token == model.token { "not_allowed_token_type" } else { "invalid_auth" });
    }
    let ticket = format!("{:032x}", model.serial());
    model.tickets.insert(ticket.clone());
    match &model.socket_address {
        Some(address) => Ok(json!({"url": format!("{address}/link/?ticket={ticket}&app_id={}", model.app)})),
        None => no("socket_mode_is_off"),
    }
}

/// A message to a `response_url`. Answers the HTTP status and body.
pub(super) fn hook(model: &mut Model, id: &str, body: &Value, now: Timestamp) -> (u16, String) {
    let Some(hook) = model.hooks.get_mut(id) else { return (404, "expired_url".to_owned()) };
    if now.as_millis() - hook.issued > HOOK_LIFE || hook.uses >= HOOK_USES {
        return (404, "used_url".to_owned());
    }
    hook.uses += 1;
    let (user, channel, message) = (hook.user.clone(), hook.channel.clone(), hook.message.clone());
    if !body["blocks"].is_null() && !blocks::message_faults(&body["blocks"]).is_empty() {
        return (400, "invalid_blocks".to_owned());
    }
    let words = body["text"].as_str().unwrap_or_default().to_owned();
    if body["replace_original"] == true {
        let shown = body.get("blocks").cloned().unwrap_or(Value::Null);
        if let Some(original) = message.and_then(|ts| find(model, &channel, &ts)) {
            original.text = words;
            original.blocks = shown;
        }
    } else if body["response_type"] == "in_channel" {
        let ts = model.ts(now);
        let message = Message { channel: channel.clone(), ts, thread_ts: None, text: words, blocks: body["blocks"].clone(), edits: 0 };
        model.channels.entry(channel).or_default().messages.push(message);
    } else {
        let ts = model.ts(now);
        model.ephemerals.push(Ephemeral { channel, user, ts, text: words, blocks: body["blocks"].clone() });
    }
    (200, "ok".to_owned())
}

fn post(model: &mut Model, args: &Map<String, Value>, now: Timestamp) -> Answer {
    let Some(id) = model.conversation(text(args, "channel")).filter(|id| visible(model, id).is_some()) else {
        return no("channel_not_found");
    };
    let public_scope = model.scopes.contains("chat:write.public");
    let bot = model.bot_user.clone();
    let paced = model.paced;
    let channel = model.channels.get_mut(&id).ok_or_else(|| Refusal("channel_not_found".to_owned(), json!({})))?;
    if channel.record["is_archived"] == true {
        return no("is_archived");
    }
    if channel.record["is_read_only"] == true {
        return no("restricted_action_read_only_channel");
    }
    if !channel.members.contains(&bot) && !public_scope {
        return no("not_in_channel");
    }
    let (words, shown) = content(args)?;
    if words.is_empty() && shown.is_null() {
        return no("no_text");
    }
    if paced && channel.last_post.is_some_and(|last| now.as_millis() - last < 1_000) {
        return no("ratelimited");
    }
    channel.last_post = Some(now.as_millis());
    let ts = model.ts(now);
    let message = Message {
        channel: id.clone(),
        ts: ts.clone(),
        thread_ts: args.get("thread_ts").and_then(Value::as_str).map(str::to_owned),
        text: words,
        blocks: shown,
        edits: 0,
    };
    let answer = json!({"channel": id, "ts": ts, "message": message_json(model, &message)});
    if let Some(channel) = model.channels.get_mut(&id) {
        channel.messages.push(message);
    }
    Ok(answer)
}

fn update(model: &mut Model, args: &Map<String, Value>) -> Answer {
    let (id, ts) = (text(args, "channel").to_owned(), text(args, "ts").to_owned());
    match visible(model, &id) {
        None => return no("channel_not_found"),
        Some(channel) if channel.record["is_archived"] == true => return no("is_archived"),
        Some(_) => {}
    }
    let (words, shown) = content(args)?;
    if words.is_empty() && shown.is_null() {
        return no("no_text");
    }
    let Some(message) = find(model, &id, &ts) else { return no("message_not_found") };
    // Text alone takes the blocks away.
    message.text.clone_from(&words);
    message.blocks = shown;
    message.edits += 1;
    let message = message.clone();
    Ok(json!({"channel": id, "ts": ts, "text": words, "message": message_json(model, &message)}))
}

fn delete(model: &mut Model, args: &Map<String, Value>) -> Answer {
    let (id, ts) = (text(args, "channel").to_owned(), text(args, "ts").to_owned());
    let Some(channel) = model.channels.get_mut(&id) else { return no("channel_not_found") };
    let before = channel.messages.len();
    channel.messages.retain(|message| message.ts != ts);
    if channel.messages.len() == before { no("message_not_found") } else { Ok(json!({"channel": id, "ts": ts})) }
}

fn ephemeral(model: &mut Model, args: &Map<String, Value>, now: Timestamp) -> Answer {
    let (id, user) = (text(args, "channel").to_owned(), text(args, "user").to_owned());
    let Some(channel) = visible(model, &id) else { return no("channel_not_found") };
    if channel.record["is_archived"] == true {
        return no("is_archived");
    }
    if !channel.members.contains(&model.bot_user) {
        return no("not_in_channel");
    }
    if !channel.members.contains(&user) {
        return no("user_not_in_channel");
    }
    let (words, shown) = content(args)?;
    if words.is_empty() && shown.is_null() {
        return no("no_text");
    }
    let ts = model.ts(now);
    model.ephemerals.push(Ephemeral { channel: id, user, ts: ts.clone(), text: words, blocks: shown });
    Ok(json!({ "message_ts": ts }))
}

fn permalink(model: &Model, args: &Map<String, Value>) -> Answer {
    let (channel, ts) = (text(args, "channel"), text(args, "message_ts"));
    match model.message(channel, ts) {
        Some(_) => {
            Ok(json!({"channel": channel, "permalink": format!("https://acme.slack.com/archives/{channel}/p{}", ts.replace('.', ""))}))
        }
        None => no("message_not_found"),
    }
}

fn open(model: &mut Model, args: &Map<String, Value>, push: bool, now: Timestamp) -> Answer {
    let Some(trigger) = model.triggers.get_mut(text(args, "trigger_id")) else { return no("invalid_trigger_id") };
    if now.as_millis() - trigger.issued > TRIGGER_LIFE {
        return no("expired_trigger_id");
    }
    if trigger.used {
        return no("exchanged_trigger_id");
    }
    let content = args.get("view").cloned().unwrap_or(Value::Null);
    let faults = blocks::modal_faults(&content);
    if !faults.is_empty() {
        return invalid("invalid_arguments", &faults);
    }
    let (user, from) = (trigger.user.clone(), trigger.view.clone());
    let stack = model.stacks.entry(user.clone()).or_default();
    if push && (from.is_none() || stack.is_empty()) {
        return no("invalid_trigger_id");
    }
    if push && stack.len() >= 3 {
        return no("push_limit_reached");
    }
    trigger.used = true;
    if !push {
        stack.clear();
    }
    let previous = stack.last().cloned();
    let root = stack.first().cloned();
    let id = format!("V{:08X}", model.serial());
    let view =
        View { id: id.clone(), user: user.clone(), hash: hash(model, now), content, root: root.unwrap_or_else(|| id.clone()), previous };
    model.stacks.entry(user).or_default().push(id.clone());
    let shown = model.view_json(&view);
    model.views.insert(id, view);
    Ok(json!({ "view": shown }))
}

fn update_view(model: &mut Model, args: &Map<String, Value>) -> Answer {
    let content = args.get("view").cloned().unwrap_or(Value::Null);
    let faults = blocks::modal_faults(&content);
    if !faults.is_empty() {
        return invalid("invalid_arguments", &faults);
    }
    let external = args.get("external_id").and_then(Value::as_str);
    let id = match external {
        Some(external) => model.views.values().find(|view| view.content["external_id"] == external).map(|view| view.id.clone()),
        None => Some(text(args, "view_id").to_owned()),
    };
    let Some(mut view) = id.and_then(|id| model.views.get(&id).cloned()) else { return no("not_found") };
    if args.get("hash").and_then(Value::as_str).is_some_and(|hash| hash != view.hash) {
        return no("hash_conflict");
    }
    replace(model, &mut view, content);
    Ok(json!({"view": model.view_json(&view)}))
}

/// Puts other content into an open dialog.
pub(super) fn replace(model: &mut Model, view: &mut View, content: Value) {
    view.content = content;
    view.hash = format!("h{:016x}", model.serial());
    model.views.insert(view.id.clone(), view.clone());
}

fn hash(model: &mut Model, now: Timestamp) -> String {
    format!("{}.{:08x}", now.as_seconds(), model.serial())
}

/// Text and blocks of a message, judged.
fn content(args: &Map<String, Value>) -> Result<(String, Value), Refusal> {
    let shown = args.get("blocks").cloned().unwrap_or(Value::Null);
    let words = text(args, "text").to_owned();
    if !shown.is_null() {
        let faults = blocks::message_faults(&shown);
        if !faults.is_empty() {
            return invalid("invalid_blocks", &faults);
        }
        if blocks::total(&shown) > blocks::TOTAL {
            return no("msg_blocks_too_long");
        }
    }
    if words.chars().count() > 40_000 {
        return no("msg_too_long");
    }
    Ok((words, shown))
}

fn message_json(model: &Model, message: &Message) -> Value {
    json!({
        "type": "message", "user": model.bot_user, "bot_id": model.bot, "app_id": model.app, "team": model.team,
        "ts": message.ts, "text": message.text, "blocks": if message.blocks.is_null() { json!([]) } else { message.blocks.clone() },
    })
}

fn find<'a>(model: &'a mut Model, channel: &str, ts: &str) -> Option<&'a mut Message> {
    model.channels.get_mut(channel)?.messages.iter_mut().find(|message| message.ts == ts)
}

/// The channel, unless the app cannot see it: a private one without the bot.
fn visible<'a>(model: &'a Model, id: &str) -> Option<&'a Channel> {
    model.channels.get(id).filter(|channel| channel.record["is_private"] != true || channel.members.contains(&model.bot_user))
}

fn is_private(model: &Model, args: &Map<String, Value>) -> bool {
    model.channels.get(text(args, "channel")).is_some_and(|channel| channel.record["is_private"] == true)
}

fn text<'a>(args: &'a Map<String, Value>, name: &str) -> &'a str {
    args.get(name).and_then(Value::as_str).unwrap_or_default()
}
