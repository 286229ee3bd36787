//! Owns what counts as an e-mail address in configuration and directory, and when two are the same.
//!
//! Never tries RFC 5322 in full: a typing mistake is to be found, delivery is not our business.

/// Whether the text is one address: something, `@`, something, without spaces, brackets or commas.
pub(crate) fn is_address(text: &str) -> bool {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '<' | '>' | ',' | ';' | '"' | '*' | '?');
    text.len() <= 254
        && text.chars().all(plain)
        && text.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'))
}

/// The form in which addresses are compared: no provider in use tells two people apart by case.
pub(crate) fn folded(text: &str) -> String {
    text.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_texts() {
        for text in ["alice@example.com", "a+b@example.com", "alice@localhost", "Älice@example.com"] {
            assert!(is_address(text), "{text}");
        }
        for text in
            ["", "alice", "@example.com", "alice@", "a@b@c", "a b@example.com", "Alice <alice@example.com>", "*@example.com", "a@x,b@x"]
        {
            assert!(!is_address(text), "{text}");
        }
        assert_eq!(folded("Alice@Example.COM"), "alice@example.com");
    }
}
