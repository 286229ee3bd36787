// Owns the page of the Slack in memory: who you are, what that person sees, and what they do.
//
// Never knows more than Slack would show that person: everything comes from `state`, asked again as soon as it changes.

import { blocks, clock, collect, face, make, mrkdwn } from "./blocks.js";

const at = (id) => document.getElementById(id);
/** What is looked at; stands in the address, so that a reload shows the same. */
const here = { me: null, room: null, thread: null };
/** The workspace as it was told last. */
let world = { people: [], channels: [], told: [], dialogs: [] };
/** The newest `ts` that each person saw in each room; what was put away. */
const read = {};
const away = new Set();
/** The room that is the app's own page. */
const HOME = "home";
/** Who opened it last. */
let opened = null;
let asking = null;
let toasting = 0;

const around = {
  get me() { return here.me; },
  person: (id) => world.people.find((person) => person.id === id)?.name ?? id,
  channel: (id) => world.channels.find((channel) => channel.id === id)?.name ?? id,
};

// ------------------------------------------------------------------ the server

/** Asks for the workspace until the page is closed; a change of person asks anew. */
async function follow() {
  let seen = null;
  for (;;) {
    asking = new AbortController();
    const asked = here.me;
    const query = new URLSearchParams();
    if (asked) query.set("me", asked);
    if (seen !== null) query.set("seen", seen);
    try {
      const answer = await fetch(`state?${query}`, { signal: asking.signal });
      if (!answer.ok) throw new Error(answer.status);
      const told = await answer.json();
      if (here.me !== asked) { seen = null; continue; }
      seen = told.changes;
      world = told;
      settle();
      show();
    } catch (error) {
      seen = null;
      if (error.name === "AbortError") continue;
      say("The demo does not answer. Is it still running?");
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
}

/** Sends what the person does; the app's answer, or null when Slack would show that it failed. */
async function send(what, body) {
  try {
    const answer = await fetch(what, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ me: here.me, ...body }) });
    const told = answer.status === 204 ? {} : await answer.json();
    if (told.problem) say(told.problem);
    else if (told.status && told.status !== 200) say(`Countersign did not accept that (${told.status}).`);
    else return told;
  } catch {
    say("The demo does not answer. Is it still running?");
  }
  return null;
}

function say(text) {
  at("toast").textContent = text;
  at("toast").hidden = false;
  clearTimeout(toasting);
  toasting = setTimeout(() => { at("toast").hidden = true; }, 6000);
}

// ------------------------------------------------------------------ where we are

/** `#U0BOB/C0DATA/1795174800.000012`: who, where, which thread. */
function arrive() {
  const [me, room, thread] = location.hash.slice(1).split("/").map(decodeURIComponent);
  const another = (me || null) !== here.me;
  Object.assign(here, { me: me || null, room: room || null, thread: thread || null });
  if (another) asking?.abort();
  else show();
}

function go(change) {
  const next = { ...here, ...change };
  location.hash = [next.me, next.room, next.thread].filter(Boolean).map(encodeURIComponent).join("/");
  drawer(false);
}

/** Somebody, somewhere: the first person and channel where the address names none that is there. */
function settle() {
  const me = world.people.some((person) => person.id === here.me) ? here.me : world.people[0]?.id;
  const known = here.room === HOME || world.channels.some((channel) => channel.id === here.room);
  const room = known ? here.room : world.channels.find((channel) => !channel.direct)?.id;
  if (me === here.me && room === here.room) return;
  const hash = `#${[me, room].filter(Boolean).map(encodeURIComponent).join("/")}`;
  history.replaceState(null, "", hash);
  const another = me !== here.me;
  Object.assign(here, { me, room, thread: null });
  if (another) asking?.abort();
}

function drawer(open) {
  at("side").classList.toggle("open", open);
  at("burger").setAttribute("aria-expanded", String(open));
}

// ------------------------------------------------------------------ showing

function show() {
  const room = world.channels.find((channel) => channel.id === here.room);
  if (room) seen(here.me, room);
  showPeople();
  showRooms();
  if (room) showRoom(room);
  if (here.room === HOME) showHome();
  at("composer").hidden = !room || room.direct;
  showThread(room);
  showDialog();
}

function newest(room) {
  const told = world.told.filter((one) => one.channel === room.id);
  return [...room.messages, ...told].reduce((latest, one) => (one.ts > latest ? one.ts : latest), "");
}

function seen(person, room) {
  read[`${person}/${room.id}`] = newest(room);
}

function unread(room) {
  const last = read[`${here.me}/${room.id}`] ?? "";
  const told = world.told.filter((one) => one.channel === room.id);
  return [...room.messages, ...told].filter((one) => one.ts > last).length;
}

function hue(id) {
  const index = world.people.findIndex((person) => person.id === id);
  return index < 0 ? "" : `hue${index % 4}`;
}

function showPeople() {
  // Only what is new to somebody else earns a mark.
  at("people").replaceChildren(...world.people.map((person) => {
    const mine = person.id === here.me;
    if (mine) read[person.id] = person.last;
    const news = !mine && person.last > (read[person.id] ?? "");
    return make("button", {
      type: "button", class: "who", role: "radio", "aria-checked": String(mine), title: person.title, "data-person": person.id,
      onclick: () => go({ me: person.id, thread: here.thread, room: sharedRoom() }),
    }, face(person.name, hue(person.id)), make("span", {}, make("b", {}, person.name), person.title && make("span", { class: "title" }, person.title)),
    news && make("span", { class: "dot" }, make("span", { class: "away" }, "has something new")));
  }));
}

/** A direct message stays with its person. */
function sharedRoom() {
  return world.channels.find((channel) => channel.id === here.room)?.direct ? null : here.room;
}

function showRooms() {
  const row = (room, sign, label) => {
    const count = unread(room);
    return make("li", {}, make("button", {
      type: "button", class: count ? "room unread" : "room", "aria-current": room.id === here.room ? "true" : null, "data-room": room.id,
      onclick: () => go({ room: room.id, thread: null }),
    }, sign, make("span", { class: "label" }, label), count > 0 && make("span", { class: "count", "aria-label": `${count} new` }, String(count))));
  };
  const hash = () => make("span", { class: "sign", "aria-hidden": "true" }, "#");
  at("channels").replaceChildren(...world.channels.filter((room) => !room.direct).map((room) => row(room, hash(), room.name)));
  const home = make("li", {}, make("button", {
    type: "button", class: "room", "aria-current": here.room === HOME ? "true" : null, "data-room": HOME,
    onclick: () => { go({ room: HOME, thread: null }); send("home", {}); },
  }, face("C", "app"), make("span", { class: "label" }, "Home")));
  at("directs").replaceChildren(home, ...world.channels.filter((room) => room.direct).map((room) => row(room, face("C", "app"), "Messages")));
}

/** Shows a list of messages; what did not change keeps its node, so that nothing flickers and no focus is lost. */
function fill(list, wanted, place) {
  const stays = list.dataset.place === place && list.dataset.follows === "false";
  const before = new Map([...list.children].map((node) => [node.dataset.key, node]));
  const nodes = wanted.map(({ key, sign, build }) => {
    const old = before.get(key);
    if (old && old.dataset.sign === sign) return old;
    const node = build();
    Object.assign(node.dataset, { key, sign });
    return node;
  });
  const same = nodes.length === list.children.length && nodes.every((node, index) => node === list.children[index]);
  if (!same) list.replaceChildren(...nodes);
  if (!stays && (!same || list.dataset.place !== place)) list.scrollTop = list.scrollHeight;
  list.dataset.place = place;
}

function showRoom(room) {
  at("name").textContent = room.direct ? "Countersign" : `# ${room.name}`;
  at("topic").textContent = room.direct ? `Messages to ${around.person(here.me)} alone` : room.topic ?? "";
  document.title = `${room.direct ? "Countersign" : `#${room.name}`} · Slack in memory`;
  const roots = new Set(room.messages.map((message) => message.ts));
  const shown = room.messages.filter((message) => !message.thread || !roots.has(message.thread) || message.thread === message.ts)
    .map((message) => entry(room, message, room.messages.filter((reply) => reply.thread === message.ts && reply.ts !== message.ts)));
  const told = world.told.filter((one) => one.channel === room.id && !away.has(one.ts)).map(whisper);
  const all = [...shown, ...told].sort((one, other) => one.key.localeCompare(other.key));
  fill(at("messages"), all.length ? all : [quiet()], `${here.me}/${room.id}`);
}

/** The app's own page, which it publishes when somebody opens it. */
function showHome() {
  at("name").textContent = "Countersign";
  at("topic").textContent = `What the app shows ${around.person(here.me)} alone`;
  document.title = "Countersign · Slack in memory";
  const view = world.home;
  // Whoever comes to it as somebody else opens it as well.
  if (!view && opened !== here.me) {
    opened = here.me;
    send("home", {});
  }
  const shown = view && { key: "home", sign: view.id, build: () => make("li", { class: "home" }, blocks(view.content.blocks, { ...around, me: here.me, press: (button, block, node) => press({ view: view.id }, button, node) })) };
  fill(at("messages"), [shown ?? quiet()], `${here.me}/${HOME}`);
  at("messages").scrollTop = 0;
}

function showThread(room) {
  const root = room?.messages.find((message) => message.ts === here.thread);
  at("thread").hidden = !root;
  at("frame").classList.toggle("threaded", Boolean(root));
  if (!root) return;
  const replies = room.messages.filter((message) => message.thread === root.ts && message.ts !== root.ts);
  fill(at("replies"), [root, ...replies].map((message) => entry(room, message, [])), `${here.me}/${root.ts}`);
}

function entry(room, message, replies) {
  const last = replies.at(-1)?.ts ?? "";
  return {
    key: message.ts,
    sign: `${here.me} ${message.edits} ${replies.length} ${last} ${message.text}`,
    build: () => make("li", { class: "message" }, face("C", "app"), make("div", { class: "said" },
      from(message.ts, message.edits),
      body(message, (button, block, node) => press({ channel: room.id, ts: message.ts }, button, node)),
      replies.length > 0 && make("button", { type: "button", class: "replies", onclick: () => go({ thread: message.ts }) },
        face("C", "app"), `${replies.length} ${replies.length === 1 ? "reply" : "replies"}`, make("span", { class: "soft" }, clock(moment(last)))))),
  };
}

/** Something that only this person sees. */
function whisper(one) {
  return {
    key: one.ts,
    sign: here.me,
    build: () => make("li", { class: "message private" }, face("C", "app"), make("div", { class: "said" },
      make("p", { class: "note" }, "Only visible to you", make("button", { type: "button", class: "link", onclick: () => { away.add(one.ts); show(); } }, "Dismiss")),
      from(one.ts, 0), body(one, () => {}))),
  };
}

function quiet() {
  return { key: "0", sign: "", build: () => make("li", { class: "nothing soft" }, "Nothing here yet. When an agent asks for something that needs people, its card appears.") };
}

function from(ts, edits) {
  const when = moment(ts);
  return make("p", { class: "from" }, make("b", {}, "Countersign"), make("span", { class: "tag" }, "APP"),
    make("time", { datetime: when.toISOString(), title: when.toLocaleString() }, clock(when)), edits > 0 && make("span", { class: "note" }, "(edited)"));
}

function body(message, press) {
  return message.blocks?.length ? blocks(message.blocks, { ...around, me: here.me, press }) : make("div", { class: "text" }, mrkdwn(message.text, around));
}

function moment(ts) {
  return new Date(Number(ts.split(".")[0]) * 1000);
}

// ------------------------------------------------------------------ acting

async function press(where, button, node) {
  if (button.confirm && !(await sure(button.confirm))) return;
  node.setAttribute("aria-busy", "true");
  node.disabled = true;
  await send("tap", { ...where, action: button.action_id });
  node.removeAttribute("aria-busy");
  node.disabled = false;
}

function sure(asked) {
  const dialog = at("confirm");
  at("confirm-title").textContent = asked.title.text;
  at("confirm-text").replaceChildren(...(asked.text.type === "mrkdwn" ? mrkdwn(asked.text.text, around) : [asked.text.text]));
  at("confirm-no").textContent = asked.deny.text;
  at("confirm-yes").textContent = asked.confirm.text;
  at("confirm-yes").className = `button ${asked.style === "danger" ? "danger" : "primary"}`;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

/** The dialog on top of this person's screen. What was typed stays while the dialog stays the same. */
function showDialog() {
  const dialog = at("modal");
  const top = world.dialogs.at(-1);
  if (!top) {
    if (dialog.open) dialog.close();
    delete dialog.dataset.sign;
    return;
  }
  at("modal-back").hidden = world.dialogs.length < 2;
  const sign = `${here.me} ${top.id} ${top.hash}`;
  if (dialog.dataset.sign !== sign) {
    dialog.dataset.sign = sign;
    const view = top.content;
    at("modal-title").textContent = view.title.text;
    at("modal-cancel").textContent = view.close?.text ?? "Cancel";
    at("modal-submit").textContent = view.submit?.text ?? "";
    at("modal-submit").hidden = !view.submit;
    const typed = new Map([...at("modal-body").querySelectorAll("[data-block] :is(textarea, input[type=text])")].map((input) => [input.closest("[data-block]").dataset.block, input.value]));
    at("modal-body").replaceChildren(blocks(view.blocks, { ...around, me: here.me, press: (button, block, node) => press({ view: top.id }, button, node) }));
    // Slack keeps what was typed into an input that has the same name in the new content.
    for (const input of dialog.dataset.view === top.id ? at("modal-body").querySelectorAll("[data-block] :is(textarea, input[type=text])") : []) {
      input.value = typed.get(input.closest("[data-block]").dataset.block) ?? input.value;
    }
    dialog.dataset.view = top.id;
    at("modal-wrong").textContent = "";
    at("modal-body").scrollTop = 0;
  }
  if (!dialog.open) {
    dialog.showModal();
    at("modal-body").querySelector("[autofocus]")?.focus({ preventScroll: true });
  }
}

/** Says below each input what is wrong with it. */
function complain(errors) {
  for (const node of at("modal-body").querySelectorAll("[data-block]")) {
    const said = errors[node.dataset.block] ?? "";
    node.classList.toggle("bad", Boolean(said));
    node.querySelector(".wrong").textContent = said;
  }
  at("modal-body").querySelector(".bad input, .bad textarea, .bad select")?.focus();
}

async function submit(event) {
  event.preventDefault();
  const top = world.dialogs.at(-1);
  if (!top) return;
  const { filled, missing } = collect(at("modal-form"), top.content);
  complain(missing);
  if (Object.keys(missing).length) return;
  at("modal-submit").disabled = true;
  const answer = await send("submit", { view: top.id, filled });
  at("modal-submit").disabled = false;
  if (answer?.errors) complain(answer.errors);
  if (!answer) at("modal-wrong").textContent = "Countersign did not accept that. Try again.";
}

async function command(event) {
  event.preventDefault();
  const typed = at("command").value.trim();
  if (!typed) return;
  if (!/^\/countersign(\s|$)/.test(typed)) return say("Only /countersign does something here.");
  at("command").value = "";
  await send("command", { channel: here.room, words: typed.slice("/countersign".length).trim() });
}

at("composer").addEventListener("submit", command);
at("modal-form").addEventListener("submit", submit);
at("modal-cancel").addEventListener("click", () => send("close", { all: false }));
at("modal-back").addEventListener("click", () => send("close", { all: false }));
at("modal-close").addEventListener("click", () => send("close", { all: true }));
// Escape closes in Slack as well; the workspace has to know.
at("modal").addEventListener("cancel", (event) => { event.preventDefault(); send("close", { all: false }); });
for (const list of [at("messages"), at("replies")]) {
  list.addEventListener("scroll", () => { list.dataset.follows = String(list.scrollHeight - list.scrollTop - list.clientHeight < 48); });
  // Whoever turns the phone still sees what was said last.
  new ResizeObserver(() => { if (list.dataset.follows !== "false") list.scrollTop = list.scrollHeight; }).observe(list);
}
at("thread-close").addEventListener("click", () => go({ thread: null }));
at("burger").addEventListener("click", () => drawer(!at("side").classList.contains("open")));
at("talk").addEventListener("click", () => drawer(false));
addEventListener("hashchange", arrive);
arrive();
follow();
