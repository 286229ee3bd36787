//! Owns statements over many rows at once: one call of the driver, however many jobs a batch has.
//!
//! Never holds a value: the text consists of constants and placeholders, so it is safe from injection by construction.
//! Texts exist for a few sizes only, so that prepared statements stay cached: any number of rows up to 64 splits into at most three.

use super::DIALECT;
use std::sync::{Arc, OnceLock};

/// Sizes for which a text exists, largest first.
const SIZES: [usize; 12] = [64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1];

/// A statement around a list of rows: `head (…), (…) tail`.
pub(in crate::store) struct Bulk {
    head: &'static str,
    /// One entry per column: the type that the placeholder is cast to, or "" where the target column tells the type.
    columns: &'static [&'static str],
    tail: &'static str,
    texts: [OnceLock<Arc<str>>; SIZES.len()],
}

impl Bulk {
    pub(super) const fn new(head: &'static str, columns: &'static [&'static str], tail: &'static str) -> Self {
        Self { head, columns, tail, texts: [const { OnceLock::new() }; SIZES.len()] }
    }

    /// Splits `rows` into parts for which a text exists.
    pub(super) fn parts<'r, T>(&'static self, rows: &'r [T]) -> impl Iterator<Item = (Arc<str>, &'r [T])> {
        let mut rest = rows;
        std::iter::from_fn(move || {
            let size = SIZES.iter().position(|size| *size <= rest.len())?;
            let (part, after) = rest.split_at(SIZES[size]);
            rest = after;
            Some((self.text(size), part))
        })
    }

    fn text(&'static self, size: usize) -> Arc<str> {
        Arc::clone(self.texts[size].get_or_init(|| self.write(SIZES[size]).into()))
    }

    /// The text for `rows` rows.
    pub(in crate::store) fn write(&self, rows: usize) -> String {
        let mut text = self.head.to_owned();
        let mut position = 0_usize;
        for row in 0..rows {
            text.push_str(if row == 0 { " (" } else { ", (" });
            for (index, cast) in self.columns.iter().enumerate() {
                if index > 0 {
                    text.push_str(", ");
                }
                position += 1;
                // SQLite finds a numbered placeholder by a linear search through their names: with 64 rows that is most of the statement's time.
                let placeholder = if DIALECT.numbered_placeholders { format!("${position}") } else { "?".to_owned() };
                let parts: &[&str] = if cast.is_empty() { &[&placeholder] } else { &["CAST(", &placeholder, " AS ", cast, ")"] };
                text.extend(parts.iter().copied());
            }
            text.push(')');
        }
        text.push(' ');
        text.push_str(self.tail);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static PAIRS: Bulk = Bulk::new("INSERT INTO t (a, b) VALUES", &["", "BIGINT"], "RETURNING a");

    #[test]
    fn every_number_of_rows_splits_into_few_parts() {
        for count in 1..=256 {
            let rows = vec![(); count];
            let parts: Vec<usize> = PAIRS.parts(&rows).map(|(_, part)| part.len()).collect();
            assert_eq!(parts.iter().sum::<usize>(), count);
            assert!(parts.len() <= count / 64 + 3, "{count}: {parts:?}");
        }
    }

    #[test]
    fn the_text_has_one_placeholder_per_value() {
        let text = PAIRS.write(2);
        let expected = if DIALECT.numbered_placeholders {
            "INSERT INTO t (a, b) VALUES ($1, CAST($2 AS BIGINT)), ($3, CAST($4 AS BIGINT)) RETURNING a"
        } else {
            "INSERT INTO t (a, b) VALUES (?, CAST(? AS BIGINT)), (?, CAST(? AS BIGINT)) RETURNING a"
        };
        assert_eq!(text, expected);
    }
}
