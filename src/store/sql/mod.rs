//! Owns every query, written once and compiled twice: `store::sqlite` and `store::postgres` each load this directory
//! against their own driver type `Db`.
//!
//! Never decides anything and never lets a row type out of `store`. SQL is constant text with `$1` placeholders, or a
//! [`bulk::Bulk`]; what the databases spell differently is a constant of `DIALECT`.

use super::{DIALECT, Db};

pub(in crate::store) mod audit;
pub(in crate::store) mod bulk;
pub(in crate::store) mod callbacks;
pub(in crate::store) mod clients;
pub(in crate::store) mod deliveries;
pub(in crate::store) mod meta;
pub(in crate::store) mod people;
pub(in crate::store) mod refusals;
pub(in crate::store) mod requests;
pub(in crate::store) mod taps;
pub(in crate::store) mod writer;

/// A connection of this backend.
pub(in crate::store) type Conn = <Db as sqlx::Database>::Connection;
/// The reading pool of this backend.
pub(in crate::store) type Pool = sqlx::Pool<Db>;

/// Every constant text, so that a test can prepare each of them.
pub(in crate::store) fn every_text() -> Vec<String> {
    let constants: [&[&str]; 9] = [
        audit::TEXTS,
        callbacks::TEXTS,
        clients::TEXTS,
        deliveries::TEXTS,
        meta::TEXTS,
        people::TEXTS,
        refusals::TEXTS,
        requests::TEXTS,
        taps::TEXTS,
    ];
    let bulks = [
        &audit::INSERT,
        &callbacks::OVERTAKE,
        &callbacks::INSERT,
        &clients::BY_IDS,
        &clients::BY_KEYS,
        &deliveries::INSERT,
        &deliveries::REDRAW,
        &deliveries::TELL,
        &requests::BY_IDS,
        &requests::INSERT,
        &requests::UPDATE,
        &requests::INSERT_REVIEW,
        &taps::INSERT,
        &taps::FINISH,
    ];
    let claims = [taps::claim_text(), deliveries::claim_text(), callbacks::claim_text()];
    constants
        .iter()
        .flat_map(|texts| texts.iter().map(|text| (*text).to_owned()))
        .chain(bulks.iter().flat_map(|bulk| [bulk.write(1), bulk.write(3)]))
        .chain(claims.iter().map(ToString::to_string))
        .collect()
}
