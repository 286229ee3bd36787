//! Owns the answer: which rules match, which effect wins, what is asked for.
//!
//! Never lets a failure loosen anything: what cannot be evaluated matches in deny and review rules and does not in allow rules;
//! a `reviewer_when` that fails keeps the person from approving. The order of the file decides nothing.

use super::condition::{Condition, Scene, Scope, Weight, on_big_stack};
use super::facts::Facts;
use super::matching::{Verdict, action_patterns};
use super::requirements::Requirements;
use super::{Effect, Mode, Policy, Rule, RuleTrace};
use crate::domain::mask::Mask;
use std::collections::{BTreeSet, HashMap};

/// Steps that are cheap enough to take on an async worker: about a millisecond.
const CHEAP_STEPS: u64 = 2_000;

/// What a policy says about one request. Stored with the request as JSON.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Evaluation {
    /// The strictest effect of the matching rules, else the default.
    pub effect: Effect,
    /// Ids of all enforced rules that match, in the order of the file.
    pub rules: Vec<String>,
    /// Rules in shadow mode that match: recorded, without influence.
    pub shadow: Vec<ShadowResult>,
    /// What could not be evaluated where that mattered; an audit event each.
    pub errors: Vec<RuleError>,
    /// One or two plain sentences for people. Names groups and rules, never a person or a value of the request.
    pub explanation: String,
    /// What a review asks for; where the effect is allow, only its limits and `require` count; where it is deny, the defaults.
    pub requirements: Requirements,
    /// How the parameters are shown to everybody but the caller, beyond what names and shapes say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub masks: Vec<Mask>,
    /// Every rule and why it matches or not; only [`Policy::explain`] fills it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trace: Vec<RuleTrace>,
}

/// A matching rule in shadow mode.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ShadowResult {
    /// The rule's id.
    pub rule: String,
    /// Its effect.
    pub effect: Effect,
    /// What the effect on the request would have been, were this rule enforced.
    pub would_be: Effect,
    /// What could not be evaluated in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
}

/// Something in a rule that could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RuleError {
    /// The rule's id.
    pub rule: String,
    /// Which part and why. Names no value of the request.
    pub what: String,
}

/// Finds the rules that could match an action without looking at all of them.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// By a literal action.
    literal: HashMap<String, Vec<usize>>,
    /// By the action's first word, for globs such as `iam.*`.
    word: HashMap<String, Vec<usize>>,
    /// Globs without a fixed first word, and rules that do not look at the action.
    rest: Vec<usize>,
}

impl Index {
    pub(super) fn of(rules: &[Rule]) -> Self {
        let mut index = Self::default();
        for (number, rule) in rules.iter().enumerate() {
            let Some(patterns) = action_patterns(&rule.matchers) else {
                index.rest.push(number);
                continue;
            };
            for pattern in patterns {
                match pattern.first_word() {
                    _ if pattern.is_literal() => index.literal.entry(pattern.as_str().to_owned()).or_default().push(number),
                    Some(word) => index.word.entry(word.to_owned()).or_default().push(number),
                    None => index.rest.push(number),
                }
            }
        }
        index
    }

    /// The rules that could match, in the order of the file.
    fn candidates(&self, action: &str) -> Vec<usize> {
        let word = action.split('.').next().unwrap_or(action);
        let lists = [self.literal.get(action), self.word.get(word), Some(&self.rest)];
        let mut candidates: Vec<usize> = lists.into_iter().flatten().flatten().copied().collect();
        candidates.sort_unstable();
        candidates.dedup();
        candidates
    }
}

/// Why a rule matches or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decided {
    /// The `match` key of this number does not match, or cannot be evaluated in an allow rule.
    Key(usize),
    /// `when` is false, or fails in an allow rule.
    When,
    /// Everything matches.
    All,
}

/// What was found out about one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) decided: Decided,
    pub(super) errors: Vec<String>,
}

impl Judgement {
    pub(super) fn matches(&self) -> bool {
        self.decided == Decided::All
    }
}

impl Rule {
    /// Judges the rule; `scene` gives the variables of conditions and is only called where `when` decides.
    pub(super) fn judge<'s>(&self, facts: &Facts<'_>, scene: impl FnOnce() -> &'s Scene) -> Judgement {
        let mut unevaluable = None;
        let mut errors = Vec::new();
        for (number, matcher) in self.matchers.iter().enumerate() {
            match matcher.judge(facts) {
                Verdict::Yes => {}
                Verdict::No => return Judgement { decided: Decided::Key(number), errors: Vec::new() },
                Verdict::Unevaluable => {
                    unevaluable.get_or_insert(number);
                    errors.push(format!("{}: absent, or not a string, number or boolean", matcher.key));
                }
            }
        }
        if let Some(number) = unevaluable.filter(|_| self.effect == Effect::Allow) {
            return Judgement { decided: Decided::Key(number), errors };
        }
        match self.when.as_ref().map(|when| when.holds(scene())) {
            None | Some(Ok(true)) => {}
            Some(Ok(false)) => return Judgement { decided: Decided::When, errors: Vec::new() },
            Some(Err(what)) => {
                errors.push(format!("when: {what}"));
                if self.effect == Effect::Allow {
                    return Judgement { decided: Decided::When, errors };
                }
            }
        }
        Judgement { decided: Decided::All, errors }
    }
}

impl Policy {
    /// Evaluates. Takes as long as the rules that could match this action take; see [`Policy::is_cheap`].
    pub fn evaluate(&self, facts: &Facts<'_>) -> Evaluation {
        let candidates = self.index.candidates(facts.action);
        let answer = self.with_stack(&candidates, || {
            let judgements = self.judge(&candidates, facts);
            self.conclude(&judgements)
        });
        Evaluation { masks: self.masks_of(facts.action), ..answer }
    }

    /// Evaluates and says for every rule why it matches or not.
    pub fn explain(&self, facts: &Facts<'_>) -> Evaluation {
        let all: Vec<usize> = (0..self.rules.len()).collect();
        let answer = self.with_stack(&all, || {
            let judgements = self.judge(&all, facts);
            let mut evaluation = self.conclude(&judgements);
            evaluation.trace = judgements.iter().map(|(rule, judgement)| RuleTrace::of(rule, judgement)).collect();
            evaluation
        });
        Evaluation { masks: self.masks_of(facts.action), ..answer }
    }

    /// An upper bound of the steps that evaluating takes, about half a microsecond each: nodes of the conditions that could be
    /// evaluated, times the elements they may iterate over or the values they may compare, plus one per rule that could match.
    pub fn steps(&self, facts: &Facts<'_>) -> u64 {
        let candidates = self.index.candidates(facts.action);
        let weight = Weight::of(facts, &self.roots(&candidates), None);
        let conditions = self.conditions(&candidates).map(|condition| condition.steps(weight));
        conditions.fold(u64::try_from(candidates.len()).unwrap_or(u64::MAX), u64::saturating_add)
    }

    /// Whether [`Policy::evaluate`] may run on an async worker: under 2,000 steps, about a millisecond. Otherwise run it off the
    /// runtime, where it takes at most [`MAX_STEPS`](super::MAX_STEPS) per rule.
    pub fn is_cheap(&self, facts: &Facts<'_>) -> bool {
        self.steps(facts) < CHEAP_STEPS
    }

    fn conditions<'p>(&'p self, candidates: &'p [usize]) -> impl Iterator<Item = &'p Condition> {
        candidates.iter().filter_map(|number| self.rules[*number].when.as_deref())
    }

    fn roots(&self, candidates: &[usize]) -> BTreeSet<&'static str> {
        self.conditions(candidates).flat_map(Condition::roots).collect()
    }

    /// Runs on a large stack when some condition needs one. If there is none to be had, everything is denied.
    fn with_stack(&self, candidates: &[usize], work: impl Fn() -> Evaluation + Send + Sync) -> Evaluation {
        if !self.conditions(candidates).any(Condition::is_deep) {
            return work();
        }
        on_big_stack(work).unwrap_or_else(|| Evaluation {
            effect: Effect::Deny,
            rules: Vec::new(),
            shadow: Vec::new(),
            errors: vec![RuleError { rule: String::new(), what: "the policy could not be evaluated".to_owned() }],
            explanation: "Denied: the policy could not be evaluated.".to_owned(),
            requirements: Requirements::default(),
            masks: Vec::new(),
            trace: Vec::new(),
        })
    }

    fn judge(&self, candidates: &[usize], facts: &Facts<'_>) -> Vec<(&Rule, Judgement)> {
        let scene = std::cell::OnceCell::new();
        let make = || scene.get_or_init(|| Scene::new(facts, &self.roots(candidates), None));
        candidates.iter().map(|number| &self.rules[*number]).map(|rule| (rule, rule.judge(facts, make))).collect()
    }

    /// The strictest effect, the sum of what the review rules ask for, the tightest limits of all.
    fn conclude(&self, judgements: &[(&Rule, Judgement)]) -> Evaluation {
        let in_mode = |mode| judgements.iter().filter(move |(rule, _)| rule.mode == mode);
        let matching: Vec<&Rule> = in_mode(Mode::Enforce).filter(|(_, judgement)| judgement.matches()).map(|(rule, _)| *rule).collect();
        let strictest = matching.iter().map(|rule| rule.effect).max();
        let effect = strictest.unwrap_or(self.default);
        let mut requirements = Requirements::default();
        if effect != Effect::Deny {
            let asking = matching.iter().filter(|rule| rule.effect == effect).map(|rule| rule.requirements.clone());
            let default = || if effect == Effect::Review { self.default_requirements() } else { Requirements::default() };
            requirements = asking.reduce(|sum, more| sum.stricter(&more)).unwrap_or_else(default);
            for rule in &matching {
                requirements.limit(rule.requirements.grant_ttl, rule.requirements.edit.as_deref());
            }
        }
        let errors = in_mode(Mode::Enforce)
            .flat_map(|(rule, judgement)| judgement.errors.iter().map(|what| RuleError { rule: rule.id.clone(), what: what.clone() }))
            .collect();
        let shadow = in_mode(Mode::Shadow)
            .filter(|(_, judgement)| judgement.matches())
            .map(|(rule, judgement)| ShadowResult {
                rule: rule.id.clone(),
                effect: rule.effect,
                would_be: strictest.map_or(rule.effect, |other| other.max(rule.effect)),
                errors: judgement.errors.clone(),
            })
            .collect();
        let unsure: Vec<&str> =
            in_mode(Mode::Enforce).filter(|(_, judgement)| !judgement.errors.is_empty()).map(|(rule, _)| rule.id.as_str()).collect();
        let deciding: Vec<&str> = matching.iter().filter(|rule| rule.effect == effect).map(|rule| rule.id.as_str()).collect();
        let explanation = super::explain::sentences(effect, &deciding, &unsure, &requirements);
        let rules = matching.iter().map(|rule| rule.id.clone()).collect();
        Evaluation { effect, rules, shadow, errors, explanation, requirements, masks: Vec::new(), trace: Vec::new() }
    }
}

/// Whether all these expressions hold for this person. An error means that they may not approve; it names no value of the request.
///
/// Works from the texts alone, since a request keeps those of the policy version it was made under. `reviewer` is the person record.
pub fn reviewer_when_holds(expressions: &[String], facts: &Facts<'_>, reviewer: &serde_json::Value) -> Result<bool, RuleError> {
    let fail = |source: &str, what: &str| RuleError { rule: String::new(), what: format!("reviewer_when '{source}': {what}") };
    if expressions.is_empty() {
        return Ok(true);
    }
    let judge = || {
        let mut answer = true;
        for source in expressions {
            let (condition, mistakes) = Condition::compile(source, Scope::ReviewerWhen);
            let Some(condition) = condition else {
                return Err(fail(source, mistakes.first().map_or("does not compile", |mistake| &mistake.message)));
            };
            let scene = Scene::new(facts, &condition.roots().collect(), Some(reviewer));
            answer &= condition.holds(&scene).map_err(|what| fail(source, &what))?;
        }
        Ok(answer)
    };
    on_big_stack(judge).unwrap_or_else(|| Err(fail("", "could not be evaluated")))
}
