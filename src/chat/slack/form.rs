//! Owns the strict reading of `application/x-www-form-urlencoded` bodies.
//!
//! Never repairs: a bad escape or bytes that are not UTF-8 are errors, where the usual parsers put a replacement
//! character into what a person is about to decide.

/// The one value of a field. `Ok(None)`: absent. `Err`: not a form, or the field stands there more than once.
pub(super) fn field(body: &[u8], name: &str) -> Result<Option<String>, ()> {
    let mut found = None;
    for pair in body.split(|byte| *byte == b'&') {
        let mut parts = pair.splitn(2, |byte| *byte == b'=');
        let key = decode(parts.next().unwrap_or_default())?;
        if key == name {
            let value = decode(parts.next().unwrap_or_default())?;
            if found.replace(value).is_some() {
                return Err(());
            }
        }
    }
    Ok(found)
}

fn decode(text: &[u8]) -> Result<String, ()> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|byte| char::from(*byte).to_digit(16)).ok_or(());
                let value = digit()? * 16 + digit()?;
                u8::try_from(value).map_err(|_| ())?
            }
            other => *other,
        });
    }
    String::from_utf8(bytes).map_err(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_field_and_refuses_what_is_not_a_form() {
        assert_eq!(field(b"a=1&payload=%7B%22a+b%22%3A%22%C3%BC%22%7D", "payload"), Ok(Some("{\"a b\":\"ü\"}".to_owned())));
        assert_eq!(field(b"a=1", "payload"), Ok(None));
        assert_eq!(field(b"", "payload"), Ok(None));
        assert_eq!(field(b"payload", "payload"), Ok(Some(String::new())));
        for bad in [b"payload=%FF".as_slice(), b"payload=\xff", b"payload=%2", b"payload=%zz", b"payload=1&payload=2"] {
            assert_eq!(field(bad, "payload"), Err(()), "{bad:?}");
        }
    }
}
