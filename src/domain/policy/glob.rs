//! Owns the globs of `match`: `*` is any run of characters (`.` and `/` included), `?` is one, nothing else is special.
//!
//! Never folds case and never anchors anywhere but at both ends.

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob {
    text: String,
    tokens: Vec<char>,
    literal: bool,
}

/// Whether the pattern (`*` any run, `?` one character) covers the whole text; case-sensitive.
pub fn glob_matches(pattern: &str, text: &str) -> bool {
    Glob::new(pattern).matches(text)
}

impl Glob {
    /// Any text is a pattern.
    pub(super) fn new(text: &str) -> Self {
        let mut tokens: Vec<char> = text.chars().collect();
        tokens.dedup_by(|next, previous| *next == '*' && *previous == '*');
        Self { text: text.to_owned(), literal: !text.contains(['*', '?']), tokens }
    }

    /// The pattern as it was written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it has neither `*` nor `?`.
    pub(super) fn is_literal(&self) -> bool {
        self.literal
    }

    /// The text before the first `.`, when a dot comes before any wildcard: every match begins with it and a dot.
    pub(super) fn first_word(&self) -> Option<&str> {
        let (word, _) = self.text.split_once('.')?;
        (!word.contains(['*', '?'])).then_some(word)
    }

    /// Whether the whole of `value` matches. Takes at most `pattern × value` steps.
    pub(super) fn matches(&self, value: &str) -> bool {
        if self.literal {
            return self.text == value;
        }
        let value: Vec<char> = value.chars().collect();
        covers(&self.tokens, &value, false)
    }

    /// Whether everything that `other` matches is matched by this too. May say no where a cleverer proof says yes.
    pub(super) fn is_as_wide_as(&self, other: &Self) -> bool {
        covers(&self.tokens, &other.tokens, true)
    }

    /// Whether some text is matched by both.
    pub(super) fn meets(&self, other: &Self) -> bool {
        // Which ends of `other` are reachable after each token of ours; a star takes none or one of the other's tokens.
        let mut ends = vec![false; other.tokens.len() + 1];
        ends[0] = true;
        spread(&mut ends, &other.tokens);
        for token in &self.tokens {
            let mut next = vec![false; ends.len()];
            for (at, _) in ends.iter().enumerate().filter(|(_, reachable)| **reachable) {
                match (token, other.tokens.get(at)) {
                    ('*', _) => next[at..].fill(true),
                    (_, Some('*')) => next[at] = true,
                    (ours, Some(theirs)) if ours == theirs || *ours == '?' || *theirs == '?' => next[at + 1] = true,
                    (_, Some(_) | None) => {}
                }
            }
            spread(&mut next, &other.tokens);
            ends = next;
        }
        ends.last().copied().unwrap_or(false)
    }
}

/// A star may also take nothing.
fn spread(ends: &mut [bool], tokens: &[char]) {
    for (at, token) in tokens.iter().enumerate() {
        if ends[at] && *token == '*' {
            ends[at + 1] = true;
        }
    }
}

/// Matches with one saved star. With `pattern_like`, `value` is itself a pattern: its `*` is only met by a `*`, its `?` by `?` or `*`.
fn covers(pattern: &[char], value: &[char], pattern_like: bool) -> bool {
    let (mut at, mut position, mut star) = (0, 0, None);
    while position < value.len() {
        let character = value[position];
        let single = match pattern.get(at) {
            Some('*') => {
                star = Some((at, position));
                at += 1;
                continue;
            }
            Some('?') => !(pattern_like && character == '*'),
            Some(wanted) => *wanted == character,
            None => false,
        };
        if single {
            at += 1;
            position += 1;
        } else if let Some((star_at, taken)) = star {
            at = star_at + 1;
            position = taken + 1;
            star = Some((star_at, position));
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|token| *token == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stars_cross_dots_and_slashes_and_nothing_else_is_special() {
        for (pattern, yes, no) in [
            ("db.*", vec!["db.export", "db.a.b", "db."], vec!["db", "xdb.a", "DB.export"]),
            ("*admin*", vec!["admin", "db-admin", "administrator"], vec!["adm1n", "Admin"]),
            ("s3://*/x?", vec!["s3://a/b/xy", "s3:///x/"], vec!["s3://a/x"]),
            ("?", vec!["a", "é", "💥"], vec!["", "ab"]),
            ("*", vec!["", "anything"], vec![]),
            ("a[b]{c}\\d^$", vec!["a[b]{c}\\d^$"], vec!["ab", "abcd"]),
            ("", vec![""], vec!["a"]),
            ("**a**", vec!["a", "bab"], vec!["b"]),
        ] {
            let glob = Glob::new(pattern);
            for value in yes {
                assert!(glob.matches(value), "{pattern} {value}");
            }
            for value in no {
                assert!(!glob.matches(value), "{pattern} {value}");
            }
        }
    }

    #[test]
    fn many_stars_stay_quick() {
        assert!(!Glob::new(&format!("{}b", "*a".repeat(100))).matches(&"a".repeat(60_000)));
    }

    #[test]
    fn the_first_word_is_only_given_where_every_match_has_it() {
        assert_eq!(Glob::new("iam.*").first_word(), Some("iam"));
        assert_eq!(Glob::new("*.read").first_word(), None);
        assert_eq!(Glob::new("ia?.read").first_word(), None);
        assert_eq!(Glob::new("iam*").first_word(), None);
    }

    fn naive(pattern: &[char], value: &[char]) -> bool {
        match pattern.split_first() {
            None => value.is_empty(),
            Some(('*', rest)) => (0..=value.len()).any(|skip| naive(rest, &value[skip..])),
            Some(('?', rest)) => !value.is_empty() && naive(rest, &value[1..]),
            Some((wanted, rest)) => value.first() == Some(wanted) && naive(rest, &value[1..]),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?]{0,7}", value in "[ab]{0,8}") {
            let glob = Glob::new(&pattern);
            prop_assert_eq!(glob.matches(&value), naive(&pattern.chars().collect::<Vec<_>>(), &value.chars().collect::<Vec<_>>()));
        }

        #[test]
        fn patterns_meet_where_some_text_matches_both(one in "[ab*?]{0,4}", two in "[ab*?]{0,4}") {
            // A common text needs no more characters than both have tokens.
            let texts = (0..=8_u32).flat_map(|length| (0..1_u32 << length).map(move |bits| {
                (0..length).map(|at| if bits >> at & 1 == 0 { 'a' } else { 'b' }).collect::<String>()
            }));
            let (one, two) = (Glob::new(&one), Glob::new(&two));
            let common = texts.into_iter().any(|text| one.matches(&text) && two.matches(&text));
            prop_assert_eq!(one.meets(&two), common, "{} {}", one.as_str(), two.as_str());
        }

        #[test]
        fn a_wider_pattern_matches_whatever_the_narrower_does(wide in "[ab*?]{0,5}", narrow in "[ab*?]{0,5}", value in "[ab]{0,6}") {
            let (wide, narrow) = (Glob::new(&wide), Glob::new(&narrow));
            if wide.is_as_wide_as(&narrow) && narrow.matches(&value) {
                prop_assert!(wide.matches(&value));
            }
        }
    }
}
