//! Owns the shape of `[[mask]]`: which actions, which place, how it is shown.
//!
//! Never judges whether an entry is useful: that needs the whole file, see `lint`.

use super::File;
use crate::domain::mask::{Mask, MaskMode};
use crate::domain::policy::matching::Key;
use crate::domain::policy::{MaskEntry, lint};
use toml::de::DeTable;

const MASK: [&str; 3] = ["action", "path", "mode"];

impl<'t> File<'t> {
    /// Every `[[mask]]`.
    pub(super) fn masks(&mut self, top: &DeTable<'t>) -> Vec<MaskEntry> {
        let items = self.tables("mask", top);
        items.into_iter().filter_map(|item| self.mask(item)).collect()
    }

    fn mask(&mut self, item: &super::Item<'t>) -> Option<MaskEntry> {
        let table = self.reader.table("mask", item)?;
        self.reader.closed(table, &MASK, &[]);
        for name in MASK.into_iter().filter(|name| !table.contains_key(*name)) {
            self.reader.error(&item.span(), format!("the mask has no \"{name}\""));
        }
        let actions = table.get("action").map(|item| self.patterns("action", item)).unwrap_or_default();
        lint::patterns(&Key::Action, &actions, &mut self.reader);
        let path = table.get("path").and_then(|item| self.pointer("path", item));
        let mode = table.get("mode").and_then(|item| self.reader.word("mode", item, &MaskMode::WORDS));
        let actions: Vec<_> = actions.into_iter().map(|(glob, _)| glob).collect();
        let mask = Mask { path: path?, mode: mode? };
        (!actions.is_empty()).then(|| MaskEntry { actions, mask, at: item.span().start })
    }
}
