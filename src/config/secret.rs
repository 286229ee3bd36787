//! Owns reading a secret from a file, as Docker, Kubernetes and systemd hand secrets over.
//!
//! Never returns an empty secret, and never puts what the file holds into a message.

use secrecy::SecretString;
use std::path::Path;

/// More than any secret of ours has; a longer file is the wrong file.
const MAX_BYTES: u64 = 64 * 1024;

/// Reads the secret in `path`. Line ends at the end do not belong to it: editors and `echo` add them.
pub(crate) fn read(path: &Path) -> Result<SecretString, String> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| format!("cannot read {shown}: {error}");
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(format!("{shown} is not a file"));
    }
    if metadata.len() > MAX_BYTES {
        return Err(format!("{shown} is larger than 64 KiB, which no secret is"));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    // The error of `from_utf8` would carry the bytes along.
    let text = String::from_utf8(bytes).map_err(|_| format!("{shown} is not UTF-8 text"))?;
    let secret = text.trim_end_matches(['\n', '\r']);
    if secret.is_empty() {
        return Err(format!("{shown} is empty"));
    }
    Ok(SecretString::from(secret))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn line_ends_are_cut_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        std::fs::write(&path, " a b \r\n\n").unwrap();
        assert_eq!(read(&path).unwrap().expose_secret(), " a b ");
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let shown = path.display().to_string();
        assert_eq!(read(&path).unwrap_err(), format!("cannot read {shown}: No such file or directory (os error 2)"));
        std::fs::write(&path, "\n").unwrap();
        assert_eq!(read(&path).unwrap_err(), format!("{shown} is empty"));
        std::fs::write(&path, b"hunter\xff").unwrap();
        assert_eq!(read(&path).unwrap_err(), format!("{shown} is not UTF-8 text"));
        std::fs::write(&path, vec![b'x'; 65 * 1024]).unwrap();
        assert_eq!(read(&path).unwrap_err(), format!("{shown} is larger than 64 KiB, which no secret is"));
        assert_eq!(read(directory.path()).unwrap_err(), format!("{} is not a file", directory.path().display()));
    }
}
