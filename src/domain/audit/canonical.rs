//! Owns telling in one pass whether the bytes of an event are canonical JSON (RFC 8785), and what `seq` they carry.
//!
//! Never builds a value for what events are made of (objects, lists, texts, integers, words): a log has millions of them. What is rarer, a fraction or a
//! member name beyond ASCII, is left to the full canonicaliser.

use serde_json::Value;

/// Deepest nesting; events have three levels.
const MAX_DEPTH: u32 = 16;

/// The member `seq` of an event, if its bytes are an object in canonical form.
pub(super) fn seq(event: &[u8]) -> Option<u64> {
    let mut scan = Scan { bytes: event, at: 0, seq: None };
    match scan.value(0) {
        Verdict::Canonical if scan.at == event.len() => scan.seq,
        Verdict::Unsure => slow(event),
        _ => None,
    }
}

fn slow(event: &[u8]) -> Option<u64> {
    let value: Value = serde_json::from_slice(event).ok()?;
    let canonical = serde_json_canonicalizer::to_vec(&value).ok()?;
    if canonical == event { value.get("seq")?.as_u64() } else { None }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Canonical,
    Not,
    /// Canonical or not: this scan does not tell.
    Unsure,
}

use Verdict::{Canonical, Not, Unsure};

struct Scan<'e> {
    bytes: &'e [u8],
    at: usize,
    seq: Option<u64>,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: u32) -> Verdict {
        match self.peek() {
            _ if depth > MAX_DEPTH => Unsure,
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.text(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            _ => Not,
        }
    }

    fn word(&mut self, word: &[u8]) -> Verdict {
        let fits = self.bytes[self.at..].starts_with(word);
        self.at += if fits { word.len() } else { 0 };
        if fits { Canonical } else { Not }
    }

    fn object(&mut self, depth: u32) -> Verdict {
        self.at += 1;
        if self.eat(b'}') {
            return Canonical;
        }
        let mut before: Option<(usize, usize)> = None;
        loop {
            let start = self.at + 1;
            match self.text() {
                Canonical => {}
                other => return other,
            }
            let name = (start, self.at - 1);
            let bytes = &self.bytes[name.0..name.1];
            // Members are sorted by UTF-16 code units; that is the order of bytes as long as all of them are plain ASCII.
            if bytes.iter().any(|byte| *byte == b'\\' || !byte.is_ascii()) {
                return Unsure;
            }
            if before.is_some_and(|(from, to)| &self.bytes[from..to] >= bytes) || !self.eat(b':') {
                return Not;
            }
            let is_seq = depth == 0 && bytes == b"seq";
            before = Some(name);
            let from = self.at;
            match self.value(depth + 1) {
                Canonical => {}
                other => return other,
            }
            if is_seq {
                self.seq = std::str::from_utf8(&self.bytes[from..self.at]).ok().and_then(|digits| digits.parse().ok());
            }
            if self.eat(b'}') {
                return Canonical;
            }
            if !self.eat(b',') {
                return Not;
            }
        }
    }

    fn list(&mut self, depth: u32) -> Verdict {
        self.at += 1;
        if self.eat(b']') {
            return Canonical;
        }
        loop {
            match self.value(depth + 1) {
                Canonical => {}
                other => return other,
            }
            if self.eat(b']') {
                return Canonical;
            }
            if !self.eat(b',') {
                return Not;
            }
        }
    }

    fn text(&mut self) -> Verdict {
        if !self.eat(b'"') {
            return Not;
        }
        loop {
            // Most of an event is plain text: looked through in one go.
            let Some(plain) = self.bytes[self.at..].iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) else { return Not };
            self.at += plain + 1;
            let byte = self.bytes[self.at - 1];
            if byte == b'"' {
                return Canonical;
            }
            if byte != b'\\' || !self.escape() {
                return Not;
            }
        }
    }

    /// The shortest form only: RFC 8785 §3.2.2.2.
    fn escape(&mut self) -> bool {
        let rest = &self.bytes[self.at..];
        let (fits, length) = match rest {
            [b'"' | b'\\' | b'b' | b't' | b'n' | b'f' | b'r', ..] => (true, 1),
            [b'u', b'0', b'0', high @ (b'0' | b'1'), low @ (b'0'..=b'9' | b'a'..=b'f'), ..] => {
                let has_short_form = *high == b'0' && matches!(low, b'8' | b'9' | b'a' | b'c' | b'd');
                (!has_short_form, 5)
            }
            _ => (false, 0),
        };
        self.at += length;
        fits
    }

    fn number(&mut self) -> Verdict {
        let negative = self.eat(b'-');
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        let digits = &self.bytes[from..self.at];
        match (digits, self.peek()) {
            (_, Some(b'.' | b'e' | b'E')) => Unsure,
            ([b'0'], _) if !negative => Canonical,
            ([] | [b'0', ..], _) => Not,
            // Up to 10^15 every integer is written with all its digits.
            (digits, _) if digits.len() <= 15 => Canonical,
            _ => Unsure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn canonical_events_give_their_seq() {
        for event in [
            r#"{"seq":7}"#,
            r#"{"actor":{"id":null,"kind":"system"},"data":{},"seq":12,"type":"x"}"#,
            r#"{"data":{"a":[1,-2,"ä\n\"\\\u001f",true,false,null,[]],"b":{}},"seq":1}"#,
            r#"{"data":1.5,"seq":3}"#,
            r#"{"data":9007199254740991,"seq":3}"#,
            r#"{"seq":3,"é":1}"#,
        ] {
            assert!(seq(event.as_bytes()).is_some(), "{event}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for event in [
            "",
            "{}",
            "7",
            r#"{"seq":-1}"#,
            r#"{"seq":"1"}"#,
            r#"{"seq":1.5}"#,
            r#"{"seq": 1}"#,
            r#"{"seq":1} "#,
            r#"{"seq":1}{"#,
            r#"{"seq":01}"#,
            r#"{"seq":1,"a":2}"#,
            r#"{"seq":1,"seq":2}"#,
            r#"{"a":-0,"seq":1}"#,
            r#"{"a":1.0,"seq":1}"#,
            r#"{"a":"\u0041","seq":1}"#,
            r#"{"a":"\u000a","seq":1}"#,
            r#"{"a":"\u001F","seq":1}"#,
            r#"{"a":"\/","seq":1}"#,
            "{\"a\":\"\n\",\"seq\":1}",
            r#"{"a":[1,],"seq":1}"#,
            r#"{"a":tru,"seq":1}"#,
            r#"{"a":"#,
            r#"{"a":"x"#,
        ] {
            assert_eq!(seq(event.as_bytes()), None, "{event}");
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Value::from),
            any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// The scan agrees with the canonicaliser, for the canonical form and for one changed byte of it.
        #[test]
        fn agrees_with_the_canonicaliser(data in values(), number in 1_u64..1_000_000, place in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let event = serde_json::json!({"data": data, "seq": number});
            let mut bytes = serde_json_canonicalizer::to_vec(&event).unwrap();
            prop_assert_eq!(seq(&bytes), Some(number));
            let at = place.index(bytes.len());
            bytes[at] = byte;
            if std::str::from_utf8(&bytes).is_ok() {
                prop_assert_eq!(seq(&bytes), slow(&bytes));
            }
        }
    }
}
