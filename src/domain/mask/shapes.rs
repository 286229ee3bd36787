//! Owns the shapes of secrets within text: tokens of known makers, credentials in URLs and command lines, keys in
//! PEM, numbers of cards and accounts. Each is written from its maker's public description of the format.
//!
//! Never matches by chance alone: what has a checksum is checked, and what is merely long and random is left to
//! the names (`names`), because commit hashes and ids are long and random too.

use super::MASK;
use super::names::is_secret_name;
use regex::{Captures, Regex, RegexSet};
use serde_json::Value;
use std::ops::Range;
use std::sync::LazyLock;

/// A further condition on a match; gives the part to hide.
type Check = fn(&str, &Captures<'_>) -> Option<Range<usize>>;

/// One shape. The part to hide is the group `s`, or the whole match without such a group.
struct Shape {
    pattern: &'static str,
    check: Check,
}

const fn shape(pattern: &'static str) -> Shape {
    Shape { pattern, check: secret_part }
}

const fn checked(pattern: &'static str, check: Check) -> Shape {
    Shape { pattern, check }
}

/// `\b` stands for an ASCII word boundary here: a letter of another script before a token does not hide it.
const SHAPES: &[Shape] = &[
    // Credentials within other things.
    checked(r#"(?i)[a-z][a-z0-9+.-]*://(?P<s>[^\s/?#"'<>]+)@"#, url_userinfo),
    checked(r#"(?i)[a-z][a-z0-9+.-]*://(?P<s>[^\s:/?#@"'<>]*:[^\s@"'<>]{1,512})@"#, url_password_with_slash),
    checked(
        concat!(
            r#"(?P<k>[A-Za-z][A-Za-z0-9_.\-]{1,80})(?:\\*["'])?\s{0,3}(?:=>|:=|[:=])\s{0,3}"#,
            r#"(?:\\+"(?P<j>[^"\\\r\n]+)|"(?P<d>(?:[^"\\\r\n]|\\.)+)|\\*'(?P<q>[^'\r\n]+)|(?P<u>[^\s"'`,;&|<>\\]{1,200}))"#
        ),
        assignment,
    ),
    checked(r"<(?P<k>[A-Za-z][A-Za-z0-9_.:-]{1,80})>(?P<u>[^<>\s][^<>]*)</", element),
    checked(r#"(?i)--?(?P<k>[a-z][a-z0-9-]{1,40})\s+["']?(?P<u>[^\s"'-][^\s"']*)"#, flag),
    checked(r"(?i)\b(?:bearer|basic)\s+(?P<s>[a-z0-9+/=._~-]{8,})", has_digit_or_both_cases),
    shape(
        r#"(?i)\bauthorization["']?\s*[:=]\s*["']?(?:bearer|basic|token|digest|negotiate|apikey|splunk|aws4-hmac-sha256)\s+(?P<s>[^\s"',]+)"#,
    ),
    shape(r#"(?i)\b(?:set-)?cookie:\s*(?P<s>[^\r\n"']+)"#),
    shape(r"(?i)\b(?:identified\s+by|password)\s+'(?P<s>[^']+)'"),
    checked(r#"\bcurl\b[^\n]*?\s(?:-u|--user|-U|--proxy-user)[ =]?["']?[^\s:"']+:(?P<s>[^\s"']+)"#, secret_part),
    shape(r#"\b(?:mysql|mysqldump|mysqladmin|mariadb)\b[^\n|;]*?\s-p(?P<s>[^\s"']+)"#),
    shape(r#"\b(?:sshpass\s+-p|redis-cli\b[^\n|;]*?\s-a)\s*["']?(?P<s>[^\s"']+)"#),
    shape(r"[?&](?:sig|X-Amz-Signature|X-Amz-Security-Token|X-Goog-Signature)=(?P<s>[A-Za-z0-9%/+=_-]{16,})"),
    // Keys.
    shape(r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?P<s>.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z)"),
    shape(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){1,3}"),
    shape(r"AGE-SECRET-KEY-1[0-9A-Z]{50,}"),
    // Clouds.
    shape(r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}"),
    shape(r"AIza[0-9A-Za-z_-]{30,}"),
    shape(r"\bya29\.[0-9A-Za-z_-]{20,}"),
    shape(r"GOCSPX-[0-9A-Za-z_-]{20,}"),
    shape(r"\b1//0[0-9A-Za-z_-]{20,}"),
    shape(r"(?:AccountKey|SharedAccessKey)=(?P<s>[A-Za-z0-9+/=]{20,})"),
    shape(r"\b[A-Za-z0-9_~.-]{3}[78]Q~[A-Za-z0-9_~.-]{31,34}"),
    shape(r"\bdo[opr]_v1_[a-f0-9]{40,}"),
    shape(r"\bdapi[a-f0-9]{32}"),
    // Code hosts and registries.
    shape(r"gh[pousr]_[A-Za-z0-9]{20,}"),
    shape(r"github_pat_[A-Za-z0-9_]{20,}"),
    shape(r"gl(?:pat|ptt|dt|rt|rtr|cbt|ft|soat|imt|agent|oas|ffct)-[A-Za-z0-9_.-]{16,}"),
    shape(r"npm_[A-Za-z0-9]{30,}"),
    shape(r"pypi-[A-Za-z0-9_-]{50,}"),
    shape(r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}"),
    shape(r"\bATATT3[A-Za-z0-9_=-]{50,}"),
    shape(r"\bpul-[a-f0-9]{40}"),
    shape(r"\bhv[sbr]\.[A-Za-z0-9_-]{20,}"),
    shape(r"\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{40,}"),
    shape(r"\bdp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9_.]{30,}"),
    shape(r"\bpscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{30,}"),
    // Chat and mail.
    shape(r"xox[abceoprs]-[A-Za-z0-9.-]{8,}"),
    shape(r"xapp-[0-9]-[A-Za-z0-9-]{8,}"),
    shape(r"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<s>[A-Za-z0-9/_+-]{16,})"),
    shape(r#"webhook\.office\.com/webhookb2/(?P<s>[^\s"'<>]{16,})"#),
    shape(r"discord(?:app)?\.com/api/webhooks/[0-9]+/(?P<s>[A-Za-z0-9_-]{30,})"),
    shape(r"\b[MNO][A-Za-z0-9_-]{23,25}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}"),
    shape(r"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{32,}"),
    shape(r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    shape(r"\bSK[a-f0-9]{32}\b"),
    shape(r"\bkey-[a-f0-9]{32}\b"),
    shape(r"\b[a-f0-9]{32}-us[0-9]{1,2}\b"),
    // Models.
    checked(r"(?:\b|_)(?P<s>sk-[A-Za-z0-9_-]{20,200})", has_digit),
    shape(r"\b(?:gsk|hf|r8)_[A-Za-z0-9]{30,}"),
    shape(r"\b(?:xai|pplx)-[A-Za-z0-9]{40,}"),
    // Money and products.
    shape(r"\b[srp]k_(?:live|test)_[A-Za-z0-9]{10,}"),
    shape(r"whsec_[A-Za-z0-9+/=]{16,}"),
    shape(r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
    shape(r"\bsq0(?:atp|csp|idp)-[A-Za-z0-9_-]{20,}"),
    shape(r"\b(?:lin_(?:api|oauth)|ntn|secret)_[A-Za-z0-9]{32,}"),
    shape(r"\bNRAK-[A-Z0-9]{27}"),
    shape(r"\bgl(?:sa|c)_[A-Za-z0-9+/=_]{30,}"),
    shape(r"\bPMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    shape(r"\bcs_[a-z0-9]{4,16}_[A-Za-z0-9]{32,}"),
    // People and their money.
    checked(r"\b(?:[0-9]{4}[ -]?){3}[0-9]{4}\b|\b3[47][0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{5}\b|\b[2-6][0-9]{12,18}\b", card),
    checked(r"\b(?P<s>[0-9]{3}-[0-9]{2}-[0-9]{4})\b", social_security),
    checked(r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,38}", iban),
];

static SET: LazyLock<RegexSet> = LazyLock::new(build_set);
static REGEXES: LazyLock<Vec<Regex>> = LazyLock::new(build_regexes);

fn patterns() -> Vec<String> {
    SHAPES.iter().map(|shape| shape.pattern.replace(r"\b", r"(?-u:\b)")).collect()
}

#[expect(clippy::expect_used, reason = "the patterns are constants, compiled by every test of this module")]
fn build_set() -> RegexSet {
    RegexSet::new(patterns()).expect("constant patterns")
}

#[expect(clippy::expect_used, reason = "the patterns are constants, compiled by every test of this module")]
fn build_regexes() -> Vec<Regex> {
    patterns().iter().map(|pattern| Regex::new(pattern).expect("a constant pattern")).collect()
}

/// Replaces every secret in a text; the number counts the replaced parts.
pub(super) fn mask_shapes(text: &str) -> (String, usize) {
    let mut spans: Vec<Range<usize>> = Vec::new();
    for index in SET.matches(text) {
        let (regex, check) = (&REGEXES[index], SHAPES[index].check);
        let mut position = 0;
        while let Some(captures) = regex.captures_at(text, position) {
            let found = captures.get_match().range();
            let next = match check(text, &captures) {
                // Masked before: the text stays as it is.
                Some(span) if text[span.start..].starts_with(MASK) => found.end,
                Some(span) => {
                    let end = span.end.max(found.end);
                    spans.push(span);
                    end
                }
                // What was passed over may hold the real one: go on behind the name, or where the secret would begin.
                // Matches that a check may refuse are bounded or cannot overlap, so this stays linear.
                None => {
                    captures.name("k").map(|name| name.end()).or_else(|| captures.name("s").map(|part| part.start())).unwrap_or(found.start)
                }
            };
            position = if next <= found.start { next_char(text, found.start) } else { next };
        }
    }
    spans.sort_by_key(|span| (span.start, span.end));
    let (mut masked, mut end, mut count) = (String::with_capacity(text.len()), 0, 0);
    for span in spans {
        if count > 0 && span.start <= end {
            end = end.max(span.end);
            continue;
        }
        masked.push_str(&text[end..span.start]);
        masked.push_str(MASK);
        (end, count) = (span.end, count + 1);
    }
    masked.push_str(&text[end..]);
    (masked, count)
}

fn next_char(text: &str, position: usize) -> usize {
    position + text[position..].chars().next().map_or(1, char::len_utf8)
}

fn group(captures: &Captures<'_>, name: &str) -> Option<Range<usize>> {
    captures.name(name).map(|found| found.range())
}

#[expect(clippy::unnecessary_wraps, reason = "has the type of a check")]
fn secret_part(text: &str, captures: &Captures<'_>) -> Option<Range<usize>> {
    let span = group(captures, "s").unwrap_or_else(|| captures.get_match().range());
    // A full stop at the end is the sentence's.
    let length = text[span.clone()].trim_end_matches('.').len();
    Some(span.start..span.start + length)
}

fn has_digit(text: &str, captures: &Captures<'_>) -> Option<Range<usize>> {
    secret_part(text, captures).filter(|span| text[span.clone()].bytes().any(|b| b.is_ascii_digit()))
}

fn has_digit_or_both_cases(text: &str, captures: &Captures<'_>) -> Option<Range<usize>> {
    secret_part(text, captures).filter(|span| {
        let part = &text[span.clone()];
        let (upper, lower) = (part.bytes().skip(1).any(|b| b.is_ascii_uppercase()), part.bytes().any(|b| b.is_ascii_lowercase()));
        (upper && lower) || part.bytes().any(|b| b.is_ascii_digit())
    })
}

/// `user:password@` always, a lone user name only when it is as long as a token (`https://<token>@host`).
fn url_userinfo(text: &str, captures: &Captures<'_>) -> Option<Range<usize>> {
    group(captures, "s").filter(|span| text[span.clone()].contains(':') || span.len() >= 16)
}

/// Passwords with an unescaped slash; a port before a path with an `@` in it is none.
fn url_password_with_slash(text: &str, captures: &Captures<'_>) -> Option<Range<usize>> {
    group(captures, "s").filter(|span| {
        let password = text[span.clone()].split_once(':').map_or("", |(_, password)| password);
        let after_digits = password.trim_start_matches(|c: char| c.is_ascii_digit());
        // Digits and then a slash, or a slash at once: a port or an empty one, and a path.
        !after_digits.starts_with(['/', '?', '#'])
    })
}

/// `NAME=value`, `"name": "value"`, `name: value` under a name that announces a secret.
fn assignment(text: &str, captures: &Captures<'_>) -> Option<Range<usize>> {
    let name = group(captures, "k")?;
    let quoted = ["j", "d", "q"].into_iter().find_map(|part| group(captures, part));
    let span = quoted.clone().or_else(|| group(captures, "u"))?;
    if !announces(&text[name.clone()], &text[span.clone()]) {
        return None;
    }
    if quoted.is_some() {
        return quoted;
    }
    let (separator, value) = (&text[name.end..span.start], &text[span.clone()]);
    // `secret: we need it` is prose; only what looks made by a machine is hidden behind a bare colon.
    let machine_made = value.len() >= 6 && value.bytes().any(|b| b.is_ascii_digit());
    (separator.contains('=') || machine_made).then(|| whole_word(text, span))
}

/// An unquoted value: a comma or a backslash within it belongs to it unless another member or an escape begins there;
/// brackets at its end close something around it.
fn whole_word(text: &str, span: Range<usize>) -> Range<usize> {
    const ENDS: [char; 9] = ['"', '\'', '`', ',', ';', '&', '|', '<', '>'];
    let stop = |c: char| c.is_whitespace() || c == '\\' || ENDS.contains(&c);
    let mut end = span.end + text[span.end..].find(stop).unwrap_or(text.len() - span.end);
    loop {
        let rest = &text[end..];
        let mut after = rest.chars();
        let goes_on = match after.next() {
            Some(',') => {
                let name = after.as_str().trim_start_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
                !after.as_str().is_empty() && !after.as_str().starts_with(char::is_whitespace) && !name.starts_with(['=', ':', '"', '\''])
            }
            Some('\\') => after.next().is_some_and(|c| c.is_alphanumeric() && !matches!(c, 'n' | 'r' | 't')),
            _ => false,
        };
        if !goes_on {
            break;
        }
        end += 1 + rest[1..].find(stop).unwrap_or(rest.len() - 1);
    }
    let value = &text[span.start..end];
    let trimmed = if value.starts_with('$') { value } else { value.trim_end_matches([')', ']', '}']) };
    span.start..span.start + trimmed.len()
}

/// `<password>value</password>`.
fn element(text: &str, captures: &Captures<'_>) -> Option<Range<usize>> {
    let (name, span) = (&text[group(captures, "k")?], group(captures, "u")?);
    announces(name, &text[span.clone()]).then_some(span)
}

/// `--password value` within a command line.
fn flag(text: &str, captures: &Captures<'_>) -> Option<Range<usize>> {
    let (name, span) = (&text[group(captures, "k")?], group(captures, "u")?);
    let harmless = ["stdin", "file", "path", "env"].iter().any(|end| name.ends_with(end));
    (!harmless && announces(name, &text[span.clone()])).then_some(span)
}

/// Whether the name announces a secret, and the value is one rather than a reference or a plain word of logic.
fn announces(name: &str, value: &str) -> bool {
    let reference = value.strip_prefix('$').is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_uppercase() || matches!(b, b'_' | b'{' | b'}' | b'(' | b')'))
    });
    let logic = ["true", "false", "null", "none", "nil", "yes", "no"].iter().any(|word| value.eq_ignore_ascii_case(word));
    let typed = value.parse::<u64>().map_or_else(|_| Value::from(value), Value::from);
    !reference && !logic && is_secret_name(name, &typed)
}

fn card(text: &str, captures: &Captures<'_>) -> Option<Range<usize>> {
    let span = captures.get_match().range();
    let digits: String = text[span.clone()].chars().filter(char::is_ascii_digit).collect();
    let decimal = text[..span.start].ends_with('.')
        || (text[span.end..].starts_with('.') && text[span.end + 1..].starts_with(|c: char| c.is_ascii_digit()));
    (!decimal && is_card_number(&digits)).then_some(span)
}

/// Whether these digits are a payment card's: a known range and length (ISO/IEC 7812), and a right check digit (Luhn).
pub(super) fn is_card_number(digits: &str) -> bool {
    if !(13..=19).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let (head, length) = (digits[..4].parse::<u32>().unwrap_or(0), digits.len());
    let issued = match head {
        4000..=4999 => matches!(length, 13 | 16 | 19),
        5100..=5599 | 2221..=2720 | 6011 | 3528..=3589 => length == 16,
        6440..=6599 => matches!(length, 16..=19),
        3400..=3499 | 3700..=3799 => length == 15,
        3000..=3059 | 3600..=3699 | 3800..=3999 => matches!(length, 14 | 16),
        6200..=6299 => length >= 16,
        _ => false,
    };
    let sum: u32 = digits.bytes().rev().enumerate().fold(0, |sum, (index, digit)| {
        let digit = u32::from(digit - b'0');
        sum + if index % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }
    });
    issued && sum.is_multiple_of(10)
}

fn social_security(text: &str, captures: &Captures<'_>) -> Option<Range<usize>> {
    let span = group(captures, "s")?;
    let number = &text[span.clone()];
    let issued = !matches!(&number[..3], "000" | "666") && !number.starts_with('9') && &number[4..6] != "00" && &number[7..] != "0000";
    let part_of_more = text[..span.start].ends_with('-') || text[span.end..].starts_with('-');
    (issued && !part_of_more).then_some(span)
}

/// The longest beginning of the match with a right check (ISO 13616, mod 97) that ends at the end of a word.
fn iban(text: &str, captures: &Captures<'_>) -> Option<Range<usize>> {
    let Range { start, end } = captures.get_match().range();
    let ends_word = |end: usize| !text[end..].starts_with(|c: char| c.is_ascii_alphanumeric());
    (start + 15..=end).rev().filter(|end| ends_word(*end)).map(|end| start..end).find(|span| {
        let account: Vec<u8> = text[span.clone()].bytes().filter(|b| *b != b' ').collect();
        let value = |b: &u8| if b.is_ascii_digit() { u32::from(b - b'0') } else { u32::from(b - b'A') + 10 };
        let remainder = account
            .iter()
            .skip(4)
            .chain(&account[..4])
            .map(value)
            .fold(0, |rest, digit| (rest * if digit > 9 { 100 } else { 10 } + digit) % 97);
        (15..=34).contains(&account.len()) && remainder == 1
    })
}

/// Whether a text is long and random as keys are: hex, or letters of both cases with digits, hardly separated.
pub(super) fn looks_random(text: &str) -> bool {
    if text.len() < 32 || !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'_' | b'-' | b'.' | b'~')) {
        return false;
    }
    let has = |kind: fn(&u8) -> bool| text.bytes().any(|b| kind(&b));
    let mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) || text.bytes().all(|b| b.is_ascii_hexdigit());
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let parts = text.split(['/', '-', '_', '.', '+']).count();
    let mut seen = [false; 128];
    text.bytes().for_each(|b| seen[usize::from(b & 127)] = true);
    mixed && digits >= 3 && text.len() / parts >= 12 && seen.iter().filter(|seen| **seen).count() >= 8
}
