//! Owns `escalate` of a route: after how long, to which other route's destinations, to which groups.
//!
//! Never follows a chain: a route that escalates takes the destinations of the other, not its seats or its own escalation.

use super::File;
use crate::domain::policy::reader::{Item, human};
use crate::domain::policy::requirements::Escalation;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::de::DeTable;

impl<'t> File<'t> {
    /// Reads the escalations of every route, once all routes are known.
    pub(super) fn escalations(&mut self, routes: &DeTable<'t>) {
        let mut leads = BTreeMap::new();
        for (name, item) in routes {
            let name = name.get_ref().as_ref();
            let Some(item) = item.get_ref().as_table().and_then(|table| table.get("escalate")) else { continue };
            let Some((escalation, route)) = self.escalation(name, item) else { continue };
            leads.extend(route.filter(|route| route != name).map(|route| (name.to_owned(), (route, item.span()))));
            if let Some(route) = self.routes.get_mut(name) {
                route.requirements.escalate.push(escalation);
            }
        }
        self.circles(&leads);
    }

    /// One escalation, and the route it names.
    fn escalation(&mut self, name: &str, item: &Item<'t>) -> Option<(Escalation, Option<String>)> {
        let table = self.reader.table("escalate", item)?;
        self.reader.closed(table, &["after", "route", "groups"], &[]);
        let Some(after) = table.get("after") else {
            self.reader.error(&item.span(), "\"escalate\" must say after how long: after = \"30m\"");
            return None;
        };
        let own = &self.routes.get(name)?.requirements;
        let (expires_in, seats) = (own.expires_in, own.seats.clone());
        let seconds =
            self.reader.duration("after", after, "10s", "30d").filter(|seconds| self.in_time("after", *seconds, expires_in, after));
        let route = match table.get("route") {
            Some(item) => Some(self.reader.string("route", item).filter(|route| self.known_route(route, &item.span()))?),
            None => None,
        };
        let mut groups = Vec::new();
        for item in table.get("groups").and_then(|item| self.reader.list("groups", item)).unwrap_or_default() {
            groups.extend(self.reader.name("groups", item));
        }
        let destinations = match &route {
            Some(route) if route != name => self.routes.get(route).map(|route| route.requirements.destinations.clone()).unwrap_or_default(),
            Some(_) | None => Vec::new(),
        };
        if groups.is_empty() && destinations.is_empty() {
            self.reader.error(&item.span(), "\"escalate\" asks nobody else: give it groups, or another route that has destinations");
        }
        Some((Escalation { after: seconds?, destinations, groups, seats, done: false }, route))
    }

    /// Whether something can happen before the request has expired.
    pub(super) fn in_time(&mut self, name: &str, seconds: u64, expires_in: u64, item: &Item<'t>) -> bool {
        let in_time = seconds < expires_in;
        if !in_time {
            let message = format!("\"{name}\" of {} never happens: the request has expired after {}", human(seconds), human(expires_in));
            self.reader.error(&item.span(), message);
        }
        in_time
    }

    /// Warns of routes that escalate to each other: each only adds the other's destinations, so the circle ends nowhere.
    fn circles(&mut self, leads: &BTreeMap<String, (String, Range<usize>)>) {
        for (name, (first, at)) in leads {
            let mut next = first;
            for _ in 0..leads.len() {
                if next == name {
                    self.reader
                        .warn(at, format!("route \"{name}\" escalates to itself, directly or over others: nobody new is asked in the end"));
                    break;
                }
                let Some((route, _)) = leads.get(next) else { break };
                next = route;
            }
        }
    }
}
