//! Owns the policy: the rules file, what it says about a request, and what a review then asks for.
//!
//! Never does I/O, reads a clock or knows who may approve at all: separation of duties, status and distinctness of people
//! are not policy, and nothing in the file can lift them. A policy only answers allow, review or deny, and adds demands.
//!
//! | file | owns |
//! |---|---|
//! | `reader` | TOML with positions; [`Finding`] |
//! | `file` | the file's shape: every key, its type and its bounds |
//! | `lint` | findings that need the whole file |
//! | `matching`, `glob` | `match` |
//! | `condition` | CEL; the only user of the `cel` crate |
//! | `facts` | what is asked about |
//! | `evaluate` | the answer; the strictest rule wins, requirements add up, the unevaluable means no |
//! | `requirements` | what a review asks for |
//! | `explain` | the answer with its reasons, rule by rule |
//! | `satisfiable` | routes and rules that the people of a directory cannot satisfy |
//! | `scenario` | a request to try a policy on |
//! | `cases` | `policy.tests.toml` |

mod cases;
mod condition;
mod evaluate;
mod explain;
mod facts;
mod file;
mod glob;
mod lint;
mod matching;
mod reader;
mod requirements;
mod satisfiable;
mod scenario;

pub use cases::{Case, CaseResult, Difference, parse_cases, run_case};
pub use condition::{MAX_DEPTH, MAX_ELEMENTS, MAX_LENGTH, MAX_STEPS};
pub use evaluate::{Evaluation, RuleError, ShadowResult, reviewer_when_holds};
pub use explain::RuleTrace;
pub use facts::{ClientFacts, Facts, History, PersonFacts};
pub use glob::glob_matches;
pub use reader::{Finding, Severity};
pub use requirements::{DEFAULT_APPROVAL_VALID, DEFAULT_EXPIRES_IN, Destination, Escalation, Require, Requirements};
pub use satisfiable::{DirectoryFacts, Place, Unsatisfiable, unsatisfiable};
pub use scenario::Scenario;

use crate::domain::mask::Mask;
use condition::Condition;
use evaluate::Index;
use glob::Glob;
use matching::Matcher;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What a policy says about a request. Ordered by strictness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Passes without a person.
    Allow,
    /// People decide.
    Review,
    /// Refused without a person.
    Deny,
}

impl Effect {
    const WORDS: [(&'static str, Self); 3] = [("allow", Self::Allow), ("review", Self::Review), ("deny", Self::Deny)];

    /// The word used in the file and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Review => "review",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a rule has influence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It decides.
    Enforce,
    /// It is evaluated and recorded only.
    Shadow,
}

/// A loaded policy. Immutable; share it in an `Arc`.
#[derive(Debug)]
pub struct Policy {
    version: String,
    default: Effect,
    default_route: Option<String>,
    routes: BTreeMap<String, Requirements>,
    rules: Vec<Rule>,
    masks: Vec<MaskEntry>,
    index: Index,
    /// Some condition, of a reviewer too, reads `history`: zeros in its place could let somebody approve.
    reads_history: bool,
    warnings: Vec<Finding>,
}

#[derive(Debug)]
struct Rule {
    id: String,
    effect: Effect,
    mode: Mode,
    matchers: Vec<Matcher>,
    when: Option<Arc<Condition>>,
    /// In a review rule: those of its route and its own, added up. Elsewhere: what it limits.
    requirements: Requirements,
    /// Byte offset of the rule in the file, for findings.
    at: usize,
}

/// A `[[mask]]`: how a place is shown, for the actions that any of the patterns covers.
#[derive(Debug)]
struct MaskEntry {
    actions: Vec<Glob>,
    mask: Mask,
    /// Byte offset of the entry in the file, for findings.
    at: usize,
}

impl Policy {
    /// Reads a policy file. All mistakes are found at once, in the order of the file; with a syntax error, only those of syntax.
    ///
    /// Takes some milliseconds per distinct condition in an unoptimised build and runs on a thread of its own with a large stack.
    pub fn parse(text: &str) -> Result<Self, Vec<Finding>> {
        condition::on_big_stack(|| file::parse(text)).unwrap_or_else(|| {
            let message = "could not be checked: the parser failed or no thread could be started".to_owned();
            Err(vec![Finding { line: 1, column: 1, severity: Severity::Error, rule: None, message }])
        })
    }

    /// `sha256:` and the lower hex of the SHA-256 of the file's bytes.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether any `when` or `reviewer_when` reads `history`; if not, nobody need count for it.
    pub fn uses_history(&self) -> bool {
        self.reads_history
    }

    /// What is hardly meant although it loads.
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }

    /// The effect where no rule matches. The server logs a warning at start when it is [`Effect::Allow`].
    pub fn default_effect(&self) -> Effect {
        self.default
    }

    /// The ids of all rules, in the order of the file.
    pub fn rule_ids(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.id.as_str())
    }

    /// Every destination that some route names, once.
    pub fn destinations(&self) -> Vec<&Destination> {
        let mut all: Vec<_> = self.routes.values().flat_map(|route| &route.destinations).collect();
        all.sort();
        all.dedup();
        all
    }

    /// How the parameters of an action are shown to others: one entry per place, the strictest of those that name it.
    fn masks_of(&self, action: &str) -> Vec<Mask> {
        let mut strictest = BTreeMap::new();
        for entry in self.masks.iter().filter(|entry| entry.actions.iter().any(|glob| glob.matches(action))) {
            let mode = strictest.entry(&entry.mask.path).or_insert(entry.mask.mode);
            *mode = entry.mask.mode.max(*mode);
        }
        strictest.into_iter().map(|(path, mode)| Mask { path: path.clone(), mode }).collect()
    }

    /// What is asked for where no rule matches and the default is review.
    fn default_requirements(&self) -> Requirements {
        self.default_route.as_ref().and_then(|name| self.routes.get(name)).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
