//! Owns how a mistake in a file is shown: `file:line:column: error: message`, as compilers do, so that editors can jump to it.
//!
//! Never finds one: configuration, policy and directory do.

use super::output::{Output, Style, count, visible};
use crate::config::{ConfigError, Place};
use crate::domain::policy::{Finding, Severity};
use serde::Serialize;
use std::path::Path;

/// One mistake, or something that is hardly meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Diagnostic {
    /// The file, or the variable of the environment.
    pub(crate) file: String,
    /// From 1; absent: the file as a whole.
    pub(crate) line: Option<usize>,
    /// From 1, in characters.
    pub(crate) column: Option<usize>,
    /// Whether it must be mended.
    pub(crate) severity: Severity,
    /// What is wrong and what to do.
    pub(crate) message: String,
}

impl Diagnostic {
    /// About a place.
    pub(crate) fn at(place: &Place, severity: Severity, message: impl Into<String>) -> Self {
        let (file, line, column) = match place {
            Place::Spot { file, line, column } => (file.to_string(), Some(*line), Some(*column)),
            other => (other.to_string(), None, None),
        };
        Self { file, line, column, severity, message: message.into() }
    }

    /// About a file as a whole.
    pub(crate) fn whole(file: &Path, severity: Severity, message: impl Into<String>) -> Self {
        Self { file: file.display().to_string(), line: None, column: None, severity, message: message.into() }
    }

    /// What the policy found.
    pub(crate) fn of(file: &Path, finding: &Finding) -> Self {
        let message = match &finding.rule {
            Some(rule) => format!("rule {rule}: {}", finding.message),
            None => finding.message.clone(),
        };
        Self {
            file: file.display().to_string(),
            line: Some(finding.line),
            column: Some(finding.column),
            severity: finding.severity,
            message,
        }
    }

    fn text(&self, out: Output) -> String {
        let place = match (self.line, self.column) {
            (Some(line), Some(column)) => format!("{}:{line}:{column}:", self.file),
            _ => format!("{}:", self.file),
        };
        let (style, word) = match self.severity {
            Severity::Error => (Style::Red, "error:"),
            Severity::Warning => (Style::Yellow, "warning:"),
        };
        format!("{} {} {}", out.paint(Style::Cyan, &visible(&place)), out.paint(style, word), visible(&self.message))
    }
}

impl From<&ConfigError> for Diagnostic {
    fn from(error: &ConfigError) -> Self {
        Self::at(&error.place, Severity::Error, error.message.clone())
    }
}

/// Prints them, one per line.
pub(crate) fn print(out: Output, found: &[Diagnostic]) {
    for diagnostic in found {
        out.line(diagnostic.text(out));
    }
}

/// How many are errors.
pub(crate) fn errors(found: &[Diagnostic]) -> usize {
    found.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count()
}

/// `2 errors, 1 warning`; nothing when there are none.
pub(crate) fn tally(found: &[Diagnostic]) -> Option<String> {
    let errors = errors(found);
    match (errors, found.len() - errors) {
        (0, 0) => None,
        (errors, 0) => Some(count(errors, "error")),
        (0, warnings) => Some(count(warnings, "warning")),
        (errors, warnings) => Some(format!("{}, {}", count(errors, "error"), count(warnings, "warning"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_written_as_compilers_do() {
        let out = Output::new(true);
        let place = Place::Spot { file: "a.toml".into(), line: 3, column: 7 };
        assert_eq!(Diagnostic::at(&place, Severity::Error, "no").text(out), "a.toml:3:7: error: no");
        assert_eq!(Diagnostic::whole(Path::new("a.toml"), Severity::Warning, "odd").text(out), "a.toml: warning: odd");
        let variable = Place::Variable("COUNTERSIGN_SERVER__LISTEN".to_owned());
        assert_eq!(Diagnostic::at(&variable, Severity::Error, "no").text(out), "COUNTERSIGN_SERVER__LISTEN: error: no");
    }

    #[test]
    fn the_tally_counts_both_kinds() {
        let of = |severity| Diagnostic::whole(Path::new("a"), severity, "");
        assert_eq!(tally(&[]), None);
        assert_eq!(tally(&[of(Severity::Error), of(Severity::Warning), of(Severity::Error)]).as_deref(), Some("2 errors, 1 warning"));
    }
}
