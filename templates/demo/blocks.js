// Owns what Block Kit looks like on the page of the Slack in memory.
//
// Never makes markup of a text: every text of a message becomes a text node, every address is looked at before it is a link.

/** An element: attributes, listeners (`onclick`) and children; null and false are left out. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Shows blocks. `around` has `person(id)`, `channel(id)`, `me`, and `press(button, block, node)`. */
export function blocks(list, around) {
  return make("div", { class: "blocks" }, (list ?? []).map((block) => one(block, around)));
}

/** Text with Slack's markup. */
export function mrkdwn(text, around) {
  const parts = [];
  // Code is literal, so it is taken out first.
  for (const piece of text.split(/(```[\s\S]+?```|`[^`\n]+`)/)) {
    if (piece.startsWith("```") && piece.length > 6) parts.push(make("pre", {}, literal(piece.slice(3, -3).replace(/^\n/, ""))));
    else if (piece.startsWith("`") && piece.length > 2) parts.push(make("code", {}, literal(piece.slice(1, -1))));
    else parts.push(...quoted(piece, around));
  }
  return parts;
}

/** A picture of whoever wrote something: the first letter. */
export function face(name, kind) {
  return make("span", { class: `face ${kind}`, "aria-hidden": "true" }, (name || "?").slice(0, 1).toUpperCase());
}

/** What a filled dialog sends, by action_id, and what is missing, by block_id. */
export function collect(form, view) {
  const filled = {};
  const missing = {};
  for (const block of view.blocks ?? []) {
    if (block.type !== "input") continue;
    const { action_id: name, type, initial_value: initial } = block.element;
    const value = valueOf(form.querySelector(`[data-block="${CSS.escape(block.block_id)}"]`), type);
    if (value === null && !block.optional) missing[block.block_id] = "This is needed.";
    else if (type === "number_input" && value !== null && !Number.isFinite(Number(value.words))) missing[block.block_id] = "A number is needed.";
    // What was there and was taken away is told as well.
    else if (value !== null || initial) filled[name] = value ?? { words: "" };
  }
  return { filled, missing };
}

function valueOf(node, type) {
  if (!node) return null;
  const marked = [...node.querySelectorAll("input:checked")].map((input) => input.value);
  if (type === "radio_buttons") return marked.length ? { option: marked[0] } : null;
  if (type === "checkboxes") return marked.length ? { options: marked } : null;
  const written = node.querySelector("input, textarea, select").value;
  if (type === "static_select") return written ? { option: written } : null;
  return written ? { words: written } : null;
}

function one(block, around) {
  switch (block.type) {
    case "header":
      return make("h3", { class: "text" }, words(block.text, around));
    case "section":
      return make("div", { class: "section" },
        block.text && make("div", { class: "text" }, words(block.text, around)),
        block.fields && make("div", { class: "fields" }, block.fields.map((field) => make("div", { class: "text" }, words(field, around)))),
        block.accessory && element(block.accessory, block, around));
    case "context":
      return make("div", { class: "context" }, block.elements.map((part) => part.type === "image" ? make("span", {}, part.alt_text) : make("span", { class: "text" }, words(part, around))));
    case "actions":
      return make("div", { class: "actions" }, block.elements.map((part) => element(part, block, around)));
    case "rich_text":
      return make("div", { class: "rich" }, block.elements.map((part) => rich(part, around)));
    case "divider":
      return make("hr");
    case "input":
      return input(block, around);
    case "image":
      return make("p", { class: "soft" }, `Picture: ${block.alt_text}`);
    default:
      return make("p", { class: "soft" }, `(a block of type ${block.type})`);
  }
}

function words(object, around) {
  return object.type === "mrkdwn" ? mrkdwn(object.text, around) : object.text;
}

function rich(part, around) {
  switch (part.type) {
    case "rich_text_section":
      return make("div", { class: "text" }, trimmed(part.elements).map((leaf) => inline(leaf, around)));
    case "rich_text_quote":
      return make("blockquote", {}, part.elements.map((leaf) => inline(leaf, around)));
    case "rich_text_preformatted":
      return make("pre", { dir: "ltr" }, part.elements.map((leaf) => inline(leaf, around)));
    case "rich_text_list":
      return make(part.style === "ordered" ? "ol" : "ul", { class: part.style === "ordered" ? "list ordered" : "list" }, part.elements.map((item) => make("li", {}, rich(item, around))));
    default:
      return make("p", { class: "soft" }, `(${part.type})`);
  }
}

/** A section ends where it ends: a line break at its end is no empty line. */
function trimmed(elements) {
  const last = elements.at(-1);
  return last?.type === "text" && last.text.endsWith("\n") ? [...elements.slice(0, -1), { ...last, text: last.text.slice(0, -1) }] : elements;
}

function inline(leaf, around) {
  switch (leaf.type) {
    case "text":
      return styled(leaf.text, leaf.style ?? {});
    case "user":
      return mention(leaf.user_id, around);
    case "channel":
      return make("span", { class: "mention" }, `#${around.channel(leaf.channel_id)}`);
    case "usergroup":
      return make("span", { class: "mention" }, `@${leaf.usergroup_id}`);
    case "broadcast":
      return make("span", { class: "mention" }, `@${leaf.range}`);
    case "link":
      return link(leaf.url, leaf.text ?? leaf.url);
    case "emoji":
      return `:${leaf.name}:`;
    case "date":
      return when(leaf.timestamp, leaf.format, leaf.fallback ?? "");
    default:
      return `(${leaf.type})`;
  }
}

function styled(text, style) {
  let node = text;
  if (style.code) node = make("code", {}, node);
  if (style.bold) node = make("b", {}, node);
  if (style.italic) node = make("i", {}, node);
  if (style.strike) node = make("s", {}, node);
  return node;
}

function mention(id, around) {
  return make("span", { class: id === around.me ? "mention mine" : "mention" }, `@${around.person(id)}`);
}

function link(address, text) {
  // Only what a browser opens as a page; anything else stays a text.
  if (!/^https?:\/\//i.test(address)) return text;
  return make("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, text);
}

function element(part, block, around) {
  if (part.type === "button") {
    const button = make("button", { type: "button", class: `button ${part.style ?? ""}`, "aria-label": part.accessibility_label, "data-action": part.action_id }, part.text.text);
    button.addEventListener("click", () => around.press(part, block, button));
    return button;
  }
  return make("span", { class: "soft" }, `(${part.type})`);
}

let inputs = 0;

function input(block, around) {
  const { element: part } = block;
  const id = `input-${++inputs}`;
  const label = [block.label.text, block.optional && make("span", { class: "soft" }, " (optional)")];
  const remarks = [block.hint && make("p", { class: "hint", id: `${id}-hint` }, block.hint.text), make("p", { class: "wrong", role: "alert" })];
  const shared = { id, "aria-describedby": block.hint && `${id}-hint`, autofocus: part.focus_on_load };
  const choices = (kind, chosen) => make("fieldset", { class: "input", "data-block": block.block_id },
    make("legend", {}, label),
    part.options.map((option) => make("label", { class: "choice" },
      make("input", { type: kind, name: id, value: option.value, checked: chosen.some((one) => one.value === option.value) }),
      make("span", {}, words(option.text, around), option.description && make("span", { class: "hint" }, " ", option.description.text)))),
    remarks);
  switch (part.type) {
    case "radio_buttons":
      return choices("radio", part.initial_option ? [part.initial_option] : []);
    case "checkboxes":
      return choices("checkbox", part.initial_options ?? []);
    case "static_select":
      return field(block, label, remarks, id, make("select", shared, make("option", { value: "" }, part.placeholder?.text ?? "Choose …"),
        part.options.map((option) => make("option", { value: option.value, selected: option.value === part.initial_option?.value }, option.text.text))));
    case "plain_text_input":
      return field(block, label, remarks, id, part.multiline
        ? make("textarea", { ...shared, maxlength: part.max_length }, part.initial_value ?? "")
        : make("input", { ...shared, type: "text", maxlength: part.max_length, value: part.initial_value, placeholder: part.placeholder?.text }));
    case "number_input":
      return field(block, label, remarks, id, make("input", { ...shared, type: "text", inputmode: part.is_decimal_allowed ? "decimal" : "numeric", value: part.initial_value }));
    case "datepicker":
      return field(block, label, remarks, id, make("input", { ...shared, type: "date", value: part.initial_date }));
    default:
      return field(block, label, remarks, id, make("input", { ...shared, type: "text", value: part.initial_value }));
  }
}

function field(block, label, remarks, id, control) {
  return make("div", { class: "input", "data-block": block.block_id }, make("label", { for: id }, label), control, remarks);
}

/** Lines that begin with > are quotes. */
function quoted(text, around) {
  const out = [];
  for (const [index, line] of text.split("\n").entries()) {
    const quote = /^(&gt;|>) ?/.exec(line);
    if (quote) out.push(make("blockquote", {}, marked(line.slice(quote[0].length), around)));
    else out.push(index > 0 && out.at(-1)?.nodeName !== "BLOCKQUOTE" ? "\n" : null, ...marked(line, around));
  }
  return out.filter((part) => part !== null && part !== "");
}

/** What stands in <…>, and *bold*, _italic_ and ~strike~ around words. */
function marked(text, around) {
  return text.split(/(<[^<>\n]+>)/).flatMap((piece) => piece.startsWith("<") && piece.endsWith(">") ? [token(piece.slice(1, -1), around)] : emphasised(piece));
}

function emphasised(text) {
  return text.split(/((?<![\w*])\*[^*\n]+\*(?!\w)|(?<![\w_])_[^_\n]+_(?!\w)|(?<![\w~])~[^~\n]+~(?!\w))/).filter((piece) => piece !== "").map((piece) => {
    const tag = { "*": "b", _: "i", "~": "s" }[piece[0]];
    return tag && piece.length > 2 && piece.endsWith(piece[0]) ? make(tag, {}, literal(piece.slice(1, -1))) : literal(piece);
  });
}

function token(inside, around) {
  const [head, label] = inside.split(/\|(.*)/s);
  if (head.startsWith("@")) return mention(head.slice(1), around);
  if (head.startsWith("#")) return make("span", { class: "mention" }, `#${around.channel(head.slice(1))}`);
  if (head.startsWith("!date^")) {
    const [, seconds, format] = head.split("^");
    return when(Number(seconds), format, label ?? "");
  }
  if (head.startsWith("!subteam^")) return make("span", { class: "mention" }, label ? literal(label) : `@${head.slice(9)}`);
  if (head.startsWith("!")) return make("span", { class: "mention" }, `@${head.slice(1)}`);
  return link(literal(head), literal(label ?? head));
}

function literal(text) {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}

/** A moment in the reader's zone. */
function when(seconds, format, fallback) {
  const at = new Date(seconds * 1000);
  if (Number.isNaN(at.getTime())) return literal(fallback);
  const day = (options) => at.toLocaleDateString([], options);
  const short = day({ month: "short", day: "numeric", year: "numeric" });
  const long = day({ weekday: "long", month: "long", day: "numeric", year: "numeric" });
  const days = Math.round((new Date(at).setHours(0, 0, 0, 0) - new Date().setHours(0, 0, 0, 0)) / 86_400_000);
  const near = { "-1": "yesterday", 0: "today", 1: "tomorrow" }[days];
  const parts = {
    date_num: at.toISOString().slice(0, 10), date: day({ month: "long", day: "numeric", year: "numeric" }), date_short: short, date_long: long,
    date_pretty: near ?? short, date_short_pretty: near ?? short, date_long_pretty: near ?? long,
    time: clock(at), time_secs: at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" }),
  };
  return make("time", { datetime: at.toISOString(), title: literal(fallback) }, format.replace(/\{(\w+)\}/g, (whole, name) => parts[name] ?? whole));
}

/** Hours and minutes in the reader's zone. */
export function clock(at) {
  return at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}
